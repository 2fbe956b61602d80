package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"leadstream/internal/lead"
)

// The vectors of the reference: a challenge and a delivery, both under secret.
const (
	secret            = "sim-client-secret-0001"
	challengeExample  = "3d1f7c58-6f0a-4c1e-9a54-0b7e6a2d4c11"
	challengeResponse = "9adf3f0cec36a3cf5adaa22be001b0650bca344a51f652fd9ec74f26c6716640"
	example           = `{"type":"LEAD_ACTION","leadGenFormResponse":"urn:li:leadGenFormResponse:8f0c2b9e-41d7-4c55-9e0b-6a1d2f3c4b5a-6",` +
		`"leadGenForm":"urn:li:versionedLeadGenForm:(urn:li:leadGenForm:7130000000000000001,1)","owner":{"organization":"urn:li:organization:9000123"},` +
		`"associatedEntity":{"event":"urn:li:event:7200000000000000123"},"leadType":"EVENT","leadAction":"CREATED","occurredAt":1793012345678}`
	documentedSignature = "d08b4b86fb8174aa4ea6cddee36de23b4d7778068859f837abb4f522aab9d6ea"
	bareSignature       = "abf083c0ae4d508a658f8b990efb786a821ae2a2c33a9e32aa7feb3928dd21de"
)

var occurredAt = time.UnixMilli(1793012345678).UTC()

// bench is a receiver with what it handed on and what it logged.
type bench struct {
	*Receiver
	logs *observer.ObservedLogs

	mu   sync.Mutex
	got  []lead.Notification
	fail error
}

func newBench(t *testing.T, change func(*Options)) *bench {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	b := &bench{logs: logs}
	o := Options{Secret: secret, Log: zap.New(core), Now: func() time.Time { return occurredAt.Add(time.Second) },
		Handle: func(_ context.Context, n lead.Notification) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.fail != nil {
				return b.fail
			}
			b.got = append(b.got, n)
			return nil
		}}
	if change != nil {
		change(&o)
	}
	var err error
	if b.Receiver, err = New(o); err != nil {
		t.Fatal(err)
	}
	return b
}

// deliver posts a body and gives the answer's status.
func (b *bench) deliver(body, signature string) int {
	r := httptest.NewRequest(http.MethodPost, Path, strings.NewReader(body))
	if signature != "" {
		r.Header.Set("X-LI-Signature", signature)
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w.Code
}

func (b *bench) signed(body string) int { return b.deliver(body, sign(secret, prefix, body)) }

func (b *bench) outcome(name string) int {
	return int(testutil.ToFloat64(b.outcomes.WithLabelValues(name)))
}

func TestChallengeIsAnsweredAsPublished(t *testing.T) {
	b := newBench(t, nil)
	w := httptest.NewRecorder()
	b.ServeHTTP(w, httptest.NewRequest(http.MethodGet, Path+"?challengeCode="+challengeExample+"&applicationId=1", nil))
	want := fmt.Sprintf(`{"challengeCode":%q,"challengeResponse":%q}`, challengeExample, challengeResponse)
	if got := w.Body.String(); w.Code != http.StatusOK || got != want || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("the challenge is answered %d %s %s\nwant 200 application/json %s", w.Code, w.Header().Get("Content-Type"), got, want)
	}
	if b.outcome(outcomeChallenge) != 1 {
		t.Error("the challenge is not counted")
	}
}

// A challenge that looks like what deliveries are signed over would be a way to
// have a forged delivery signed.
func TestChallengeSignsNoDelivery(t *testing.T) {
	b := newBench(t, func(o *Options) { o.AnySignature = true })
	for _, code := range []string{"", prefix + example, example, "a b", strings.Repeat("x", 129), "hmacsha256=x"} {
		w := httptest.NewRecorder()
		b.ServeHTTP(w, httptest.NewRequest(http.MethodGet, Path+"?challengeCode="+url.QueryEscape(code), nil))
		if w.Code != http.StatusBadRequest || w.Body.Len() > 0 {
			t.Errorf("challengeCode %.40q is answered %d %q, want 400 without a body", code, w.Code, w.Body)
		}
	}
}

func TestDeliveryIsHandedOnAsPublished(t *testing.T) {
	b := newBench(t, nil)
	if status := b.deliver(example, documentedSignature); status != http.StatusOK {
		t.Fatalf("the published delivery is answered %d", status)
	}
	want := lead.Notification{Action: lead.Created, ResponseID: "8f0c2b9e-41d7-4c55-9e0b-6a1d2f3c4b5a-6",
		Form:       lead.FormRef{ID: "7130000000000000001", Version: 1},
		Source:     lead.Source{Owner: "urn:li:organization:9000123", Type: "EVENT"},
		OccurredAt: occurredAt}
	if len(b.got) != 1 || b.got[0] != want {
		t.Errorf("handed on: %+v\nwant %+v", b.got, want)
	}
}

func TestOnlyTheDocumentedSignatureIsTakenUnlessAskedFor(t *testing.T) {
	for _, c := range []struct {
		name, signature string
		strict, lenient int
	}{
		{"documented", documentedSignature, 200, 200},
		{"documented with the prefix in front", prefix + documentedSignature, 401, 200},
		{"over the body alone", bareSignature, 401, 200},
		{"over the body alone, with the prefix", prefix + bareSignature, 401, 200},
		{"none", "", 401, 401},
		{"of another secret", sign("another", prefix, example), 401, 401},
		{"in capitals", strings.ToUpper(documentedSignature), 401, 401},
		{"cut short", documentedSignature[:63], 401, 401},
		{"the prefix alone", prefix, 401, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := newBench(t, nil).deliver(example, c.signature); got != c.strict {
				t.Errorf("answered %d, want %d", got, c.strict)
			}
			if got := newBench(t, func(o *Options) { o.AnySignature = true }).deliver(example, c.signature); got != c.lenient {
				t.Errorf("with any signature allowed answered %d, want %d", got, c.lenient)
			}
		})
	}
}

func TestAForgedBodyIsRefusedWhateverItsJSONMeans(t *testing.T) {
	b := newBench(t, nil)
	for _, body := range []string{
		strings.Replace(example, "CREATED", "DELETED", 1),
		strings.Replace(example, `"type"`, ` "type"`, 1), // the same JSON, other bytes
		example + "\n",
	} {
		if status := b.deliver(body, documentedSignature); status != http.StatusUnauthorized {
			t.Errorf("%.60s… is answered %d, want 401", body, status)
		}
	}
	if len(b.got) > 0 || b.outcome(outcomeForged) != 3 {
		t.Errorf("%d handed on, %d counted as forged, want 0 and 3", len(b.got), b.outcome(outcomeForged))
	}
	if n := b.logs.FilterMessage("a request to the webhook was refused").Len(); n != 1 {
		t.Errorf("%d lines in the log, want one a minute", n)
	}
}

func TestARepeatedDeliveryHasNoEffect(t *testing.T) {
	b := newBench(t, nil)
	for range 3 {
		if status := b.deliver(example, documentedSignature); status != http.StatusOK {
			t.Fatalf("answered %d, want 200: LinkedIn would send it again and again", status)
		}
	}
	// Registered again: another occurrence under the same id.
	again := strings.Replace(example, "1793012345678", "1793012345999", 1)
	deleted := strings.Replace(example, "CREATED", "DELETED", 1)
	for _, body := range []string{again, deleted} {
		if status := b.signed(body); status != http.StatusOK {
			t.Fatalf("answered %d", status)
		}
	}
	if len(b.got) != 3 || b.outcome(outcomeDuplicate) != 2 {
		t.Errorf("%d handed on and %d duplicates, want 3 and 2", len(b.got), b.outcome(outcomeDuplicate))
	}
}

func TestADeliveryFromLongAgoOrFromTheFutureIsRefused(t *testing.T) {
	b := newBench(t, nil)
	for _, age := range []time.Duration{7*24*time.Hour + time.Minute, -2 * time.Hour} {
		body := strings.Replace(example, "1793012345678", fmt.Sprint(occurredAt.Add(-age).UnixMilli()), 1)
		if status := b.signed(body); status != http.StatusBadRequest {
			t.Errorf("about %s ago: answered %d, want 400", age, status)
		}
	}
	if len(b.got) > 0 || b.outcome(outcomeStale) != 2 {
		t.Errorf("%d handed on, %d stale, want 0 and 2", len(b.got), b.outcome(outcomeStale))
	}
	for _, age := range []time.Duration{7*24*time.Hour - time.Minute, -time.Hour + time.Minute} { // a receiver may have been away, a clock may be wrong
		body := strings.Replace(example, "1793012345678", fmt.Sprint(occurredAt.Add(-age).UnixMilli()), 1)
		if status := b.signed(body); status != http.StatusOK {
			t.Errorf("about %s ago: answered %d, want 200", age, status)
		}
	}
}

// TestADeliveryHasItsBounds: in size, of which 16 KiB are forty times LinkedIn's, and
// in the time that its handling may take.
func TestADeliveryHasItsBounds(t *testing.T) {
	var left time.Duration
	b := newBench(t, func(o *Options) {
		o.Handle = func(ctx context.Context, _ lead.Notification) error {
			if ends, ok := ctx.Deadline(); ok {
				left = time.Until(ends)
			}
			return nil
		}
	})
	filled := func(size int) string { return example + strings.Repeat(" ", size-len(example)) }
	if status := b.signed(filled(16<<10 + 1)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a delivery of more than 16 KiB is answered %d, want 413", status)
	}
	if left != 0 {
		t.Error("it was handed on")
	}
	if status := b.signed(filled(16 << 10)); status != http.StatusOK {
		t.Errorf("a delivery of 16 KiB is answered %d, want 200", status)
	}
	if left <= 0 || left > 10*time.Second {
		t.Errorf("its handling may take %v, want at most 10 s", left)
	}
}

// TestAnHourOfNotificationsIsRemembered: LinkedIn repeats a delivery within hours;
// at nine a second those of an hour are known again.
func TestAnHourOfNotificationsIsRemembered(t *testing.T) {
	b := newBench(t, nil)
	of := func(i int) lead.Notification {
		return lead.Notification{Action: lead.Created, ResponseID: fmt.Sprint(i), OccurredAt: occurredAt}
	}
	for i := range 9 * 3600 {
		b.recent.add(of(i))
	}
	if !b.recent.has(of(0)) {
		t.Error("the first is forgotten")
	}
}

func TestWhatCouldNotBeKeptIsSentAgain(t *testing.T) {
	b := newBench(t, nil)
	b.fail = errors.New("Kafka is away")
	if status := b.deliver(example, documentedSignature); status != http.StatusServiceUnavailable {
		t.Fatalf("answered %d, want 503", status)
	}
	b.fail = nil
	if status := b.deliver(example, documentedSignature); status != http.StatusOK || len(b.got) != 1 {
		t.Errorf("sent again it is answered %d and handed on %d times, want 200 and once", status, len(b.got))
	}
}

func TestBothUnitsOfOccurredAtAreTaken(t *testing.T) {
	for text, want := range map[string]time.Time{
		"1793012345678":   occurredAt,
		`"1793012345678"`: occurredAt,
		// The second alone: whatever was submitted in it came before.
		"1793012345": time.UnixMilli(1793012345999).UTC(),
	} {
		b := newBench(t, nil)
		if status := b.signed(strings.Replace(example, "1793012345678", text, 1)); status != http.StatusOK {
			t.Errorf("occurredAt %s: answered %d", text, status)
		} else if got := b.got[0].OccurredAt; !got.Equal(want) {
			t.Errorf("occurredAt %s is read as %v, want %v", text, got, want)
		}
	}
}

func TestUnknownMembersAndSpellingsPass(t *testing.T) {
	for _, body := range []string{
		strings.Replace(example, "001,1)", "001, 1)", 1), // as LinkedIn's samples print it
		strings.Replace(example, `"type"`, `"new":{"deep":[1]},"type"`, 1),
		strings.Replace(example, `{"organization":"urn:li:organization:9000123"}`, `{"sponsoredAccount":"urn:li:sponsoredAccount:5"}`, 1),
	} {
		b := newBench(t, nil)
		if status := b.signed(body); status != http.StatusOK || len(b.got) != 1 || b.got[0].Form.Version != 1 {
			t.Errorf("%s\nis answered %d and handed on as %+v", body, status, b.got)
		}
	}
}

func TestWhatIsNoneOfOurBusinessIsAcknowledged(t *testing.T) {
	b := newBench(t, nil)
	for _, body := range []string{
		strings.Replace(example, "LEAD_ACTION", "ORGANIZATION_SOCIAL", 1),
		strings.Replace(example, "CREATED", "VIEWED", 1),
		`{}`,
	} {
		if status := b.signed(body); status != http.StatusOK {
			t.Errorf("%s\nis answered %d, want 200: else LinkedIn repeats it", body, status)
		}
	}
	if len(b.got) > 0 || b.outcome(outcomeIgnored) != 3 {
		t.Errorf("%d handed on, %d ignored, want 0 and 3", len(b.got), b.outcome(outcomeIgnored))
	}
}

func TestAMalformedDeliveryIsRefusedWithoutQuotingIt(t *testing.T) {
	const planted = "lead.one@example.com"
	bodies := []string{
		"", "{", "[]", "null ", `"` + planted + `"`,
		strings.Replace(example, "urn:li:leadGenFormResponse:8f0c2b9e-41d7-4c55-9e0b-6a1d2f3c4b5a-6", "", 1),
		strings.Replace(example, "urn:li:leadGenFormResponse:8f0c2b9e", "urn:li:person:"+planted, 1),
		strings.Replace(example, "urn:li:versionedLeadGenForm", planted, 1),
		strings.Replace(example, "urn:li:organization:9000123", planted, 1),
		strings.Replace(example, `"leadType":"EVENT",`, "", 1),
		strings.Replace(example, "1793012345678", `"`+planted+`"`, 1),
		strings.Replace(example, "1793012345678", "-5", 1),
		strings.Replace(example, `"LEAD_ACTION"`, `{"x":"`+planted+`"}`, 1),
		strings.Replace(example, "6a1d2f3c4b5a-6", strings.Repeat("9", 300), 1),
	}
	for _, body := range bodies {
		b := newBench(t, nil)
		status := b.signed(body)
		if status != http.StatusBadRequest && (body != "null " || status != http.StatusOK) {
			t.Errorf("%.80s is answered %d, want 400", body, status)
		}
		for _, entry := range b.logs.All() {
			if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, planted) || strings.Contains(text, "9999999") {
				t.Errorf("the log quotes the body: %s", text)
			}
		}
	}
}

func TestRequestsOfOtherShapesAreRefused(t *testing.T) {
	b := newBench(t, nil)
	if status := b.signed(example + strings.Repeat(" ", maxBody)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a long body is answered %d, want 413", status)
	}
	broken := httptest.NewRequest(http.MethodPost, Path, io.MultiReader(strings.NewReader("{"), failing{}))
	w := httptest.NewRecorder()
	b.ServeHTTP(w, broken)
	if w.Code < 400 {
		t.Errorf("a body that breaks off is answered %d", w.Code)
	}
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodOptions} {
		w := httptest.NewRecorder()
		b.ServeHTTP(w, httptest.NewRequest(method, Path, nil))
		if w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s is answered %d, want 405", method, w.Code)
		}
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the client has gone") }

func TestMemoryOfDeliveriesIsBoundedAndKeepsTheNewest(t *testing.T) {
	r := newRecent(100)
	at := func(i int) lead.Notification {
		return lead.Notification{Action: lead.Created, ResponseID: fmt.Sprint(i), OccurredAt: occurredAt}
	}
	for i := range 1000 {
		r.add(at(i))
		if i >= 100 && !r.has(at(i-100)) {
			t.Fatalf("delivery %d of the last 100 is forgotten", i-100)
		}
	}
	if n := len(r.new) + len(r.old); n > 200 {
		t.Errorf("%d deliveries are kept, want at most 200", n)
	}
	if r.has(at(0)) {
		t.Error("the first of a thousand is still known")
	}
}

func TestARefusalIsSaidOnceAMinuteWithHowOften(t *testing.T) {
	now := occurredAt
	o := &eventKind{every: warnEvery, now: func() time.Time { return now }}
	var said []int
	for range 5 {
		if times, say := o.come("forged"); say {
			said = append(said, times)
		}
	}
	now = now.Add(warnEvery)
	if times, say := o.come("forged"); say {
		said = append(said, times)
	}
	if fmt.Sprint(said) != "[1 5]" {
		t.Errorf("said with %v, want [1 5]", said)
	}
}

func TestAReceiverNeedsASecretAndAHandler(t *testing.T) {
	for _, o := range []Options{{Secret: secret}, {Handle: func(context.Context, lead.Notification) error { return nil }}} {
		if r, err := New(o); err == nil || r != nil {
			t.Errorf("New = %v, %v, want an error", r, err)
		}
	}
}

// FuzzDelivery: whatever is signed, there is no panic, and what is handed on is
// whole.
func FuzzDelivery(f *testing.F) {
	f.Add(example)
	f.Add(`{"type":"LEAD_ACTION","leadAction":"DELETED"}`)
	f.Add(`{"type":"LEAD_ACTION","leadAction":"CREATED","occurredAt":1e12}`)
	f.Fuzz(func(t *testing.T, body string) {
		n, err := read([]byte(body))
		if err != nil {
			return
		}
		if n.ResponseID == "" || n.Form.ID == "" || n.Source.Owner == "" || n.Source.Type == "" || n.OccurredAt.IsZero() {
			t.Errorf("%q is read as %+v", body, n)
		}
	})
}

func TestWebhookAddressHasThePathOfTheReceiver(t *testing.T) {
	for configured, want := range map[string]string{
		"https://hooks.example.com":        "https://hooks.example.com/webhooks/linkedin",
		"https://hooks.example.com/":       "https://hooks.example.com/webhooks/linkedin",
		"https://hooks.example.com/x/here": "https://hooks.example.com/x/here",
	} {
		if got := Address(configured); got != want {
			t.Errorf("Address(%q) = %q, want %q", configured, got, want)
		}
	}
}
