package linkedinsim

import (
	"context"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"
)

// Of the handshake with webhooks (webhook validation).
const (
	challengeTimeout  = 3 * time.Second
	challengeInterval = 2 * time.Hour
	maxFailures       = 3 // in a row; then the webhook is blocked
	// applicationID names the one app in challenges.
	applicationID = "4300001"
	maxAnswer     = 1 << 16 // bytes of a webhook's answer that are read
)

// hook is what LinkedIn knows of one webhook, whatever is registered with it.
// Its fields change under notifier.mu only.
type hook struct {
	url       string
	validated bool
	blocked   bool
	failures  int // in a row
	done      int // handshakes made
	due       time.Time
	underWay  bool
	last      time.Time // handshake, on LinkedIn's clock
	problem   string    // of the last handshake
	held      []*delivery
	delivered int
	waiting   int // queued or under way
	dropped   int
}

// passes makes the handshake with a webhook now and reports whether LinkedIn
// takes it for validated.
func (n *notifier) passes(ctx context.Context, webhook string) bool {
	err := n.challenge(ctx, webhook)
	if ctx.Err() != nil {
		return false // nobody waits for it any more
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hook(webhook)
	h.done++
	h.last, h.due = n.s.Now(), n.s.Now().Add(challengeInterval)
	if err == nil {
		h.failures, h.problem = 0, ""
		h.validated = !h.blocked
	} else {
		h.failures++
		h.problem = err.Error()
		if h.failures >= maxFailures {
			h.blocked, h.validated = true, false
		}
	}
	n.release(h)
	return err == nil && h.validated
}

// release queues the deliveries that waited for a handshake, n.mu held.
func (n *notifier) release(h *hook) {
	for _, d := range h.held {
		n.push(d)
	}
	h.held = nil
	n.stir()
}

// handshake is the regular handshake with a webhook.
func (n *notifier) handshake(ctx context.Context, webhook string) {
	n.passes(ctx, webhook)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hook(webhook).underWay = false
}

// challenge asks a webhook to prove that it knows the app's secret. The error
// says what LinkedIn does not accept about the answer.
func (n *notifier) challenge(ctx context.Context, webhook string) error {
	ctx, cancel := context.WithTimeout(ctx, challengeTimeout)
	defer cancel()
	u, err := url.Parse(webhook)
	if err != nil {
		return fmt.Errorf("reading the webhook: %w", err)
	}
	code := n.uuid()
	arguments := url.Values{"challengeCode": {code}}.Encode()
	if !n.s.Switches().ChallengeBare {
		arguments += "&applicationId=" + applicationID
	}
	if u.RawQuery != "" {
		arguments = u.RawQuery + "&" + arguments
	}
	u.RawQuery = arguments
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	answer, err := n.client.Do(r)
	if err != nil {
		return fmt.Errorf("asking the webhook: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // was only read
	return checkAnswer(answer, code, keyedHash(n.s.auth.clientSecret(), code))
}

// checkAnswer holds the answer to a challenge to what it must be.
func checkAnswer(answer *http.Response, code, want string) error {
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the answer has status %d, must have 200", answer.StatusCode)
	}
	if mediaType, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		return fmt.Errorf("the answer's Content-Type is %q, must be application/json", answer.Header.Get("Content-Type"))
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	var said struct {
		Code     string `json:"challengeCode"`
		Response string `json:"challengeResponse"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if said.Code != code || !hmac.Equal([]byte(said.Response), []byte(want)) {
		return errors.New("challengeCode or challengeResponse are not the right ones")
	}
	return nil
}

// uuid is a new challenge code; the same seed makes the same ones.
func (n *notifier) uuid() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.challenges++
	high, low := mix(n.s.seed^n.challenges), mix(n.s.seed+n.challenges)
	var b [16]byte
	for i := range 8 {
		b[i], b[8+i] = byte(high>>(8*i)), byte(low>>(8*i))
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // version 4, variant of RFC 9562
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
