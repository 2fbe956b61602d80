package embedded

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
)

// Registry is a schema registry in memory that can lose its memory: srfake, whose
// modes are kept as Confluent's registry keeps them. READONLY refuses what would
// change anything, IMPORT takes schemas with an id and no others. It is an
// http.Handler, safe for concurrent use.
type Registry struct {
	state atomic.Pointer[memory]
}

// memory is what a registry knows.
type memory struct {
	fake *srfake.Registry

	mu    sync.Mutex
	modes map[string]string // by subject, "" for all of them
}

// NewRegistry is an empty one.
func NewRegistry() *Registry {
	r := &Registry{}
	r.Forget()
	return r
}

// Forget has it begin anew, empty, as a registry that was rebuilt.
func (r *Registry) Forget() {
	r.state.Store(&memory{fake: srfake.NewRegistry(), modes: map[string]string{}})
}

// ServeHTTP implements http.Handler.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if m := r.state.Load(); !m.keepModes(w, req) {
		m.fake.Handler().ServeHTTP(w, req)
	}
}

// keepModes answers what modes concern; false leaves the request to srfake.
//
// Source: Confluent Schema Registry API reference, modes; the source of its
// KafkaSchemaRegistry, checkRegisterMode and setMode.
func (m *memory) keepModes(w http.ResponseWriter, r *http.Request) bool {
	parts := strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/")
	subject := ""
	if len(parts) > 1 {
		subject, _ = url.PathUnescape(parts[1])
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case parts[0] == "mode":
		m.serveMode(w, r, subject)
		return true
	case r.Method == http.MethodGet, len(parts) < 2, parts[0] == "compatibility", r.Method == http.MethodPost && len(parts) == 2:
		return false // changes nothing
	}
	mode := m.mode(subject)
	if mode == "READONLY" {
		refuse(w, "Subject "+subject+" is in read-only mode")
		return true
	}
	if parts[0] != "subjects" || r.Method != http.MethodPost {
		return false
	}
	return m.register(w, r, subject, mode)
}

func (m *memory) mode(subject string) string {
	for _, key := range []string{subject, ""} {
		if mode, ok := m.modes[key]; ok {
			return mode
		}
	}
	return "READWRITE"
}

func (m *memory) serveMode(w http.ResponseWriter, r *http.Request, subject string) {
	_, own := m.modes[subject]
	mode := m.mode(subject)
	switch r.Method {
	case http.MethodGet:
		if subject != "" && !own && r.URL.Query().Get("defaultToGlobal") != "true" {
			answer(w, http.StatusNotFound, map[string]any{"error_code": 40409, "message": "Subject '" + subject + "' does not have subject-level mode configured"})
			return
		}
	case http.MethodPut:
		var body struct{ Mode string }
		if json.NewDecoder(r.Body).Decode(&body) != nil || !strings.Contains(" READWRITE READONLY IMPORT ", " "+body.Mode+" ") {
			answer(w, http.StatusUnprocessableEntity, map[string]any{"error_code": sr.ErrInvalidMode.Code, "message": "Invalid mode"})
			return
		}
		if body.Mode == "IMPORT" && mode != "IMPORT" && r.URL.Query().Get("force") != "true" && m.holds(r, subject) {
			refuse(w, "Cannot import since found existing subjects")
			return
		}
		m.modes[subject], mode = body.Mode, body.Mode
	case http.MethodDelete:
		delete(m.modes, subject)
	}
	answer(w, http.StatusOK, map[string]string{"mode": mode})
}

// holds reports whether anything was registered, under the subject or at all.
func (m *memory) holds(r *http.Request, subject string) bool {
	path := "/subjects?deleted=true"
	if subject != "" {
		path = "/subjects/" + url.PathEscape(subject) + "/versions?deleted=true"
	}
	var list []any
	return json.Unmarshal(m.ask(r, http.MethodGet, path).body.Bytes(), &list) == nil && len(list) > 0
}

// register takes a schema with its id in mode IMPORT, and refuses one elsewhere.
func (m *memory) register(w http.ResponseWriter, r *http.Request, subject, mode string) bool {
	text, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(text))
	var body struct {
		sr.Schema
		ID int `json:"id"`
	}
	switch {
	case err != nil || json.Unmarshal(text, &body) != nil:
		return false
	case mode != "IMPORT" && body.ID > 0:
		refuse(w, "Subject "+subject+" is not in import mode")
		return true
	case mode != "IMPORT":
		return false
	case body.ID <= 0:
		refuse(w, "Subject "+subject+" is not in read-write mode")
		return true
	}
	if got := m.ask(r, http.MethodGet, fmt.Sprintf("/schemas/ids/%d", body.ID)); got.status == http.StatusOK {
		var has sr.Schema
		if json.Unmarshal(got.body.Bytes(), &has) != nil || has.Schema != body.Schema.Schema {
			refuse(w, fmt.Sprintf("Overwrite new schema with id %d is not permitted.", body.ID))
			return true
		}
	} else {
		m.fake.SeedSchema(subject, m.next(r, subject), body.ID, body.Schema)
	}
	answer(w, http.StatusOK, map[string]int{"id": body.ID})
	return true
}

// next is the version after those of a subject.
func (m *memory) next(r *http.Request, subject string) int {
	var versions []int
	_ = json.Unmarshal(m.ask(r, http.MethodGet, "/subjects/"+url.PathEscape(subject)+"/versions?deleted=true").body.Bytes(), &versions)
	next := 1
	for _, v := range versions {
		next = max(next, v+1)
	}
	return next
}

// ask asks the registry without its modes.
func (m *memory) ask(r *http.Request, method, path string) *recorder {
	got := &recorder{status: http.StatusOK}
	req, err := http.NewRequestWithContext(r.Context(), method, path, nil)
	if err != nil {
		got.status = http.StatusBadRequest
		return got
	}
	m.fake.Handler().ServeHTTP(got, req)
	return got
}

// recorder keeps an answer.
type recorder struct {
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return http.Header{} }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }
func (r *recorder) WriteHeader(status int)      { r.status = status }

func refuse(w http.ResponseWriter, message string) {
	answer(w, http.StatusUnprocessableEntity, map[string]any{"error_code": sr.ErrOperationNotPermitted.Code, "message": message})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone
}
