package schema

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/twmb/franz-go/pkg/sr"
)

// Ensure makes the schema stand under the subject and says where. One that
// stands there already costs one request. Otherwise it is compared with all
// registered versions, first here (Differences) and then by the registry,
// registered, and read back under its new id. A subject without versions gets
// the compatibility level BACKWARD_TRANSITIVE before its first; the level of
// others is left as it is.
//
// It fails with a *IncompatibleError when the subject's schemas forbid this
// one or are somebody else's, and may be called again after any error.
func (r *Registry) Ensure(ctx context.Context, subject, schema string) (Registered, error) {
	found, ok, err := r.lookup(ctx, subject, schema)
	if err != nil || ok {
		return found, err
	}
	registered, err := r.Versions(ctx, subject)
	if err != nil {
		return Registered{}, err
	}
	if d := Differences(schema, registered...); len(d) > 0 {
		return Registered{}, &IncompatibleError{Subject: subject, Differences: d}
	}
	if len(registered) == 0 {
		err = r.setLevel(ctx, subject)
	} else {
		err = r.check(ctx, subject, schema)
	}
	if err != nil {
		return Registered{}, err
	}
	return r.register(ctx, subject, schema)
}

// lookup finds a schema in its subject.
func (r *Registry) lookup(ctx context.Context, subject, schema string) (Registered, bool, error) {
	const op = "looking up the schema"
	s, err := r.client.LookupSchema(ctx, subject, sr.Schema{Schema: schema})
	if missing(err) {
		return Registered{}, false, nil
	}
	if err != nil {
		return Registered{}, false, r.fail(op, subject, err)
	}
	if s.Schema.Schema != "" && !sameSchema(s.Schema.Schema, schema) {
		return Registered{}, false, r.fail(op, subject, fmt.Errorf("version %d came back, which is another schema", s.Version))
	}
	return Registered{ID: s.ID, Version: s.Version}, true, nil
}

// setLevel is for a subject that is about to be made.
func (r *Registry) setLevel(ctx context.Context, subject string) error {
	const op = "setting the compatibility level"
	want := sr.CompatBackwardTransitive
	for _, got := range r.client.SetCompatibility(ctx, sr.SetCompatibility{Level: want}, subject) {
		if got.Err != nil {
			return r.fail(op, subject, got.Err)
		}
		if got.Level != want {
			return r.fail(op, subject, fmt.Errorf("asked for %s, the registry set %s", want, got.Level))
		}
	}
	return nil
}

// check asks the registry whether the schema may follow all versions of its
// subject, at the level that the subject has. Registries that do not know the
// question decide at registering.
//
// The reason stands in messages (Confluent), in reason (Apicurio 2) or
// nowhere (Apicurio 3).
func (r *Registry) check(ctx context.Context, subject, schema string) error {
	var answer struct {
		Compatible *bool    `json:"is_compatible"`
		Messages   []string `json:"messages"`
		Reason     string   `json:"reason"`
	}
	path := "/compatibility/subjects/" + url.PathEscape(subject) + "/versions"
	err := r.client.Do(sr.WithParams(ctx, sr.Verbose), http.MethodPost, path, sr.Schema{Schema: schema}, &answer)
	switch status, _ := answered(err); {
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented:
		return nil
	case err != nil:
		return r.fail("checking compatibility", subject, err)
	case answer.Compatible == nil || *answer.Compatible:
		return nil
	}
	d := answer.Messages
	if answer.Reason != "" {
		d = append(d, answer.Reason)
	}
	if len(d) == 0 {
		d = []string{"the registry finds it incompatible and gives no reason; look at the subject's compatibility level"}
	}
	return &IncompatibleError{Subject: subject, Differences: d}
}

// register registers and reads back.
func (r *Registry) register(ctx context.Context, subject, schema string) (Registered, error) {
	const op = "registering the schema"
	id, err := r.client.RegisterSchema(ctx, subject, sr.Schema{Schema: schema}, -1, -1)
	if status, _ := answered(err); status == http.StatusConflict {
		return Registered{}, &IncompatibleError{Subject: subject, Differences: []string{"the registry refuses it: " + said(err)}}
	}
	if err != nil {
		return Registered{}, r.fail(op, subject, err)
	}
	found, ok, err := r.lookup(ctx, subject, schema)
	if err != nil {
		return Registered{}, err
	}
	if !ok || found.ID != id {
		return Registered{}, r.fail(op, subject, fmt.Errorf("registered as id %d, but the subject does not have it", id))
	}
	named, err := r.byID(ctx, id)
	if err != nil {
		return Registered{}, err
	}
	if !sameSchema(named, schema) {
		return Registered{}, r.fail(op, subject, fmt.Errorf("registered as id %d, which names another schema", id))
	}
	found.New = true
	return found, nil
}

// answered is what the registry answered, 0 when it did not or err is nil.
func answered(err error) (status, code int) {
	var e *sr.ResponseError
	if errors.As(err, &e) {
		return e.StatusCode, e.ErrorCode
	}
	return 0, 0
}

// missing reports whether the registry says that subject, version or schema
// are not there, or softly deleted. A 404 without one of its codes comes from
// something that is not a registry.
//
// Source: Confluent Schema Registry API reference, error codes 404xx; which
// of them is sent differs between registries.
func missing(err error) bool {
	status, code := answered(err)
	return status == http.StatusNotFound &&
		(code == sr.ErrSubjectNotFound.Code || code == sr.ErrVersionNotFound.Code || code == sr.ErrSchemaNotFound.Code ||
			code == sr.ErrSubjectSoftDeleted.Code || code == sr.ErrSchemaVersionSoftDeleted.Code)
}
