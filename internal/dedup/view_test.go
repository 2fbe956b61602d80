package dedup

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"leadstream/internal/lead"
)

var t0 = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func minute(m int) time.Time { return t0.Add(time.Duration(m) * time.Minute) }

func between(from, to int) lead.Window { return lead.Window{From: minute(from), To: minute(to)} }

func row(id string, m int) *lead.Response { return &lead.Response{ID: id, SubmittedAt: minute(m)} }

// record is a record of a fake topic.
type record struct {
	id string
	Entry
}

// topics is a Source over a fake log. What was committed last may not be visible yet.
type topics struct {
	log     map[string][]record
	visible map[string]int
	deaf    bool // does not wait for what was committed
}

func (s *topics) WaitVisible(_ context.Context, topic string, committed map[int]int64) error {
	if !s.deaf {
		s.visible[topic] = max(s.visible[topic], int(committed[0])+1)
	}
	return nil
}

func (s *topics) Records(_ context.Context, topic string, from time.Time, fn func([]byte, Entry) error) error {
	for _, r := range s.log[topic][:min(s.visible[topic], len(s.log[topic]))] {
		if r.At.Millis() < from.Add(-time.Hour).UnixMilli() {
			continue
		}
		if err := fn([]byte(r.id), r.Entry); err != nil {
			return err
		}
	}
	return nil
}

func (s *topics) Bounds(_ context.Context, topic string, _ []int64) ([]Bounds, error) {
	return []Bounds{{End: int64(len(s.log[topic]))}}, nil
}

func newTopics() *topics { return &topics{log: map[string][]record{}, visible: map[string]int{}} }

// commit appends a record, and lets the views know.
func (s *topics) commit(topic string, r record, views ...*View) {
	s.visible[topic] = len(s.log[topic]) // what was there before is visible now
	s.log[topic] = append(s.log[topic], r)
	for _, v := range views {
		v.Committed(topic, r.id, r.Entry)
	}
}

func (s *topics) committed(topic string) map[int]int64 {
	return map[int]int64{0: int64(len(s.log[topic]) - 1)}
}

// query is one about rows of a topic with no horizon and no deletions.
func (s *topics) query(topic string, w lead.Window, rows ...*lead.Response) Query {
	return Query{Topic: topic, Window: w, Rows: rows, Facts: &Facts{Retention: -1}, Now: minute(1 << 20),
		Deleted: func(string, int64) bool { return false }, Committed: s.committed(topic)}
}

// ask loads what the answer takes.
func (s *topics) ask(t *testing.T, v *View, q Query) Diff {
	t.Helper()
	for range 20 {
		d, load := v.Diff(q)
		if load == nil {
			return d
		}
		if err := Read(t.Context(), s, load); err != nil {
			t.Fatal(err)
		}
		v.Finish(load)
	}
	t.Fatal("the view is never loaded")
	return Diff{}
}

func ids(rows []*lead.Response) (ids []string) {
	for _, r := range rows {
		ids = append(ids, fmt.Sprintf("%s@%d", r.ID, int(r.SubmittedAt.Sub(t0).Minutes())))
	}
	return ids
}

func TestAnIdIsHeldUpToItsLatestSubmission(t *testing.T) {
	s := newTopics()
	s.commit("x", record{"a", Entry{At: Submitted(minute(5))}})
	s.commit("x", record{"b", Entry{At: Submitted(minute(4))}})
	s.commit("x", record{"b", Entry{At: Submitted(minute(6))}})
	s.commit("x", record{"c", Entry{At: Deleted(minute(5))}})
	v := NewView(ViewOptions{Budget: 1000})
	d := s.ask(t, v, s.query("x", between(0, 10), row("a", 5), row("a", 5), row("a", 4), row("a", 6), row("b", 4), row("b", 6), row("c", 5), row("c", 6), row("d", 1)))
	if got, want := ids(d.Missing), []string{"d@1", "a@6", "c@6"}; !slices.Equal(got, want) {
		t.Errorf("missing %v, want %v", got, want)
	}
	if got, want := ids(d.Overtaken), []string{"a@4"}; !slices.Equal(got, want) {
		t.Errorf("overtaken %v, want %v: the older one of b is in the topic", got, want)
	}
	if d.Held != 3 || d.Deleted != 1 {
		t.Errorf("held %d, deleted %d; want 3 and 1", d.Held, d.Deleted)
	}
}

func TestAReplayPublishesEachLatestSubmissionOnceUnderItsName(t *testing.T) {
	s := newTopics()
	s.commit("x", record{"a", Entry{At: Submitted(minute(1))}})
	s.commit("x", record{"a", Entry{At: Submitted(minute(2))}})
	s.commit("x", record{"b", Entry{At: Submitted(minute(3))}})
	s.commit("x", record{"b", Entry{At: Submitted(minute(3)), Replay: "r"}})
	s.commit("x", record{"c", Entry{At: Submitted(minute(4)), Replay: "other"}})
	s.commit("x", record{"d", Entry{At: Deleted(minute(6))}})
	for _, budget := range []int{1000, 2} { // also where it knows a part alone
		v := NewView(ViewOptions{Replay: "r", Budget: budget})
		d := s.ask(t, v, s.query("x", between(0, 5), row("a", 1), row("a", 2), row("b", 3), row("c", 4), row("d", 4), row("e", 4)))
		if got, want := ids(d.Missing), []string{"a@2", "c@4", "e@4"}; !slices.Equal(got, want) {
			t.Errorf("budget %d: missing %v, want %v", budget, got, want)
		}
	}
}

func TestAViewOfAFewIdsKnowsThoseAlone(t *testing.T) {
	s := newTopics()
	for i := range 100 {
		s.commit("x", record{fmt.Sprint(i), Entry{At: Submitted(minute(i))}})
	}
	v := NewView(ViewOptions{Only: map[string]struct{}{"7": {}, "200": {}}, Budget: 10})
	l := v.Begin("x", between(0, 1000), &Facts{}, s.committed("x"))
	if err := Read(t.Context(), s, l); err != nil {
		t.Fatal(err)
	}
	v.Finish(l)
	s.commit("x", record{"200", Entry{At: Submitted(minute(200))}}, v)
	s.commit("x", record{"201", Entry{At: Submitted(minute(201))}}, v)
	at, met := v.Latest("x", "7")
	later, metLater := v.Latest("x", "200")
	if !met || at != Submitted(minute(7)) || !metLater || later != Submitted(minute(200)) || v.ids.Len() != 2 {
		t.Errorf("7: %v, 200: %v, %d ids; want these two alone", at, later, v.ids.Len())
	}
}

func TestALoadOfATopicThatWasDroppedCountsForNothing(t *testing.T) {
	s := newTopics()
	s.commit("x", record{"a", Entry{At: Submitted(minute(5))}})
	v := NewView(ViewOptions{Budget: 1000})
	l := v.Begin("x", between(0, 10), &Facts{}, s.committed("x"))
	if err := Read(t.Context(), s, l); err != nil {
		t.Fatal(err)
	}
	v.Drop("x")
	v.Finish(l)
	if v.Covers("x", between(0, 10)) {
		t.Error("the view covers a topic that was dropped while it was read")
	}
}

func TestWhatIsReadOnceIsNotReadAgainWhileWindowsGoForward(t *testing.T) {
	s := newTopics()
	for i := range 100 {
		s.commit("x", record{fmt.Sprint(i), Entry{At: Submitted(minute(i))}})
	}
	v := NewView(ViewOptions{Budget: 1000})
	s.ask(t, v, s.query("x", between(10, 20), row("15", 15)))
	for from := 11; from < 200; from += 10 {
		if _, load := v.Diff(s.query("x", between(from, from+10), row("15", 15))); load != nil {
			t.Fatalf("the window from %d on is read again", from)
		}
		v.Forget(minute(from))
	}
	if _, load := v.Diff(s.query("x", between(5, 20), row("15", 15))); load == nil {
		t.Error("a window that begins earlier is not read")
	}
}

// Whatever is committed between and beside the loads, and however little a view may
// keep, it answers as one would who knows the topics whole.
func TestAViewAnswersLikeOneWhoKnowsTheTopicsWhole(t *testing.T) {
	for seed := range uint64(400) {
		if wrong := disagreement(t, seed, false, false); wrong != "" {
			t.Fatalf("seed %d: %s", seed, wrong)
		}
	}
}

// What the test above would miss, it would be worth nothing for.
func TestTheModelFindsAViewThatLacksSomething(t *testing.T) {
	for name, broken := range map[string]struct{ deaf, forgetful bool }{
		"one that does not wait until what was committed is visible":   {deaf: true},
		"one that does not take in what is committed while it is read": {forgetful: true},
	} {
		found := 0
		for seed := range uint64(400) {
			if disagreement(t, seed, broken.deaf, broken.forgetful) != "" {
				found++
			}
		}
		if found < 20 {
			t.Errorf("%s is found with %d seeds of 400", name, found)
		}
	}
}

// disagreement runs two views, one in parts, over topics that are written to meanwhile,
// and says where one answers otherwise than the topics.
func disagreement(t *testing.T, seed uint64, deaf, forgetful bool) string {
	rnd := rand.New(rand.NewPCG(seed, 3))
	s := newTopics()
	s.deaf = deaf
	names := []string{"x", "y"}
	views := []*View{NewView(ViewOptions{Budget: 1 << 20}), NewView(ViewOptions{Budget: 8 + rnd.IntN(40)}), NewView(ViewOptions{Budget: 1 << 20, Replay: "r"})}
	var under []*Load // way
	of := map[*Load]*View{}
	commit := func(topic string) {
		r := record{fmt.Sprint(rnd.IntN(60)), Entry{At: Submitted(minute(rnd.IntN(300)))}}
		switch rnd.IntN(12) {
		case 0:
			r.At = Deleted(minute(rnd.IntN(300)))
		case 1:
			r.Replay = "r"
		}
		told := views
		if forgetful && len(under) > 0 {
			told = nil
		}
		s.commit(topic, r, told...)
	}
	for range 200 {
		topic := names[rnd.IntN(2)]
		if len(under) > 0 && rnd.IntN(2) == 0 { // a load goes on
			l := under[0]
			under = under[1:]
			if rnd.IntN(4) == 0 {
				commit(l.Topic)
			}
			if err := Read(t.Context(), s, l); err != nil {
				t.Fatal(err)
			}
			for range rnd.IntN(3) {
				commit(l.Topic)
			}
			of[l].Finish(l)
			continue
		}
		switch rnd.IntN(6) {
		case 0, 1:
			commit(topic)
		case 2: // another line of work begins
			i := rnd.IntN(len(views))
			views[i] = NewView(ViewOptions{Budget: views[i].budget, Replay: views[i].replay})
		default:
			v := views[rnd.IntN(len(views))]
			from := rnd.IntN(250)
			var rows []*lead.Response
			if log := s.log[topic]; len(log) > 0 { // what was committed of late
				r := log[max(len(log)-1-rnd.IntN(6), 0)]
				m := int(r.At.Millis()-t0.UnixMilli()) / 60_000
				from = max(m-rnd.IntN(50), 0)
				rows = append(rows, row(r.id, m))
			}
			for range 1 + rnd.IntN(8) {
				rows = append(rows, row(fmt.Sprint(rnd.IntN(60)), from+rnd.IntN(50)))
			}
			q := s.query(topic, between(from, from+50), rows...)
			d, load := v.Diff(q)
			if load != nil {
				under, of[load] = append(under, load), v
				continue
			}
			if want := s.truth(v, q); !slices.Equal(ids(d.Missing), want) {
				return fmt.Sprintf("replay %q, window %d: missing %v, want %v", v.replay, from, ids(d.Missing), want)
			}
			for _, r := range d.Missing { // and they are published
				if r.ID != "" {
					s.commit(topic, record{r.ID, Entry{At: Submitted(r.SubmittedAt), Replay: v.replay}}, views...)
				}
			}
		}
	}
	return ""
}

// truth is what is missing to one who knows the topic whole.
func (s *topics) truth(v *View, q Query) []string {
	latest, replayed := map[string]At{}, map[string]bool{}
	for _, r := range s.log[q.Topic] {
		latest[r.id] = max(latest[r.id], r.At)
		if r.Replay != "" && r.Replay == v.replay {
			replayed[fmt.Sprint(r.id, r.At.Millis())] = true
		}
	}
	var missing []*lead.Response
	met := map[string]bool{}
	for _, r := range q.Rows {
		at, key := Submitted(r.SubmittedAt), fmt.Sprint(r.ID, r.SubmittedAt.UnixMilli())
		again := v.replay != "" && latest[r.ID] == at && !replayed[key]
		if !met[key] && (latest[r.ID] < at || again) {
			missing = append(missing, r)
		}
		met[key] = true
	}
	slices.SortFunc(missing, func(a, b *lead.Response) int {
		return cmp.Or(a.SubmittedAt.Compare(b.SubmittedAt), cmp.Compare(a.ID, b.ID))
	})
	return ids(missing)
}
