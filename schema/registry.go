package schema

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
)

// RegistryOptions say where the registry is and how to speak to it.
type RegistryOptions struct {
	// URL is the root of the Confluent API, with a path where it has one:
	// http://registry:8080/apis/ccompat/v7. No credentials in it.
	URL string
	// Username and Password are for basic authentication; empty for none.
	Username, Password string
	// TLS is used for https; nil for the system's certificates. See TLSFromCA.
	TLS *tls.Config
	// Timeout bounds one request; 0 for 10 seconds.
	Timeout time.Duration
}

// Registry speaks to a schema registry with the Confluent API. Confluent's,
// Apicurio's (ccompat v7) and others differ in details; what is decided here
// is decided by HTTP status and error_code together, never by message. It is
// safe for concurrent use. It keeps nothing: every call asks the registry.
//
// Every error of a call is a *IncompatibleError, a *AuthError or a
// *RegistryError; the last wraps the cause, also a context's end.
type Registry struct {
	client *sr.Client
	http   *http.Client
	url    string
}

// Registered is where a schema stands in a subject.
type Registered struct {
	// ID is what record values carry; it is the registry's, not the subject's.
	ID      int
	Version int
	// New says that this call registered it.
	New bool
}

// RegisteredSchema is one schema version of a subject.
type RegisteredSchema struct {
	ID      int
	Version int
	Schema  string
}

// What is taken from a registry is bounded, whatever it answers. A schema of 1,000
// fields with long texts has less than a megabyte, and parsing one takes a hundred
// times its length for a moment.
const (
	mostAnswer     = 4 << 20  // bytes of one answer
	mostSchema     = 1 << 20  // bytes of one schema
	mostSubject    = 16 << 20 // bytes of all schemas of one subject
	mostRegistered = 1_000    // versions of one subject
	// readingSubject bounds the time that reading all of them may take.
	readingSubject = 2 * time.Minute
)

// NewRegistry checks the options; it does not ask the registry anything.
func NewRegistry(o RegistryOptions) (*Registry, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("registry.url: want http:// or https://, a host, and a path where the registry has one")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("registry.url: credentials belong to registry.username and registry.password, and a query or fragment has no use")
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: o.TLS, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: 4, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}
	client := &http.Client{Transport: bounded{transport}, Timeout: o.Timeout}
	opts := []sr.ClientOpt{sr.URLs(o.URL), sr.HTTPClient(client), sr.UserAgent("leadstream")}
	if o.Username != "" || o.Password != "" {
		opts = append(opts, sr.BasicAuth(o.Username, o.Password))
	}
	c, err := sr.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("making a client for the schema registry: %w", err)
	}
	return &Registry{client: c, http: client, url: o.URL}, nil
}

// TLSFromCA trusts the authorities of a PEM file, and no others.
func TLSFromCA(file string) (*tls.Config, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading registry.ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading registry.ca_file: no certificate in %s; want PEM", file)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// Close lets go of idle connections.
func (r *Registry) Close() { r.http.CloseIdleConnections() }

// Ping asks what any registry answers: the schema types that it knows, of
// which Avro must be one, or, where that question is not known, the global
// compatibility level.
func (r *Registry) Ping(ctx context.Context) error {
	const op = "asking for the schema types"
	var types []string
	err := r.client.Do(ctx, http.MethodGet, "/schemas/types", nil, &types)
	if status, _ := answered(err); status == http.StatusNotFound {
		var level struct {
			Level string `json:"compatibilityLevel"`
		}
		if err = r.client.Do(ctx, http.MethodGet, "/config", nil, &level); err != nil {
			return r.fail("asking for the compatibility level", "", err)
		}
		return nil
	}
	if err != nil {
		return r.fail(op, "", err)
	}
	if !slices.Contains(types, "AVRO") {
		return r.fail(op, "", errors.New("AVRO is not among them; check registry.url"))
	}
	return nil
}

// Versions are the schemas registered under a subject, oldest first; none,
// without an error, when there is no such subject. References to other
// subjects are not followed. A subject that holds more than a form's ever could
// is refused.
func (r *Registry) Versions(ctx context.Context, subject string) ([]RegisteredSchema, error) {
	const op = "reading the schemas"
	ctx, cancel := context.WithTimeout(ctx, readingSubject)
	defer cancel()
	numbers, err := r.client.SubjectVersions(ctx, subject)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, r.fail(op, subject, err)
	}
	if len(numbers) > mostRegistered {
		return nil, r.fail(op, subject, &oversizeError{fmt.Sprintf("it has %d versions, and leadstream reads %d at most", len(numbers), mostRegistered)})
	}
	slices.Sort(numbers)
	var out []RegisteredSchema
	left := mostSubject
	for _, n := range slices.Compact(numbers) {
		s, err := r.client.SchemaByVersion(ctx, subject, n)
		if missing(err) {
			continue // deleted meanwhile
		}
		if err == nil && len(s.Schema.Schema) > min(mostSchema, left) {
			err = &oversizeError{fmt.Sprintf("version %d has %d bytes; leadstream reads %d of one version and %d of a subject", n, len(s.Schema.Schema), mostSchema, mostSubject)}
		}
		if err != nil {
			return nil, r.fail(op, subject, err)
		}
		left -= len(s.Schema.Schema)
		out = append(out, RegisteredSchema{ID: s.ID, Version: n, Schema: s.Schema.Schema})
	}
	return out, nil
}

// Holds reports whether this schema, or one that decodes the same, stands in the
// subject under the id. After a registry was rebuilt the id may name another
// schema or none, and of a subject that was deleted softly ids keep decoding
// while nobody finds them by the subject. As a rule it costs one request.
func (r *Registry) Holds(ctx context.Context, subject string, id int, schema string) (bool, error) {
	found, ok, err := r.lookup(ctx, subject, schema)
	if err != nil || ok {
		return found.ID == id, err
	}
	versions, err := r.Versions(ctx, subject)
	return slices.ContainsFunc(versions, func(v RegisteredSchema) bool { return v.ID == id && sameSchema(v.Schema, schema) }), err
}

// byID is the schema that an id names.
func (r *Registry) byID(ctx context.Context, id int) (string, error) {
	s, err := r.client.SchemaByID(ctx, id)
	if err == nil && len(s.Schema) > mostSchema {
		err = &oversizeError{fmt.Sprintf("it has %d bytes, and leadstream reads %d at most", len(s.Schema), mostSchema)}
	}
	if err != nil {
		return "", r.fail(fmt.Sprintf("reading schema id %d", id), "", err)
	}
	return s.Schema, nil
}

// Delete removes a subject with all its versions: softly, so that ids keep
// decoding, or for good. A subject that is gone is no error.
func (r *Registry) Delete(ctx context.Context, subject string, permanent bool) error {
	const op = "deleting the schemas"
	if _, err := r.client.DeleteSubject(ctx, subject, sr.SoftDelete); err != nil && !missing(err) {
		return r.fail(op, subject, err)
	}
	if !permanent {
		return nil
	}
	if _, err := r.client.DeleteSubject(ctx, subject, sr.HardDelete); err != nil && !missing(err) {
		return r.fail(op, subject, err)
	}
	return nil
}
