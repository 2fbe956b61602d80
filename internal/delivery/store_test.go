package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/checkpoint"
	"leadstream/internal/dedup"
	"leadstream/internal/embedded"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

const formID = "7130000000000000001"

var (
	src   = lead.Source{Owner: "urn:li:organization:9000123", Type: "EVENT"}
	topic = "linkedin.leads." + formID
)

// world is an embedded broker with a clock of the test's.
type world struct {
	t       *testing.T
	brokers []string
	cluster *kafka.Client
	now     time.Time
	opts    Options
}

func newWorld(t *testing.T) *world {
	t.Helper()
	stack, err := embedded.Start(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Close(); err != nil {
			t.Error(err)
		}
	})
	cluster, err := kafka.New(kafka.Config{Brokers: stack.Brokers, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	w := &world{t: t, brokers: stack.Brokers, cluster: cluster, now: time.Now().UTC().Truncate(time.Millisecond)}
	w.opts = Options{Cluster: cluster, Name: "leadstream", Prefix: "linkedin.leads.", Partitions: 1, ReplicationFactor: 1,
		Lookback: 168 * time.Hour, Now: func() time.Time { return w.now }, Log: zap.NewNop()}
	return w
}

// session is a new producer epoch with its state.
func (w *world) epoch() (*Store, *checkpoint.State) {
	w.t.Helper()
	o := w.opts
	o.Producer = w.cluster.NewProducer(o.Name, 15*time.Second)
	s := New(o)
	state, err := s.Open(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return s, state
}

func response(id string, at time.Time) *lead.Response {
	return &lead.Response{ID: id, SubmittedAt: at, Owner: src.Owner, Type: src.Type,
		Form: lead.FormRef{ID: formID, Version: 1}, Raw: []byte(`{"id":"` + id + `"}`), FetchedAt: at}
}

// ask puts the responses to the topics, reading what it takes.
func ask(t testing.TB, s *Store, l *dedup.View, q dedup.Query, rs ...*lead.Response) dedup.Diff {
	t.Helper()
	if refused, err := ensured(t, s, []string{formID}); err != nil || len(refused) > 0 {
		t.Fatalf("the topics: %v, %v", refused, err)
	}
	d, err := asked(t, s, l, q, rs...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func asked(t testing.TB, s *Store, l *dedup.View, q dedup.Query, rs ...*lead.Response) (d dedup.Diff, err error) {
	t.Helper()
	for range 10 {
		d, loads := s.Missing(l, q, rs)
		if len(loads) == 0 {
			return d, nil
		}
		for _, load := range loads {
			s.Read(t.Context(), load)
			if err := s.Loaded(load); err != nil {
				return d, err
			}
		}
	}
	t.Fatal("the topic is read again and again")
	return d, nil
}

// ensured makes the topics of the forms exist and be known.
func ensured(t testing.TB, s *Store, forms []string) (map[string]error, error) {
	t.Helper()
	looks := s.Unknown(forms)
	if err := s.LookAt(t.Context(), looks); err != nil {
		return nil, err
	}
	return s.Learn(t.Context(), looks)
}

// publish commits the responses as they are.
func publish(t *testing.T, s *Store, replay string, rs ...*lead.Response) {
	t.Helper()
	if refused, err := ensured(t, s, []string{formID}); err != nil || len(refused) > 0 {
		t.Fatalf("the topics: %v, %v", refused, err)
	}
	var b Batch
	for _, r := range rs {
		b.Leads = append(b.Leads, Lead{Response: r, Value: []byte{0, 0, 0, 0, 1, 2}, Delivery: DeliveryLive, Replay: replay})
	}
	b.Records = map[string]any{checkpoint.SourceKey(src): checkpoint.Progress{Live: rs[len(rs)-1].SubmittedAt}}
	if err := s.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func (w *world) window(from, to time.Duration) dedup.Query {
	return dedup.Query{Window: lead.Window{From: w.now.Add(from), To: w.now.Add(to)}, Fresh: freshFrom(w.now.Add(from))}
}

// freshFrom: nothing submitted from then on was ever published.
func freshFrom(t time.Time) []lead.Window {
	return []lead.Window{{From: t, To: t.AddDate(100, 0, 0)}}
}

func counts(v dedup.Diff) string {
	return fmt.Sprintf("missing %d held %d expired %d deleted %d", len(v.Missing), v.Held+len(v.Overtaken), len(v.Expired), v.Deleted)
}

func expect(t *testing.T, v dedup.Diff, missing, held, expired, deleted int) {
	t.Helper()
	want := counts(dedup.Diff{Missing: make([]*lead.Response, missing), Held: held, Expired: make([]*lead.Response, expired), Deleted: deleted})
	if got := counts(v); got != want {
		t.Errorf("verdict: %s, want %s", got, want)
	}
}

func TestACommittedLeadIsHeldInThisEpochAndTheNext(t *testing.T) {
	w := newWorld(t)
	s, state := w.epoch()
	if len(state.Sources) != 0 {
		t.Fatalf("first start has progress: %v", state.Sources)
	}
	at := w.now.Add(-time.Minute)
	l := s.NewView("")
	expect(t, ask(t, s, l, w.window(-time.Hour, 0), response("a", at), response("b", at), response("a", at)), 2, 0, 0, 0)
	publish(t, s, "", response("a", at))
	expect(t, ask(t, s, l, w.window(-time.Hour, 0), response("a", at), response("b", at)), 1, 1, 0, 0)

	next, state := w.epoch()
	if p, ok := state.Sources[src]; !ok || !p.Live.Equal(at) {
		t.Errorf("progress after restart = %v, want live %v", state.Sources, at)
	}
	if got := state.Topics[formID]; got.Leads != 1 || got.Topic != topic {
		t.Errorf("topic state after restart = %+v", got)
	}
	expect(t, ask(t, next, next.NewView(""), w.window(-time.Hour, 0), response("a", at), response("b", at)), 1, 1, 0, 0)
}

func TestAnIdIsHeldUpToItsLatestSubmission(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	at := w.now.Add(-time.Minute)
	publish(t, s, "", response("a", at))
	for _, fresh := range []bool{false, true} {
		if fresh {
			s, _ = w.epoch()
		}
		v := ask(t, s, s.NewView(""), w.window(-time.Hour, 0),
			response("a", at.Add(-time.Second)), response("a", at), response("a", at.Add(time.Second)))
		expect(t, v, 1, 2, 0, 0)
		if len(v.Missing) == 1 && !v.Missing[0].SubmittedAt.Equal(at.Add(time.Second)) {
			t.Errorf("missing = %v, want the later submission", v.Missing[0].SubmittedAt)
		}
	}
}

func TestMissingComesInOrderOfSubmission(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	var rs []*lead.Response
	for i := range 50 {
		rs = append(rs, response(fmt.Sprint(i), w.now.Add(-time.Duration(i*7919%50)*time.Second)))
	}
	v := ask(t, s, s.NewView(""), w.window(-time.Hour, time.Second), rs...)
	for i := 1; i < len(v.Missing); i++ {
		if v.Missing[i].SubmittedAt.Before(v.Missing[i-1].SubmittedAt) {
			t.Fatalf("missing %d is before missing %d", i, i-1)
		}
	}
}

// create makes a lead topic as somebody else did.
func (w *world) create(config map[string]string) {
	w.t.Helper()
	made, err := w.cluster.Admin.CreateTopics(w.t.Context(), []kafka.TopicSpec{{Name: topic, Partitions: 1, ReplicationFactor: 1, Configs: config}})
	if err != nil || made[topic] != nil {
		w.t.Fatalf("creating the topic: %v, %v", err, made[topic])
	}
}

// foreign writes to the lead topic as another program.
func (w *world) foreign(msgs ...kafka.Message) {
	w.t.Helper()
	p := w.cluster.NewProducer("somebody-else", 15*time.Second)
	if err := p.Init(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if _, err := p.Commit(w.t.Context(), msgs); err != nil {
		w.t.Fatal(err)
	}
}

func record(name, id string, at time.Time, value []byte) kafka.Message {
	return kafka.Message{Topic: topic, Key: []byte(id), Value: value, Time: at, Headers: []kafka.Header{
		{Key: HeaderSubmittedAt, Value: []byte(lead.FormatTime(at))}, {Key: HeaderName, Value: []byte(name)}}}
}

func TestARetentionShorterThanTheLookbackBringsNothingBack(t *testing.T) {
	w := newWorld(t)
	w.create(map[string]string{"retention.ms": "3600000"})
	w.foreign(record("leadstream", "recent", w.now.Add(-time.Minute), []byte("x")))
	s, _ := w.epoch()
	l := s.NewView("")
	a := w.window(-48*time.Hour, 0)
	rs := []*lead.Response{response("expired", w.now.Add(-24*time.Hour)), response("recent", w.now.Add(-time.Minute)), response("lost", w.now.Add(-2*time.Minute))}
	expect(t, ask(t, s, l, a, rs...), 1, 1, 1, 0) // a first start over a topic that exists
	a.Fresh = freshFrom(w.now)
	expect(t, ask(t, s, l, a, rs...), 1, 1, 1, 0) // looking back
	a.Explicit = true
	expect(t, ask(t, s, l, a, rs...), 2, 1, 0, 0) // an explicit replay
}

func TestATopicThatWeMadeTakesItsWholeBackfill(t *testing.T) {
	w := newWorld(t)
	w.opts.TopicConfig = map[string]string{"retention.ms": "3600000"}
	s, _ := w.epoch()
	v := ask(t, s, s.NewView(""), w.window(-300*24*time.Hour, 0), response("old", w.now.Add(-200*24*time.Hour)))
	expect(t, v, 1, 0, 0, 0)
}

func TestATopicDeletedAndMadeAgainByHandGetsOnlyNewLeads(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	old := w.now.Add(-time.Hour)
	publish(t, s, "", response("a", old), response("b", old))
	for _, byHand := range []bool{true, false} {
		if err := w.cluster.Admin.DeleteTopics(t.Context(), []string{topic}); err != nil {
			t.Fatal(err)
		}
		if byHand {
			w.create(nil)
		}
		s, _ = w.epoch()
		a := w.window(-2*time.Hour, time.Hour)
		a.Fresh = freshFrom(w.now) // everything older is below progress
		v := ask(t, s, s.NewView(""), a, response("a", old), response("b", old), response("new", w.now.Add(time.Second)))
		expect(t, v, 1, 0, 2, 0)
		publish(t, s, "", v.Missing...)
		a.Explicit = true
		expect(t, ask(t, s, s.NewView(""), a, response("a", old)), 1, 0, 0, 0)
	}
}

func TestATombstoneKeepsALeadOutUntilItIsSubmittedAgain(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	at := w.now.Add(-time.Hour)
	publish(t, s, "", response("a", at))
	m := record("leadstream", "a", w.now.Add(-time.Minute), nil)
	m.Headers = []kafka.Header{{Key: HeaderDeletedAt, Value: []byte(lead.FormatTime(w.now.Add(-time.Minute)))}}
	w.foreign(m)
	s, _ = w.epoch()
	v := ask(t, s, s.NewView(""), w.window(-2*time.Hour, 0), response("a", at), response("a", w.now.Add(-time.Second)))
	expect(t, v, 1, 0, 0, 1)
}

func TestRecordedDeletionsAreConsultedInEveryMode(t *testing.T) {
	w := newWorld(t)
	deletions := DeletionsTopic("leadstream")
	if _, err := w.cluster.Admin.CreateTopics(t.Context(), []kafka.TopicSpec{{Name: deletions, Partitions: 1, ReplicationFactor: 1}}); err != nil {
		t.Fatal(err)
	}
	w.foreign(kafka.Message{Topic: deletions, Key: []byte("a"), Value: []byte(lead.FormatTime(w.now)), Time: w.now})
	s, _ := w.epoch()
	a := w.window(-2*time.Hour, 0)
	a.Explicit = true
	for _, replay := range []string{"", "r1"} {
		expect(t, ask(t, s, s.NewView(replay), a, response("a", w.now.Add(-time.Hour)), response("b", w.now.Add(-time.Hour))), 1, 0, 0, 1)
	}
}

func TestAReplayOfAllPublishesEachLeadOncePerReplay(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	at := w.now.Add(-time.Hour)
	publish(t, s, "", response("a", at), response("b", at), response("b", at.Add(time.Minute)))
	a := w.window(-2*time.Hour, 0)
	a.Explicit = true
	rs := func() []*lead.Response {
		return []*lead.Response{response("a", at), response("b", at), response("b", at.Add(time.Minute)), response("new", at)}
	}
	l := s.NewView("r1")
	v := ask(t, s, l, a, rs()...)
	expect(t, v, 3, 1, 0, 0) // the superseded submission of b is not repeated
	publish(t, s, "r1", v.Missing[:2]...)
	expect(t, ask(t, s, l, a, rs()...), 1, 3, 0, 0)
	s, _ = w.epoch() // crashed in the middle
	expect(t, ask(t, s, s.NewView("r1"), a, rs()...), 1, 3, 0, 0)
	expect(t, ask(t, s, s.NewView("r2"), a, rs()...), 3, 1, 0, 0) // another replay
}

func TestMoreLeadsThanMemoryHoldsAreStillFound(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	var all []*lead.Response
	for i := range 500 {
		all = append(all, response(fmt.Sprint(i), w.now.Add(-time.Duration(500-i)*time.Minute)))
	}
	publish(t, s, "", all...)
	again := response("7", w.now.Add(-time.Minute)) // 7 registered again much later
	publish(t, s, "", again)
	w.opts.MaxHeld = 50
	s, _ = w.epoch()
	l := s.NewView("")
	for from := 500; from > 0; from -= 100 {
		a := w.window(-time.Duration(from)*time.Minute, -time.Duration(from-100)*time.Minute)
		part := append([]*lead.Response{}, all[500-from:600-from]...)
		if from == 500 {
			part = append(part, response("new", part[3].SubmittedAt))
		}
		v := ask(t, s, l, a, part...)
		if from == 500 {
			expect(t, v, 1, 100, 0, 0)
		} else {
			expect(t, v, 0, 100, 0, 0)
		}
		if l.Len() > 100 {
			t.Errorf("memory holds %d ids, want about 50", l.Len())
		}
	}
}

func TestAnotherInstallationsTopicIsRefusedUnlessAdopted(t *testing.T) {
	w := newWorld(t)
	w.create(nil)
	w.foreign(record("theirs", "x", w.now, []byte("x")))
	s, _ := w.epoch()
	refused, err := ensured(t, s, []string{formID})
	if err != nil {
		t.Fatal(err)
	}
	var foreign *ForeignTopicError
	if !errors.As(refused[formID], &foreign) || foreign.Name != "theirs" || fault.KindOf(refused[formID]) != fault.Suspend {
		t.Errorf("refused = %v, want a *ForeignTopicError that names theirs and suspends the form", refused)
	}
	w.opts.Adopt = true
	s, _ = w.epoch()
	expect(t, ask(t, s, s.NewView(""), w.window(-time.Hour, time.Hour), response("x", w.now), response("y", w.now)), 1, 1, 0, 0)
}

func TestADeadLetterIsWrittenOnceHoweverOftenItIsRead(t *testing.T) {
	w := newWorld(t)
	bad := &lead.Response{Raw: []byte(`{"submittedAt":1}`), Unreadable: "no id", Owner: src.Owner, FetchedAt: w.now}
	for restart := range 2 {
		s, _ := w.epoch()
		for range 2 {
			err := func() error {
				deadLetters := s.DeadLetters.New([]DeadLetter{{Response: bad, Stage: "DECODE", Reason: "r"}, {Response: bad, Stage: "DECODE", Reason: "r"}})
				if len(deadLetters) > 1 || restart > 0 && len(deadLetters) > 0 {
					t.Errorf("restart %d: new dead letters = %d", restart, len(deadLetters))
				}
				return s.Commit(t.Context(), Batch{DeadLetters: deadLetters})
			}()
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	var keys []string
	err := w.cluster.Reader.Read(t.Context(), "leadstream.deadletters", kafka.From{}, func(r *kafka.Record) error {
		keys = append(keys, string(r.Key))
		return nil
	})
	if err != nil || len(keys) != 1 {
		t.Errorf("dead letters = %v, %v; want one", keys, err)
	}
}

func TestAnElementWithoutIdHasOneKeyHoweverItIsWritten(t *testing.T) {
	key := func(raw string) string { return DeadLetter{Response: &lead.Response{Raw: []byte(raw)}}.Key() }
	one := key(`{"submittedAt":1,"owner":{"organization":"a","x":7130000000000000001}}`)
	for raw, same := range map[string]bool{
		`{ "owner": {"x":7130000000000000001, "organization":"a"}, "submittedAt":1 }`: true,
		`{"submittedAt":1,"owner":{"organization":"a","x":7130000000000000002}}`:      false,
		`{"submittedAt":1`: false, // cut off
	} {
		if got := key(raw); (got == one) != same || !strings.HasPrefix(got, "sha256:") {
			t.Errorf("key of %s = %s, that of the same element %s; want them equal: %v", raw, got, one, same)
		}
	}
}

func TestALargeDeadLetterIsTruncatedWithItsHash(t *testing.T) {
	w := newWorld(t)
	w.opts.MaxDeadLetter = 10
	s, _ := w.epoch()
	m := s.deadMessage(DeadLetter{Response: &lead.Response{Raw: []byte("0123456789abc")}})
	if string(m.Value) != "0123456789" {
		t.Errorf("value = %q, want its first ten bytes", m.Value)
	}
	for _, h := range m.Headers {
		if h.Key == HeaderTruncated && len(h.Value) == 64 {
			return
		}
	}
	t.Error("no hash of the whole element among the headers")
}

func TestACheckpointTopicThatIsNotCompactedIsRefused(t *testing.T) {
	w := newWorld(t)
	_, err := w.cluster.Admin.CreateTopics(t.Context(), []kafka.TopicSpec{{Name: "leadstream.checkpoints", Partitions: 1, ReplicationFactor: 1,
		Configs: map[string]string{"cleanup.policy": "delete"}}})
	if err != nil {
		t.Fatal(err)
	}
	o := w.opts
	o.Producer = w.cluster.NewProducer(o.Name, 15*time.Second)
	_, err = New(o).Open(context.Background())
	var policy *PolicyError
	if !errors.As(err, &policy) || fault.KindOf(err) != fault.Fatal {
		t.Errorf("Open = %v, want a fatal *PolicyError", err)
	}
}

func TestAnUnreadableCheckpointStopsAndAMissingOneDoesNot(t *testing.T) {
	w := newWorld(t)
	w.epoch() // makes the topic
	w.foreign(kafka.Message{Topic: "leadstream.checkpoints", Key: []byte("source/a/EVENT"), Value: []byte("{"), Time: w.now})
	o := w.opts
	o.Producer = w.cluster.NewProducer(o.Name, 15*time.Second)
	_, err := New(o).Open(t.Context())
	if fault.KindOf(err) != fault.Fatal {
		t.Errorf("Open = %v, want a fatal error", err)
	}
}

func TestRecordTimeIsNeverBeforeTheSubmission(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	ahead := w.now.Add(5 * time.Minute) // our clock is behind LinkedIn's
	msgs := s.messages([]Lead{{Response: response("a", ahead)}, {Response: response("b", w.now.Add(-time.Hour))}}, nil)
	if !msgs[0].Time.Equal(ahead) || !msgs[1].Time.Equal(w.now) {
		t.Errorf("record times = %v, %v; want the submission and our clock", msgs[0].Time, msgs[1].Time)
	}
}
