package schema

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
)

// Naming is what a schema id names.
type Naming int

// What an id may name.
const (
	Unknown Naming = iota // nothing
	Same                  // the schema that it should, to a decoder
	Other                 // another one
)

// Names is what a schema id names in the registry, beside the schema that it
// should; with none given, whatever it names is the same.
func (r *Registry) Names(ctx context.Context, id int, schema string) (Naming, error) {
	text, err := r.byID(ctx, id)
	var failed *RegistryError
	switch {
	case errors.As(err, &failed) && missing(failed.Err):
		return Unknown, nil
	case err != nil:
		return Unknown, err
	case schema != "" && !sameSchema(text, schema):
		return Other, nil
	}
	return Same, nil
}

// Restore gives a subject that holds nothing the schemas that it once had, oldest
// first, under the ids that records carry, and says under which of them they stand
// now: those of a registry in mode IMPORT, which is set for the subject alone and
// taken back. A registry that has no such mode, does not let us set it, or has given
// an id away, is left with what it has; that is no error.
//
// Source: Confluent Schema Registry API reference, modes: only a subject without
// schemas can be set to IMPORT. Apicurio takes the mode and gives ids of its own.
func (r *Registry) Restore(ctx context.Context, subject string, schemas []RegisteredSchema) (restored []int, err error) {
	const op = "restoring the schemas"
	if held, err := r.Versions(ctx, subject); err != nil || len(held) > 0 {
		return nil, err
	}
	switch mode, err := r.Mode(ctx, subject); {
	case err != nil:
		return nil, err
	case mode != "" && mode != sr.ModeReadWrite.String() && mode != sr.ModeImport.String():
		return nil, nil
	}
	if err := r.setLevel(ctx, subject); err != nil {
		return nil, err
	}
	if err := r.client.SetMode(ctx, sr.ModeImport, subject)[0].Err; err != nil {
		if status, _ := answered(err); status != 0 {
			return nil, nil // it has none, or we may not
		}
		return nil, r.fail(op, subject, err)
	}
	defer func() { err = errors.Join(err, r.endImport(ctx, subject)) }()
	for _, s := range schemas {
		id, err := r.client.RegisterSchema(ctx, subject, sr.Schema{Schema: s.Schema}, s.ID, -1)
		switch status, _ := answered(err); {
		case err != nil && (status == 0 || status >= http.StatusInternalServerError || status == http.StatusTooManyRequests):
			return restored, r.fail(op, subject, err)
		case err != nil: // this id is another's by now
			continue
		case id != s.ID:
			return restored, nil // it gives the ids itself
		}
		named, err := r.Names(ctx, id, s.Schema)
		if err != nil {
			return restored, err
		}
		if named == Same {
			restored = append(restored, id)
		}
	}
	return restored, nil
}

// endImport gives a subject the mode back that it has without one of its own. It is
// done also when the work around it is over: nothing else can be registered before.
func (r *Registry) endImport(ctx context.Context, subject string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endingImport)
	defer cancel()
	var err error
	for range 3 {
		if err = r.client.ResetMode(ctx, subject)[0].Err; err == nil {
			return nil
		}
		if status, _ := answered(err); status == http.StatusNotFound || status == http.StatusMethodNotAllowed { // older ones know no DELETE
			if err = r.client.SetMode(ctx, sr.ModeReadWrite, subject)[0].Err; err == nil {
				return nil
			}
		}
	}
	return r.fail("ending the mode IMPORT", subject, err)
}

const endingImport = 15 * time.Second

// Mode is the mode that a subject is in, by itself or with all others: READWRITE,
// READONLY, IMPORT and so on; empty when the registry does not tell. Without a
// subject it is that of the registry.
func (r *Registry) Mode(ctx context.Context, subject string) (string, error) {
	const op = "asking for the mode"
	subjects := []string{subject, sr.GlobalSubject}
	if subject == sr.GlobalSubject {
		subjects = subjects[:1]
	}
	for _, of := range subjects {
		var answer struct {
			Mode string `json:"mode"`
		}
		path := "/mode"
		if of != sr.GlobalSubject {
			path += "/" + url.PathEscape(of)
		}
		err := r.client.Do(ctx, http.MethodGet, path, nil, &answer)
		status, _ := answered(err)
		switch {
		case err == nil && answer.Mode != "":
			return fmt.Sprintf("%.40s", answer.Mode), nil
		case err == nil, status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status == http.StatusNotImplemented,
			status == http.StatusForbidden: // it does not tell
		default:
			return "", r.fail(op, subject, err)
		}
	}
	return "", nil
}

// ErrUntold says that a registry does not tell whether we may register.
var ErrUntold = errors.New("the registry does not tell")

// MayRegister finds out whether schemas can be registered under a subject, without
// registering one: the mode is asked for, and something is sent that is no schema,
// which a registry refuses as that only where it would take one. It fails with an
// *AuthError where we are not allowed to, with an error that matches ErrUntold where
// that cannot be told, and otherwise where the registry takes nothing from anybody.
func (r *Registry) MayRegister(ctx context.Context, subject string) error {
	const op = "registering a schema"
	mode, err := r.Mode(ctx, subject)
	if err != nil {
		return err
	}
	if mode != "" && mode != sr.ModeReadWrite.String() {
		return &RegistryError{Op: op, Subject: subject, URL: r.url, Code: sr.ErrOperationNotPermitted.Code, Err: fmt.Errorf("the registry is in mode %s", mode)}
	}
	_, err = r.client.RegisterSchema(ctx, subject, sr.Schema{Schema: "leadstream asks whether it may register"}, -1, -1)
	status, code := answered(err)
	switch {
	case err == nil:
		return errors.Join(fmt.Errorf("%w: it takes what is no schema", ErrUntold), r.Delete(ctx, subject, true))
	case status == http.StatusUnprocessableEntity && code != sr.ErrOperationNotPermitted.Code: // 42201, or 44201 of Karapace
		return nil
	case status == http.StatusUnauthorized, status == http.StatusForbidden, code == sr.ErrOperationNotPermitted.Code, status == 0, status >= http.StatusInternalServerError:
		return r.fail(op, subject, err)
	case status == http.StatusConflict: // Apicurio, read-only
		return r.fail(op, subject, err)
	}
	return fmt.Errorf("%w: %w", ErrUntold, r.fail(op, subject, err))
}
