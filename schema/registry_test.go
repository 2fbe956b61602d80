package schema

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr/srfake"

	"leadstream/internal/embedded"
	"leadstream/internal/fault"
)

func TestRegistry(t *testing.T) {
	server := httptest.NewServer(embedded.NewRegistry())
	defer server.Close()
	registrySuite(t, server.URL, "unit-", map[string]suite{"restored": suiteRestored})
}

// TestRegistryThatKnowsNoModes takes one and gives ids of its own all the same.
func TestRegistryThatKnowsNoModes(t *testing.T) {
	fake := srfake.New()
	defer fake.Close()
	registrySuite(t, fake.URL(), "unit-", map[string]suite{"not restored": suiteNotRestored})
}

// hundredMegabytes stands for as many letters in an answer.
const hundredMegabytes = "~"

// scripted is a registry that answers as told: "METHOD path", else "METHOD", to
// status and body.
type scripted map[string]answer

type answer struct {
	status int
	body   string
}

func (s scripted) start(t *testing.T) *Registry {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		is, ok := s[r.Method+" "+r.URL.Path]
		if !ok {
			is, ok = s[r.Method]
		}
		if !ok {
			is = answer{http.StatusNotFound, `{"error_code":40401,"message":"no such subject"}`}
		}
		w.WriteHeader(is.status)
		before, after, huge := strings.Cut(is.body, hundredMegabytes)
		fmt.Fprint(w, before)
		for i := 0; huge && i < 100; i++ {
			if _, err := io.WriteString(w, strings.Repeat("a", 1<<20)); err != nil {
				return
			}
		}
		fmt.Fprint(w, after)
	}))
	t.Cleanup(server.Close)
	return registry(t, RegistryOptions{URL: server.URL})
}

func registry(t *testing.T, o RegistryOptions) *Registry {
	t.Helper()
	r, err := NewRegistry(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

const (
	lookup   = "POST /subjects/s"
	versionS = "GET /subjects/s/versions"
	version1 = "GET /subjects/s/versions/1"
	check    = "POST /compatibility/subjects/s/versions"
	register = "POST /subjects/s/versions"
	level    = "PUT /config/s"
	byID     = "GET /schemas/ids/9"
)

func asBody(t *testing.T, schema string, id, version int) string {
	t.Helper()
	out, err := json.Marshal(map[string]any{"subject": "s", "schema": schema, "id": id, "version": version})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestRegistriesDiffer: the same question, answered as each registry answers it.
func TestRegistriesDiffer(t *testing.T) {
	old, schemas := grown(t, Array, evolution()...)
	next := old.Schema()
	const notFound = `{"error_code":40403,"message":"x"}`
	for name, test := range map[string]struct {
		answers scripted
		shown   string // in a refusal; empty when registering is reached
	}{
		"messages":           {scripted{check: {200, `{"is_compatible":false,"messages":["reader field x"]}`}}, "reader field x"},
		"reason":             {scripted{check: {200, `{"is_compatible":false,"reason":"because of y"}`}}, "because of y"},
		"neither":            {scripted{check: {200, `{"is_compatible":false}`}}, "gives no reason"},
		"409":                {scripted{check: {200, `{"is_compatible":true}`}, register: {409, `{"error_code":409,"message":"com.example.Exception: z"}`}}, "com.example.Exception: z"},
		"409 in plain text":  {scripted{check: {200, `{"is_compatible":true}`}, register: {409, `no`}}, "no message"},
		"check not known":    {scripted{check: {404, `not here`}, register: {409, `{"message":"decided at registering"}`}}, "decided at registering"},
		"check not allowed":  {scripted{check: {405, ``}, register: {409, `{"message":"decided at registering"}`}}, "decided at registering"},
		"check says nothing": {scripted{check: {200, `{}`}, register: {409, `{"message":"decided at registering"}`}}, "decided at registering"},
	} {
		t.Run(name, func(t *testing.T) {
			test.answers[lookup] = answer{404, notFound}
			test.answers[versionS] = answer{200, `[1]`}
			test.answers[version1] = answer{200, asBody(t, schemas[0], 3, 1)}
			r := test.answers.start(t)
			got, err := r.Ensure(t.Context(), "s", next)
			wantIncompatible(t, got, err, "s", test.shown)
		})
	}
}

func TestWhatWasRegisteredIsReadBack(t *testing.T) {
	schema := New(formID, Array).Schema()
	other := New("5", Array).Schema()
	fine := `{"compatibility":"BACKWARD_TRANSITIVE"}`
	for name, test := range map[string]struct {
		level string
		found string // what the second lookup says
		byID  string
		shown string
	}{
		"good":                         {fine, asBody(t, schema, 9, 1), asBody(t, schema, 0, 0), ""},
		"another id in the subject":    {fine, asBody(t, schema, 8, 1), asBody(t, schema, 0, 0), "registered as id 9, but the subject"},
		"not in the subject":           {fine, "", asBody(t, schema, 0, 0), "registered as id 9, but the subject"},
		"another schema in the lookup": {fine, asBody(t, other, 9, 1), asBody(t, schema, 0, 0), "another schema"},
		"id names another schema":      {fine, asBody(t, schema, 9, 1), asBody(t, other, 0, 0), "names another schema"},
		"another level":                {`{"compatibility":"NONE"}`, asBody(t, schema, 9, 1), asBody(t, schema, 0, 0), "NONE"},
	} {
		t.Run(name, func(t *testing.T) {
			registered := false
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body := ""
				switch r.Method + " " + r.URL.Path {
				case lookup:
					if registered {
						body = test.found
					}
				case level:
					body = test.level
				case register:
					registered = true
					body = `{"id":9}`
				case byID:
					body = test.byID
				}
				if body == "" {
					w.WriteHeader(http.StatusNotFound)
					body = `{"error_code":40401}`
				}
				fmt.Fprint(w, body)
			}))
			defer server.Close()
			got, err := registry(t, RegistryOptions{URL: server.URL}).Ensure(t.Context(), "s", schema)
			if test.shown == "" {
				if err != nil || got != (Registered{ID: 9, Version: 1, New: true}) {
					t.Errorf("Ensure = %+v, %v", got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.shown) || fault.KindOf(err) != fault.Retry {
				t.Errorf("Ensure = %+v, %v, want %q and a retry", got, err, test.shown)
			}
		})
	}
}

func TestFailuresOfEveryCallAreTold(t *testing.T) {
	schema := New(formID, Array).Schema()
	for name, test := range map[string]struct {
		status int
		body   string
		kind   fault.Kind
		shown  string
		auth   bool
	}{
		"unavailable":        {503, `{"error_code":50003,"message":"no leader"}`, fault.Retry, "no leader", false},
		"proxy page":         {502, `<html>`, fault.Retry, "502", false},
		"not a registry":     {404, `<html>not found`, fault.Retry, "registry.url", false},
		"throttled":          {429, `{"error_code":42901,"message":"slower"}`, fault.Retry, "slower", false},
		"read only":          {422, `{"error_code":42205,"message":"read only"}`, fault.Retry, "read only", false},
		"invalid schema":     {422, `{"error_code":42201,"message":"bad"}`, fault.Suspend, "bad", false},
		"too large":          {413, ``, fault.Suspend, "413", false},
		"wrong password":     {401, `{"error_code":40101}`, fault.Retry, "registry.username and registry.password", true},
		"forbidden":          {403, ``, fault.Retry, "registry.username", true},
		"good, but not JSON": {200, `<html>`, fault.Retry, "schema registry", false},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.body)
			}))
			defer server.Close()
			r := registry(t, RegistryOptions{URL: server.URL, Username: "who", Password: "s3cret-pass"})
			for call, err := range calls(t.Context(), r, schema) {
				var auth *AuthError
				var other *RegistryError
				if errors.As(err, &auth) != test.auth || errors.As(err, &other) == test.auth {
					t.Errorf("%s = %T %v, AuthError wanted: %v", call, err, err, test.auth)
				}
				if err == nil || fault.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.shown) {
					t.Errorf("%s = %v (%v), want %q (%v)", call, err, fault.KindOf(err), test.shown, test.kind)
				}
				if strings.Contains(fmt.Sprintf("%v %+v", err, err), "s3cret") {
					t.Errorf("%s shows the password: %v", call, err)
				}
			}
		})
	}
}

func calls(ctx context.Context, r *Registry, schema string) map[string]error {
	out := map[string]error{}
	_, out["Ensure"] = r.Ensure(ctx, "s", schema)
	_, out["Versions"] = r.Versions(ctx, "s")
	_, out["Holds"] = r.Holds(ctx, "s", 9, schema)
	out["Delete"] = r.Delete(ctx, "s", true)
	out["Ping"] = r.Ping(ctx)
	return out
}

func TestRegistryAwayIsARetry(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	r := registry(t, RegistryOptions{URL: server.URL})
	for call, err := range calls(t.Context(), r, New(formID, Array).Schema()) {
		if err == nil || fault.KindOf(err) != fault.Retry || !strings.Contains(err.Error(), server.URL) {
			t.Errorf("%s = %v, want a retry that names the registry", call, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for call, err := range calls(ctx, r, New(formID, Array).Schema()) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with an ended context = %v", call, err)
		}
	}
}

func TestPingWantsAvro(t *testing.T) {
	err := scripted{"GET /schemas/types": {200, `["JSON","XML"]`}}.start(t).Ping(t.Context())
	if err == nil || !strings.Contains(err.Error(), "AVRO") {
		t.Errorf("Ping = %v", err)
	}
}

func TestCredentialsAndPathAreSent(t *testing.T) {
	var path, user, password string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.Path
		user, password, _ = r.BasicAuth()
		fmt.Fprint(w, `["AVRO"]`)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // the last handshake is meant to fail
	server.StartTLS()
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	tls, err := TLSFromCA(ca)
	if err != nil {
		t.Fatal(err)
	}
	o := RegistryOptions{URL: server.URL + "/apis/ccompat/v7", Username: "who", Password: "pass", TLS: tls, Timeout: time.Minute}
	if err := registry(t, o).Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if path != "/apis/ccompat/v7/schemas/types" || user != "who" || password != "pass" {
		t.Errorf("path %s, user %s, password %s", path, user, password)
	}
	o.TLS = nil
	if err := registry(t, o).Ping(t.Context()); err == nil {
		t.Error("a certificate of an unknown authority was trusted")
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	for _, url := range []string{"", "registry:8081", "ftp://registry", "http://", "http://who:s3cret@registry", "http://r?x=s3cret", "http://s3cret\x7f"} {
		if r, err := NewRegistry(RegistryOptions{URL: url}); err == nil || r != nil || !strings.Contains(err.Error(), "registry.url") {
			t.Errorf("NewRegistry(%q) = %v", url, err)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error shows credentials: %v", err)
		}
	}
	if _, err := TLSFromCA(filepath.Join(t.TempDir(), "none")); err == nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("TLSFromCA of no file = %v", err)
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := TLSFromCA(empty); err == nil {
		t.Error("TLSFromCA of no certificate gives no error")
	}
}

func TestVersionDeletedMeanwhileIsLeftOut(t *testing.T) {
	r := scripted{versionS: {200, `[2,1]`}, version1: {200, asBody(t, "{}", 3, 1)},
		"GET /subjects/s/versions/2": {404, `{"error_code":40402}`}}.start(t)
	got, err := r.Versions(t.Context(), "s")
	if err != nil || len(got) != 1 || got[0] != (RegisteredSchema{ID: 3, Version: 1, Schema: "{}"}) {
		t.Errorf("Versions = %+v, %v", got, err)
	}
}

func TestManyDifferencesAreCut(t *testing.T) {
	e := &IncompatibleError{Subject: "s", Differences: strings.Split("one two three four five six seven", " ")}
	if text := e.Error(); !strings.Contains(text, "five; and 2 more") || strings.Contains(text, "six") {
		t.Errorf("err = %s", text)
	}
}
