// Package webhook receives LinkedIn's notifications: it answers LinkedIn's
// challenge, tells LinkedIn's deliveries from forged and stale ones, and hands on
// what each says. Who handles a delivery decides when it is durable: only then is
// LinkedIn told that it arrived, and until then LinkedIn sends it again.
//
// A notification holds no answers and is never the truth about a lead: it says
// when to look.
//
// Source of the facts about LinkedIn: its pages on webhook validation and on the
// Lead Sync API (leadNotifications).
package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"leadstream/internal/lead"
)

// Path is where the receiver is served.
const Path = "/webhooks/linkedin"

// Address is the address that LinkedIn is told: what is configured, with the
// receiver's path where it has none.
func Address(configured string) string {
	u, err := url.Parse(configured)
	if err != nil { // the configuration has been checked
		return configured
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = Path
	}
	return u.String()
}

const (
	// maxBody bounds a delivery, which has about 400 bytes.
	maxBody = 16 << 10
	// handleTime bounds the handling of one delivery.
	handleTime = 10 * time.Second
	// staleAfter is how old a delivery may be: far longer than LinkedIn repeats
	// one, and as long as a receiver may have been away.
	staleAfter = 7 * 24 * time.Hour
	// aheadMost is how far ahead of our clock LinkedIn's may be.
	aheadMost = time.Hour
	// warnEvery separates the log lines about refused deliveries, and sayEvery those
	// that say what a person must do or know.
	warnEvery = time.Minute
	sayEvery  = time.Hour
)

// Options say how a Receiver works.
type Options struct {
	// Secret is the LinkedIn app's, by which deliveries are signed. Required.
	Secret string
	// AnySignature also takes the two forms of signature that are not documented
	// but were seen.
	AnySignature bool
	// Handle makes what a delivery says durable, or as durable as it need be,
	// before it returns nil. It is called concurrently, perhaps several times with
	// the same notification. Required.
	Handle func(ctx context.Context, n lead.Notification) error
	// Registerer takes the metrics; nil keeps them unregistered.
	Registerer prometheus.Registerer
	Log        *zap.Logger // may be nil
	Now        func() time.Time
}

// Receiver is the handler for Path. It is safe for concurrent use.
type Receiver struct {
	opts     Options
	log      *zap.Logger
	recent   *recent
	outcomes *prometheus.CounterVec
	warned   *eventKind
	said     *eventKind
	fate     fate
}

// The outcomes of a request.
const (
	outcomeChallenge = "challenge" // answered
	outcomeAccepted  = "accepted"
	outcomeDuplicate = "duplicate" // carried out before
	outcomeIgnored   = "ignored"   // about something else
	outcomeForged    = "forged"
	outcomeUnusual   = "other_signature" // LinkedIn's, in a form that is not taken
	outcomeStale     = "stale"
	outcomeMalformed = "malformed"
	outcomeFailed    = "failed" // LinkedIn is to send it again
)

// New makes a Receiver. The error names the option that is missing.
func New(o Options) (*Receiver, error) {
	if o.Secret == "" || o.Handle == nil {
		return nil, errors.New("making the receiver of LinkedIn's notifications: the app's secret and a handler are needed")
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &Receiver{opts: o, log: o.Log, recent: newRecent(recentSize), fate: fate{now: o.Now},
		warned: &eventKind{every: warnEvery, now: o.Now}, said: &eventKind{every: sayEvery, now: o.Now},
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "leadstream_webhook_requests_total",
			Help: "Requests to the webhook, by outcome: challenge, accepted, duplicate, ignored, forged, other_signature, stale, malformed, or failed, which LinkedIn repeats.",
		}, []string{"outcome"})}
	for _, outcome := range []string{outcomeChallenge, outcomeAccepted, outcomeDuplicate, outcomeIgnored,
		outcomeForged, outcomeUnusual, outcomeStale, outcomeMalformed, outcomeFailed} {
		r.outcomes.WithLabelValues(outcome)
	}
	if o.Registerer != nil {
		if err := o.Registerer.Register(r.outcomes); err != nil {
			return nil, fmt.Errorf("registering the metrics of the webhook: %w", err)
		}
	}
	return r, nil
}

// ServeHTTP answers a challenge (GET) or takes a delivery (POST).
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	switch req.Method {
	case http.MethodGet:
		r.challenge(w, req)
	case http.MethodPost:
		outcome, status := r.deliver(w, req)
		r.outcomes.WithLabelValues(outcome).Inc()
		w.WriteHeader(status)
	default:
		h.Set("Allow", "GET, POST")
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// challengeCode is what a challenge may hold: LinkedIn's is a UUID. Anything goes
// through the same HMAC as deliveries do, so a code that looked like a signed
// body ("hmacsha256={…") would be a way to have a forged one signed.
var challengeCode = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// challenge proves to LinkedIn that this webhook knows the app's secret.
func (r *Receiver) challenge(w http.ResponseWriter, req *http.Request) {
	code := req.URL.Query().Get("challengeCode")
	if !challengeCode.MatchString(code) {
		r.refuse(outcomeMalformed, errors.New("a challenge without a challengeCode of letters, digits and dashes"))
		r.outcomes.WithLabelValues(outcomeMalformed).Inc()
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	body, err := json.Marshal(map[string]string{"challengeCode": code, "challengeResponse": ChallengeResponse(r.opts.Secret, code)})
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError) // two texts always marshal
		return
	}
	r.outcomes.WithLabelValues(outcomeChallenge).Inc()
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(body); err != nil {
		r.log.Debug("answering LinkedIn's challenge", zap.Error(err)) // it has gone
	}
}

// deliver takes one delivery and says with which status to answer.
func (r *Receiver) deliver(w http.ResponseWriter, req *http.Request) (outcome string, status int) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if err != nil {
		r.refuse(outcomeMalformed, fmt.Errorf("its body could not be read, or is longer than %d bytes", maxBody))
		return outcomeMalformed, http.StatusRequestEntityTooLarge
	}
	n, outcome, status := r.judge(body, authenticate(r.opts.Secret, req.Header.Get("X-LI-Signature"), body))
	if outcome != outcomeAccepted {
		return outcome, status
	}
	ctx, cancel := context.WithTimeout(req.Context(), handleTime)
	defer cancel()
	if err := r.opts.Handle(ctx, n); err != nil {
		if times, say := r.warned.come(outcomeFailed); say {
			r.log.Warn("a notification could not be kept; LinkedIn is to send it again", zap.Int("times", times), zap.Error(err),
				zap.String("todo", "see that Kafka can be reached; leads are found by polling meanwhile"))
		}
		w.Header().Set("Retry-After", "30")
		return outcomeFailed, http.StatusServiceUnavailable
	}
	r.recent.add(n)
	return outcomeAccepted, http.StatusOK
}

// judge says what a delivery is. What LinkedIn signed and is thrown away all the same
// is issue, since it may be so with all that come.
func (r *Receiver) judge(body []byte, its authenticity) (n lead.Notification, outcome string, status int) {
	n, err := read(body)
	other := errors.Is(err, errOther)
	switch age := r.opts.Now().Sub(n.OccurredAt); {
	// A challenge has us sign letters and digits: only what can be read is LinkedIn's for certain.
	case its == unusual && !r.opts.AnySignature && (err == nil || other):
		r.unusual()
		return n, outcomeUnusual, http.StatusUnauthorized
	case its == forged, its == unusual && !r.opts.AnySignature:
		r.refuse(outcomeForged, errors.New("its X-LI-Signature is not what linkedin.client_secret gives"))
		return n, outcomeForged, http.StatusUnauthorized
	case other:
		r.ignore(err)
		return n, outcomeIgnored, http.StatusOK
	case err != nil:
		r.refuse(outcomeMalformed, err)
		r.fate.thrown(Issue{"a notification of LinkedIn could not be read: " + err.Error(), "polls find new leads, deletions are not seen; see whether a newer release reads it"})
		return n, outcomeMalformed, http.StatusBadRequest
	case age > staleAfter || age < -aheadMost:
		r.refuse(outcomeStale, fmt.Errorf("it is about %s, which is not within %s before our clock", lead.FormatTime(n.OccurredAt), staleAfter))
		r.fate.thrown(Issue{"a notification of LinkedIn was refused because of its time, " + lead.FormatTime(n.OccurredAt), "set the clock of this machine right, if it is not"})
		return n, outcomeStale, http.StatusBadRequest
	}
	if r.fate.taken() {
		r.log.Info("LinkedIn's notifications are taken again")
	}
	if r.recent.has(n) {
		return n, outcomeDuplicate, http.StatusOK
	}
	return n, outcomeAccepted, http.StatusOK
}

// unusual says that LinkedIn signs in a form that is not taken.
func (r *Receiver) unusual() {
	t := Issue{"LinkedIn signs its notifications in another form than it documents, and they are refused", "set `webhook.signature` to any, and restart"}
	r.fate.thrown(t)
	if times, say := r.said.come(outcomeUnusual); say {
		r.log.Error("LinkedIn's notifications are refused: they are signed with the app's secret, in another form than LinkedIn documents",
			zap.Int("times", times), zap.String("todo", t.Todo))
	}
}

// ignore tells of what LinkedIn delivers and is no notification of a lead that came
// or went: not loud, for the app may have other uses, and not silent, for it may be
// all that comes.
func (r *Receiver) ignore(why error) {
	if times, say := r.said.come(outcomeIgnored); say {
		r.log.Info("deliveries to the webhook that are not about leads are ignored", zap.Int("times", times), zap.Error(why))
	}
}

// remedies are what to do about a kind of request that was refused.
var remedies = map[string]string{
	outcomeForged:    "nothing, if a stranger sent it; if it was LinkedIn, compare linkedin.client_secret with the app's Auth page",
	outcomeStale:     "nothing; if it comes often, compare this machine's clock",
	outcomeMalformed: "nothing, if a stranger sent it; else report it",
}

// refuse tells of a refused request, each kind at most once a minute: anybody
// may send what he likes.
func (r *Receiver) refuse(outcome string, why error) {
	if times, say := r.warned.come(outcome); say {
		r.log.Warn("a request to the webhook was refused", zap.String("outcome", outcome), zap.Int("times", times), zap.Error(why), zap.String("todo", remedies[outcome]))
	}
}
