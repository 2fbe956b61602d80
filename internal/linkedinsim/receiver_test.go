package linkedinsim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// received is one notification as it reached a webhook.
type received struct {
	path, body, signature string
	at                    time.Time
}

// action is what the notification says has happened.
func (r received) action(t *testing.T) (lead, action string, occurredAt int64) {
	t.Helper()
	var body struct {
		Response   string `json:"leadGenFormResponse"`
		Action     string `json:"leadAction"`
		OccurredAt int64  `json:"occurredAt"`
	}
	decodeJSON(t, []byte(r.body), &body)
	return strings.TrimPrefix(body.Response, responsePrefix), body.Action, body.OccurredAt
}

// receiver is a webhook as a reader of notifications has one. It is written
// from LinkedIn's text, not with the code it tests.
type receiver struct {
	t      *testing.T
	secret string

	mu         sync.Mutex
	challenges []*http.Request
	got        []received
	// answer, when not nil, answers deliveries in place of a plain 200, and
	// challenge challenges.
	answer    http.HandlerFunc
	challenge http.HandlerFunc
}

func hexHMAC(secret, text string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil))
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodGet {
		r.mu.Lock()
		r.challenges = append(r.challenges, req)
		challenge := r.challenge
		r.mu.Unlock()
		if challenge != nil {
			challenge(w, req)
			return
		}
		r.prove(w, req)
		return
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.t.Errorf("reading a notification: %v", err)
	}
	r.mu.Lock()
	r.got = append(r.got, received{req.URL.Path, string(body), req.Header.Get("X-LI-Signature"), time.Now()})
	answer := r.answer
	r.mu.Unlock()
	if req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/json" {
		r.t.Errorf("a notification came as %s %s", req.Method, req.Header.Get("Content-Type"))
	}
	if answer != nil {
		answer(w, req)
	}
}

// prove is the right answer to a challenge.
func (r *receiver) prove(w http.ResponseWriter, req *http.Request) {
	code := req.URL.Query().Get("challengeCode")
	w.Header().Set("Content-Type", "application/json")
	text, err := json.Marshal(map[string]string{"challengeCode": code, "challengeResponse": hexHMAC(r.secret, code)})
	if err != nil {
		r.t.Error(err)
	}
	_, _ = w.Write(text)
}

// deliveries are the notifications so far.
func (r *receiver) deliveries() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

func (r *receiver) set(answer, challenge http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer, r.challenge = answer, challenge
}

// status answers with a status and nothing else.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// handlerTransport carries requests to a handler without a network.
type handlerTransport struct{ handler http.Handler }

func (h handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	w, done := httptest.NewRecorder(), make(chan struct{})
	go func() {
		h.handler.ServeHTTP(w, r)
		close(done)
	}()
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-done:
		return w.Result(), nil
	}
}

const hookURL = "https://hooks.example.com/linkedin"

// withReceiver is a world whose webhooks end at a receiver.
func withReceiver(t *testing.T, cfg Config) (*client, *receiver) {
	t.Helper()
	r := &receiver{t: t, secret: DefaultClientSecret}
	cfg.WebhookTransport = handlerTransport{r}
	if cfg.Organizations == 0 {
		cfg.Organizations, cfg.Events, cfg.Forms, cfg.HiddenShare, cfg.Seed = 2, 4, 4, -1, 1
	}
	return newClient(t, cfg), r
}

// subscription is the body of a registration for the first organization.
func subscriptionBody(more string) string {
	return `{"webhook":"` + hookURL + `","owner":{"organization":"` + firstOwner + `"},"leadType":"EVENT"` + more + `}`
}

var jsonType = map[string]string{"Content-Type": "application/json"}

// register makes a subscription and returns its id.
func (c *client) register(body string) string {
	c.t.Helper()
	answer := c.do(http.MethodPost, "/rest/leadNotifications", body, jsonType)
	status, text := read(c.t, answer)
	id := answer.Header.Get("X-RestLi-Id")
	if status != http.StatusCreated || id == "" {
		c.t.Fatalf("POST leadNotifications %s = %d %s, id %q, want 201 and an id", body, status, text, id)
	}
	return id
}

// subscribed is a world with one validated subscription of the first
// organization.
func subscribed(t *testing.T, cfg Config) (*client, *receiver) {
	t.Helper()
	c, r := withReceiver(t, cfg)
	c.register(subscriptionBody(""))
	c.server.Notify(t.Context())
	if h := c.server.Webhooks(); len(h) != 1 || !h[0].Validated {
		t.Fatalf("webhooks are %+v, want one that is validated", h)
	}
	return c, r
}

// add makes leads of the first organization.
func (c *client) add(specs ...LeadSpec) []LedgerEntry {
	c.t.Helper()
	for i := range specs {
		specs[i].Owner = firstOwner
	}
	made, err := c.server.AddLeads(specs...)
	if err != nil {
		c.t.Fatal(err)
	}
	return made
}
