package status

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"leadstream/config"
	"leadstream/connector"
	"leadstream/internal/delivery"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
	"leadstream/internal/oauth"
	"leadstream/internal/web"
	"leadstream/internal/webhook"
)

// idleViewer is a viewer of a process that does nothing, for which Kafka and the
// registry answer as told.
func idleViewer(t *testing.T, kafkaErr, registryErr error) *Viewer {
	t.Helper()
	c := config.Default()
	v := New(Parts{
		Config: c, Reached: func() bool { return true }, Beat: oauth.NewHeartbeat(nil, oauth.HeartbeatOptions{}),
		Work: connector.New(connector.Options{Interval: time.Minute, Lookback: time.Hour, Log: zap.NewNop()}),
	})
	v.kafka = newCached(time.Second, func(context.Context) (struct{}, error) { return struct{}{}, kafkaErr })
	v.schemas = newCached(time.Second, func(context.Context) (struct{}, error) { return struct{}{}, registryErr })
	v.progress = newCached(topicAge, func(context.Context) (connector.Status, error) { return connector.Status{}, nil })
	v.letters = newCached(topicAge, func(context.Context) (delivery.DeadLetterCount, error) { return delivery.DeadLetterCount{}, nil })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return v
}

// parts are the parts of what is degraded, in order.
func parts(list []web.Degradation) string {
	var names []string
	for _, d := range list {
		names = append(names, d.Part)
		if d.Reason == "" {
			names = append(names, "without a reason")
		}
	}
	return strings.Join(names, " ")
}

func TestWhatDoesNotAnswerIsDegraded(t *testing.T) {
	away := errors.New("broker-7.internal.example:9092: connection refused")
	for _, tt := range []struct {
		name            string
		kafka, registry error
		want            string
	}{
		{"all is well", nil, nil, ""},
		{"Kafka away after it was reached", away, nil, "kafka"},
		{"registry away", nil, away, "registry"},
		{"both", away, away, "kafka registry"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := idleViewer(t, tt.kafka, tt.registry).Ready()
			if got := parts(r.Degraded); !r.Ready || got != tt.want {
				t.Errorf("ready %t, degraded %q, want ready and %q", r.Ready, got, tt.want)
			}
			for _, d := range r.Degraded {
				if strings.Contains(d.Reason+d.Todo, "broker-7") || d.Todo == "" {
					t.Errorf("to everybody it is told %+v, want what to do and no address", d)
				}
			}
		})
	}
}

func TestKafkaIsAwayAsSoonAsWorkWaitsForIt(t *testing.T) {
	v := idleViewer(t, nil, nil)
	v.Work.Issues().Report("", "polling", fmt.Errorf("committing: %w", &kafka.UnreachableError{Op: "committing", Err: errors.New("EOF")}))
	if got := parts(v.Ready().Degraded); got != "kafka" {
		t.Errorf("degraded = %q, want kafka", got)
	}
	v.Work.Issues().Resolve("polling")
	if got := parts(v.Ready().Degraded); got != "" {
		t.Errorf("once it is over: %q, want nothing", got)
	}
}

// monitored asks the probe once a second, as a monitor may, and gives how long it
// was until nothing was degraded.
func monitored(t *testing.T, v *Viewer, most time.Duration) time.Duration {
	t.Helper()
	for began := time.Now(); ; time.Sleep(time.Second) {
		r := v.Ready()
		if len(r.Degraded) == 0 {
			return time.Since(began)
		}
		if time.Since(began) > most {
			t.Fatalf("after %v: %+v", time.Since(began), r.Degraded)
		}
	}
}

func TestThatSomebodyLookedAtThePageDuringAnOutageDoesNotKeepTheProbeRed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := idleViewer(t, nil, nil)
		var away error = &kafka.UnreachableError{Op: "asking for offsets", Err: errors.New("EOF")}
		v.letters.find = func(ctx context.Context) (delivery.DeadLetterCount, error) {
			v.tell(ctx, "counting the dead letters", away)
			return delivery.DeadLetterCount{}, away
		}
		v.letters.get(t.Context()) //nolint:errcheck // as the page does
		if got := parts(v.Ready().Degraded); got != "kafka" {
			t.Fatalf("while it is away: %q, want kafka", got)
		}
		synctest.Wait()
		away = nil
		monitored(t, v, 2*healthAge) // and nobody opens the page
	})
}

func TestWhatNobodyTriesAnyMoreDoesNotKeepTheProbeRed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := idleViewer(t, nil, nil)
		v.Work.Issues().Report("", "something that is never done again", &kafka.UnreachableError{Op: "writing", Err: errors.New("EOF")})
		if took := monitored(t, v, givenUp+time.Minute); took < time.Minute {
			t.Errorf("taken for given up after %v, which is no longer than the pause between two attempts", took)
		}
	})
}

// Nobody opens the page of a standby, but its strict probe is watched.
func TestTheProbeOfAStandbySaysWhatTheCheckpointTopicSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := idleViewer(t, nil, nil)
		known := connector.Status{}
		v.progress.find = func(context.Context) (connector.Status, error) { return known, nil }
		monitored(t, v, 0)
		synctest.Wait() // until nobody looks
		known = connector.Status{Organizations: []connector.OrganizationStatus{{URN: "urn:li:organization:1", Problem: "the role is missing"}},
			Forms: []connector.FormStatus{{ID: "7", State: "suspended"}}}
		for began := time.Now(); parts(v.Ready().Degraded) != "role form"; time.Sleep(time.Second) {
			if time.Since(began) > topicAge+time.Second {
				t.Fatalf("after %v: %+v, want the role and the form", time.Since(began), v.Ready().Degraded)
			}
		}
		synctest.Wait()
		known = connector.Status{} // recovered
		monitored(t, v, topicAge+time.Second)
	})
}

// A monitor may ask every few minutes, or once: the answer is not that of its last
// question, and before the first one all is not well.
func TestTheProbeOfAStandbyIsNoOlderThanTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := connector.Status{Organizations: []connector.OrganizationStatus{{URN: "urn:li:organization:1", Problem: "the role is missing"}}}
		v := idleViewer(t, nil, nil)
		known := lost
		v.progress.find = func(context.Context) (connector.Status, error) {
			time.Sleep(readyPatience / 2)
			return known, nil
		}
		for _, c := range []struct {
			now  connector.Status
			want string
		}{{lost, "role"}, {connector.Status{}, ""}, {lost, "role"}} {
			known = c.now
			time.Sleep(5 * time.Minute)
			if got := parts(v.Ready().Degraded); got != c.want {
				t.Errorf("degraded = %q, want %q", got, c.want)
			}
		}
	})
}

func TestNotReadyBeforeKafkaWasReached(t *testing.T) {
	v := idleViewer(t, nil, nil)
	v.Reached = func() bool { return false }
	if r := v.Ready(); r.Ready || parts(r.Degraded) != "kafka" {
		t.Errorf("ready %t, degraded %+v", r.Ready, r.Degraded)
	}
}

// With webhook.signature as it is by default, and a LinkedIn that signs in the other
// form that was seen.
func TestNotificationsThatAreAllRefusedAreDegraded(t *testing.T) {
	v := idleViewer(t, nil, nil)
	var err error
	v.Receiver, err = webhook.New(webhook.Options{Secret: "s", Handle: func(context.Context, lead.Notification) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	if got := parts(v.Ready().Degraded); strings.Contains(got, "notifications") {
		t.Errorf("degraded before any came: %s", got)
	}
	body := `{"type":"LEAD_ACTION"}`
	mac := hmac.New(sha256.New, []byte("s"))
	mac.Write([]byte(body))
	r := httptest.NewRequest(http.MethodPost, webhook.Path, strings.NewReader(body))
	r.Header.Set("X-LI-Signature", hex.EncodeToString(mac.Sum(nil)))
	v.Receiver.ServeHTTP(httptest.NewRecorder(), r)
	ready := v.Ready()
	if !ready.Ready || parts(ready.Degraded) != "notifications" || !strings.Contains(ready.Degraded[0].Todo, "`webhook.signature`") {
		t.Errorf("ready %t, degraded %+v; want the setting named", ready.Ready, ready.Degraded)
	}
}

func TestEveryThingThatIsAmissIsNamedOnce(t *testing.T) {
	v := idleViewer(t, nil, nil)
	long := time.Now().Add(-time.Hour)
	fresh := time.Now()
	org := func(n int, problem string) connector.OrganizationStatus {
		return connector.OrganizationStatus{URN: fmt.Sprint("urn:li:organization:", n), Name: fmt.Sprint("Org ", n), Problem: problem}
	}
	src := func(n int, success time.Time) connector.SourceStatus {
		return connector.SourceStatus{Owner: fmt.Sprint("urn:li:organization:", n), LeadType: "EVENT", Success: success}
	}
	refused, waits := src(1, long), src(2, long)
	refused.Problem, waits.Problem, waits.Waits = "410", "consent is needed", true
	behind := src(4, fresh)
	behind.Live = long.Add(-time.Hour)
	at := func(s connector.Status) connector.Status { s.Active, s.Since = true, long; return s }
	for _, tt := range []struct {
		name    string
		status  connector.Status
		consent bool
		want    []string // what the reasons say
	}{
		{"all is well", at(connector.Status{Organizations: []connector.OrganizationStatus{org(1, "")}, Sources: []connector.SourceStatus{src(1, fresh)}}), false, nil},
		{"a role lost, told at the organization alone", at(connector.Status{Organizations: []connector.OrganizationStatus{org(1, "the role is missing")}, Sources: []connector.SourceStatus{refused}}), false,
			[]string{"urn:li:organization:1 cannot be read: the role is missing"}},
		{"refused", at(connector.Status{Organizations: []connector.OrganizationStatus{org(1, "")}, Sources: []connector.SourceStatus{refused}}), false, []string{"LinkedIn refuses to be read: urn:li:organization:1"}},
		{"late, in one line", at(connector.Status{Organizations: []connector.OrganizationStatus{org(1, ""), org(2, "")}, Sources: []connector.SourceStatus{src(1, long), src(2, long), src(3, long), src(4, long), src(5, fresh)}}), false,
			[]string{"not read for three intervals: urn:li:organization:1, urn:li:organization:2, urn:li:organization:3 and 1 more"}},
		{"never read, but the epoch is young", connector.Status{Active: true, Since: fresh, Sources: []connector.SourceStatus{src(1, time.Time{})}}, false, nil},
		{"never read", at(connector.Status{Sources: []connector.SourceStatus{src(1, time.Time{})}}), false, []string{"not read for three intervals: urn:li:organization:1"}},
		{"read, and only up to a time long ago", at(connector.Status{Sources: []connector.SourceStatus{behind, src(5, fresh)}}), false, []string{"LinkedIn's clock is behind this machine's, so that leads come late: urn:li:organization:4"}},
		{"a standby has no source that is late", connector.Status{Since: long, Sources: []connector.SourceStatus{src(1, long)}}, false, nil},
		{"waits for somebody", at(connector.Status{Sources: []connector.SourceStatus{waits}}), false, []string{"nothing is read until somebody acts: urn:li:organization:2"}},
		{"waits for the consent, which is told already", at(connector.Status{Sources: []connector.SourceStatus{waits}}), true, nil},
		{"a form suspended", at(connector.Status{Forms: []connector.FormStatus{{ID: "7", Name: "Registration", State: "suspended", Problem: "secret-host refused", Todo: "delete the subject"}, {ID: "8", State: "ok"}}}), false,
			[]string{"7 is suspended; its leads are kept"}},
		{"a form without a name", at(connector.Status{Forms: []connector.FormStatus{{ID: "7", State: "suspended"}}}), false, []string{"7 is suspended"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list := append(append(roles(tt.status), v.unread(tt.status, tt.consent)...), suspended(tt.status)...)
			if len(list) != len(tt.want) {
				t.Fatalf("degraded = %+v, want %q", list, tt.want)
			}
			for i, d := range list {
				if !strings.HasPrefix(d.Reason, tt.want[i]) || strings.Contains(d.Reason, "secret-host") {
					t.Errorf("reason = %q, want %q", d.Reason, tt.want[i])
				}
			}
		})
	}
}

func TestWhatHasOneReasonIsToldInOneLineHoweverMuchItIs(t *testing.T) {
	var st connector.Status
	for i := range 1000 {
		st.Forms = append(st.Forms, connector.FormStatus{ID: fmt.Sprint(7130000000000000000 + i), State: "suspended", Todo: "delete the subject"})
		st.Organizations = append(st.Organizations, connector.OrganizationStatus{URN: fmt.Sprint("urn:li:organization:", i), Problem: "the role is missing", Todo: "have it given"})
	}
	st.Forms[1].Todo = "see why the registry refuses this schema"
	list := suspended(st)
	if len(list) != 2 || list[0].Reason != "7130000000000000000, 7130000000000000002, 7130000000000000003 and 996 more are suspended; their leads are kept" ||
		list[0].Todo != "delete the subject" || list[1].Reason != "7130000000000000001 is suspended; its leads are kept" {
		t.Errorf("suspended forms are told as %+v", list)
	}
	if list := roles(st); len(list) != 1 || !strings.HasSuffix(list[0].Reason, "urn:li:organization:2 and 997 more cannot be read: the role is missing") {
		t.Errorf("lost roles are told as %+v", list)
	}
	for i := range st.Forms {
		st.Forms[i].Todo = fmt.Sprint("do thing ", i)
	}
	list = suspended(st)
	if last := list[len(list)-1]; len(list) != mostBundles || !strings.Contains(last.Reason, " and 988 more") || last.Todo != "see the status page" {
		t.Errorf("a thousand remedies make %d lines, the last one %+v", len(list), last)
	}
}

func TestTheProbeTellsStrangersNoNames(t *testing.T) {
	v := idleViewer(t, nil, nil)
	st := connector.Status{Active: true, Since: time.Now().Add(-time.Hour),
		Organizations: []connector.OrganizationStatus{{URN: "urn:li:organization:1", Name: "Contoso Secret Merger", Problem: "the role is missing"},
			{URN: "urn:li:organization:2", Name: "Contoso Holding"}},
		Sources: []connector.SourceStatus{{Owner: "urn:li:organization:2"}},
		Forms:   []connector.FormStatus{{ID: "7", Name: "Project Falcon launch", State: "suspended"}}}
	text := fmt.Sprint(roles(st), v.unread(st, false), suspended(st))
	for _, id := range []string{"urn:li:organization:1", "urn:li:organization:2", "7 is suspended"} {
		if !strings.Contains(text, id) {
			t.Errorf("%s is not told of: %s", id, text)
		}
	}
	for _, name := range []string{"Contoso", "Falcon"} {
		if strings.Contains(text, name) {
			t.Errorf("without a password /readyz names %q: %s", name, text)
		}
	}
}
