package linkedinsim

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// testStart is the moment at which test worlds begin: 2026-11-23 00:00 UTC.
var testStart = time.UnixMilli(1795392000000).UTC()

// testClock is a base clock that stands still until it is moved.
type testClock struct{ now time.Time }

func (c *testClock) Now() time.Time { return c.now }

// client speaks to a server without a network, as LinkedIn's clients should.
type client struct {
	t      *testing.T
	server *Server
	clock  *testClock
	token  string
	header map[string]string
}

func newClient(t *testing.T, cfg Config) *client {
	t.Helper()
	clock := &testClock{testStart}
	if cfg.Now == nil {
		cfg.Now = clock.Now
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatalf("New = %v", err)
	}
	return &client{t: t, server: s, clock: clock, token: s.IssueToken().AccessToken, header: map[string]string{
		"LinkedIn-Version": "202607", "X-Restli-Protocol-Version": "2.0.0",
	}}
}

func (c *client) do(method, target, body string, header map[string]string) *http.Response {
	c.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for _, h := range []map[string]string{c.header, header} {
		for name, value := range h {
			if value == "" {
				r.Header.Del(name)
			} else {
				r.Header.Set(name, value)
			}
		}
	}
	w := httptest.NewRecorder()
	c.server.ServeHTTP(w, r)
	return w.Result()
}

// get returns the status and the body.
func (c *client) get(target string) (int, []byte) {
	c.t.Helper()
	return read(c.t, c.do(http.MethodGet, target, "", nil))
}

func read(t *testing.T, r *http.Response) (int, []byte) {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("reading the body: %v", err)
	}
	if err := r.Body.Close(); err != nil {
		t.Fatalf("closing the body: %v", err)
	}
	return r.StatusCode, body
}

// wantStatus gets target and fails unless the status is want.
func (c *client) wantStatus(target string, want int) []byte {
	c.t.Helper()
	status, body := c.get(target)
	if status != want {
		c.t.Fatalf("GET %s = %d %.300s, want %d", target, status, body, want)
	}
	return body
}

type page struct {
	Paging struct {
		Start, Count int
		Total        *int
		Links        []struct{ Rel, Href, Type string }
	}
	Elements []json.RawMessage
}

func (c *client) page(target string) page {
	c.t.Helper()
	var p page
	decodeJSON(c.t, c.wantStatus(target, http.StatusOK), &p)
	return p
}

func decodeJSON(t *testing.T, text []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("decoding %.300s: %v", text, err)
	}
}

// wantJSON compares two JSON texts by meaning, numbers by their digits.
func wantJSON(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !reflect.DeepEqual(parseAny(t, got), parseAny(t, want)) {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

func parseAny(t *testing.T, text []byte) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("decoding %.300s: %v", text, err)
	}
	return v
}

const firstOwner = "urn:li:organization:9000123"

// responses is the URL of the finder over the first organization's event leads.
func responses(start, count int, more string) string {
	return "/rest/leadFormResponses?q=owner&owner=(organization:" + url.QueryEscape(firstOwner) + ")&leadType=(leadType:EVENT)" +
		"&start=" + strconv.Itoa(start) + "&count=" + strconv.Itoa(count) + more
}

// element is what a test looks at of a row.
type element struct {
	ID           string
	SubmittedAt  int64
	TestLead     bool
	FormResponse struct {
		Answers []struct {
			QuestionID int64 `json:"questionId"`
		}
	}
}

// identity is what tells two submissions apart.
type identityKey struct {
	id string
	at int64
}

// scan reads every page up to the first empty one.
func (c *client) scan(count int, more string) map[identityKey]bool {
	c.t.Helper()
	found := map[identityKey]bool{}
	for start := 0; ; start += count {
		p := c.page(responses(start, count, more))
		if len(p.Elements) == 0 {
			return found
		}
		for _, text := range p.Elements {
			var e element
			decodeJSON(c.t, text, &e)
			found[identityKey{e.ID, e.SubmittedAt}] = true
		}
	}
}

// listed is what the ledger says the finder lists of the first organization.
func (c *client) listed() map[identityKey]bool {
	listed := map[identityKey]bool{}
	for e := range c.server.Ledger() {
		if e.Listed && e.Owner == firstOwner {
			listed[identityKey{e.ID, e.SubmittedAt}] = true
		}
	}
	return listed
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
