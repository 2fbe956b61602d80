package delivery

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// clockMargin is how much earlier than a window's start a topic is read from.
// A record's time is never before its lead's submission, so the offset of the
// window's start would do, were all clocks the same; brokers that stamp records
// themselves (LogAppendTime) make a margin necessary.
const clockMargin = time.Hour

// View is one line of work (live polling, one source's backlog, one replay) and
// what it knows of the topics. What a view has read from a topic it does not
// read again while its windows move forward; what any view commits enters all
// of them. Everything a View does happens while its store's mutex is held, so
// several goroutines may share one.
type View struct {
	store   *Store
	ids     index
	covered map[string]coverage
	seeds   map[string]maphash.Seed
	// replayed holds, for a replay in mode all, which submissions have gone out
	// under its id.
	replay   string
	replayed map[string]map[uint64]int64 // to the time of submission, in epoch milliseconds
	// superseded holds the submissions that are in a topic beside a later one of
	// their id, of which the ids keep the latest.
	superseded map[uint64]int64 // to the time of submission, in epoch milliseconds
}

// coverage is the submission time for which everything that a topic holds is in
// the view's memory.
type coverage struct {
	from, to int64 // epoch milliseconds, half-open
}

func (c coverage) holds(from, to int64) bool { return c.from <= from && to <= c.to }

// Query is a question to the topics about the responses of one window.
type Query struct {
	Window lead.Window
	// Fresh are the windows of which nothing was ever published: what a topic lacks
	// of them it never had. Of all else it may have had and lost what lies before
	// its horizon.
	Fresh []lead.Window
	// Explicit lifts the horizon: somebody asked for exactly this window.
	Explicit bool
}

// IsFresh reports whether nothing submitted at t was ever published.
func (a *Query) IsFresh(t time.Time) bool {
	for _, w := range a.Fresh {
		if w.Contains(t) {
			return true
		}
	}
	return false
}

// Diff is what the topics say of the responses of an Ask.
type Diff struct {
	// Missing are the responses to publish, in order of submission.
	Missing []*lead.Response
	// Held is the number of those that need not be published again.
	Held int
	// Overtaken are those that were never published, and are not any more, because
	// the topic has a later submission of their id.
	Overtaken []*lead.Response
	// Expired are those that the topics do not hold and are not sure to remember;
	// only an explicit replay publishes them.
	Expired []*lead.Response
	// Deleted is the number of those whose deletion is recorded.
	Deleted int
}

// NewView makes a view. replay is the id of a replay in mode all, else empty.
func (s *Store) NewView(replay string) *View {
	l := &View{store: s, covered: map[string]coverage{}, seeds: map[string]maphash.Seed{}, replay: replay, superseded: map[uint64]int64{}}
	if replay != "" {
		l.replayed = map[string]map[uint64]int64{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.views[l] = struct{}{}
	return l
}

// Close forgets what the view knows.
func (l *View) Close() {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	delete(l.store.views, l)
	delete(l.store.kept, l)
}

// Missing finds which of the responses are not in the topics of the forms they
// name. The topics of all of them must have been ensured. Nobody else publishes
// between this call and the commit that the caller makes under the same Publish.
func (p *Publication) Missing(ctx context.Context, l *View, ask Query, responses []*lead.Response) (Diff, error) {
	slices.SortFunc(responses, bySubmission)
	var v Diff
	for topic, group := range groupByTopic(p.store.opts.Prefix, responses) {
		if err := l.load(ctx, topic, ask.Window); err != nil {
			return Diff{}, err
		}
		if err := l.classify(ctx, topic, ask, group, &v); err != nil {
			return Diff{}, err
		}
	}
	slices.SortFunc(v.Missing, bySubmission)
	return v, nil
}

func bySubmission(a, b *lead.Response) int {
	if c := a.SubmittedAt.Compare(b.SubmittedAt); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

func groupByTopic(prefix string, responses []*lead.Response) map[string][]*lead.Response {
	groups := map[string][]*lead.Response{}
	for _, r := range responses {
		topic := prefix + r.Form.ID
		groups[topic] = append(groups[topic], r)
	}
	return groups
}

// classify sorts one topic's responses, in order of submission, into the verdict.
func (l *View) classify(ctx context.Context, topic string, ask Query, group []*lead.Response, v *Diff) error {
	state := l.store.topics[topic]
	var missing []*lead.Response
	for i, r := range group {
		if i > 0 && bySubmission(group[i-1], r) == 0 {
			continue // LinkedIn's pages may repeat a row
		}
		t := r.SubmittedAt.UnixMilli()
		switch known, found := l.ids.get(l.hash(topic, r.ID)); {
		case l.store.deletions.since(r.ID, t), found && known.isDeleted() && known.millis() >= t:
			v.Deleted++
		case l.replay != "" && (!found || known.millis() <= t):
			if l.wasReplayed(topic, r) {
				v.Held++
			} else {
				missing = append(missing, r)
			}
		case found && known.millis() > t && !l.wasSuperseded(topic, r.ID, t):
			v.Overtaken = append(v.Overtaken, r)
		case found && known.millis() >= t:
			v.Held++
		case !ask.Explicit && state.beyondHorizon(r.SubmittedAt, ask.IsFresh(r.SubmittedAt), l.store.linkedInNow()):
			v.Expired = append(v.Expired, r)
		default:
			missing = append(missing, r)
		}
	}
	if len(missing) > 0 && l.covered[topic].to != math.MaxInt64 {
		var err error
		if missing, err = l.lookUp(ctx, topic, missing, v); err != nil {
			return err
		}
	}
	v.Missing = append(v.Missing, missing...)
	return nil
}

func (l *View) wasReplayed(topic string, r *lead.Response) bool {
	_, done := l.replayed[topic][l.submissionHash(topic, r.ID, r.SubmittedAt.UnixMilli())]
	return done
}

// load makes sure that the view knows what the topic holds of the window.
func (l *View) load(ctx context.Context, topic string, w lead.Window) error {
	from, to := w.From.UnixMilli(), w.To.UnixMilli()
	if c, ok := l.covered[topic]; ok && c.holds(from, to) {
		return nil
	}
	err := l.store.waitVisible(ctx, topic)
	if err == nil {
		err = l.store.again(ctx, topic)
	}
	if err != nil {
		if errors.Is(err, kafka.ErrTopicMissing) {
			l.store.forget(topic)
			return &kafka.TopicError{Topic: topic, Index: -1, Err: err}
		}
		return err
	}
	next := coverage{from: from, to: math.MaxInt64}
	if l.replay != "" {
		l.replayed[topic] = map[uint64]int64{}
	}
	err = l.store.read(ctx, topic, w.From, func(id []byte, e entry) {
		if e.replay != "" && e.replay == l.replay {
			l.replayed[topic][l.submissionHash(topic, string(id), e.at.millis())] = e.at.millis()
		}
		if ms := e.at.millis(); ms >= next.from && ms < next.to {
			l.put(topic, string(id), e.at)
			if l.ids.len() > l.store.opts.MaxHeld {
				l.shorten(&next)
			}
		}
	})
	if err == nil { // what was removed while it was read
		err = l.store.again(ctx, topic)
	}
	if errors.Is(err, kafka.ErrTopicMissing) {
		l.store.forget(topic)
	}
	if err != nil {
		return fmt.Errorf("reading what topic %s holds since %s: %w", topic, lead.FormatTime(w.From), err)
	}
	l.covered[topic] = next
	return nil
}

// put enters what a topic holds of an id. The ids keep the latest of it.
func (l *View) put(topic, id string, at entryTime) {
	hash := l.hash(topic, id)
	known, found := l.ids.get(hash)
	l.ids.put(hash, at)
	if older := min(known, at); found && known.millis() != at.millis() && !older.isDeleted() && len(l.superseded) < l.store.opts.MaxHeld/8 {
		l.superseded[l.submissionHash(topic, id, older.millis())] = older.millis()
	}
}

func (l *View) wasSuperseded(topic, id string, millis int64) bool {
	_, known := l.superseded[l.submissionHash(topic, id, millis)]
	return known
}

// shorten halves the time that a cover reaches ahead, to keep memory bounded:
// what lies behind is read again when the windows get there. A view of more ids
// than it may hold forgets the other topics first.
func (l *View) shorten(c *coverage) {
	latest := c.from
	l.ids.keep(func(s entryTime) bool { latest = max(latest, s.millis()); return true })
	c.to = c.from + max((min(c.to, latest)-c.from)/2, 1)
	clear(l.covered)
	l.ids.keep(func(s entryTime) bool { return s.millis() >= c.from && s.millis() < c.to })
}

// lookUp looks the missing responses up in a topic of which the view knows
// only a part: a later submission or a deletion may stand in the other part.
func (l *View) lookUp(ctx context.Context, topic string, missing []*lead.Response, v *Diff) ([]*lead.Response, error) {
	type submission struct {
		id string
		at entryTime
	}
	later := make(map[string]entryTime, len(missing))
	for _, r := range missing {
		later[r.ID] = -1
	}
	there := map[submission]bool{}
	err := l.store.read(ctx, topic, missing[0].SubmittedAt, func(id []byte, e entry) {
		if known, asked := later[string(id)]; asked {
			later[string(id)] = max(known, e.at)
			there[submission{string(id), e.at}] = true
		}
	})
	if err != nil {
		return nil, fmt.Errorf("looking up %d leads in topic %s: %w", len(missing), topic, err)
	}
	return slices.DeleteFunc(missing, func(r *lead.Response) bool {
		known, t := later[r.ID], r.SubmittedAt.UnixMilli()
		switch {
		case known < 0 || known.millis() < t, l.replay != "" && known == submitted(t):
			return false
		case known.isDeleted():
			v.Deleted++
		case there[submission{r.ID, submitted(t)}]:
			v.Held++
		default:
			v.Overtaken = append(v.Overtaken, r)
		}
		return true
	}), nil
}

// add enters a committed lead.
func (l *View) add(topic, id string, at entryTime, replay string) {
	c, ok := l.covered[topic]
	if !ok || at.millis() < c.from || at.millis() >= c.to {
		return
	}
	if l.replay != "" && replay == l.replay {
		l.replayed[topic][l.submissionHash(topic, id, at.millis())] = at.millis()
	}
	l.put(topic, id, at)
}

// Forget drops what the view knows of submissions before t, which none of its
// windows reaches any more; it does the work only when there is much to gain.
func (l *View) Forget(t time.Time) {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if l.ids.len() < l.store.opts.MaxHeld/32 || l.ids.len() < 2*l.store.kept[l] {
		return
	}
	floor := t.UnixMilli()
	for _, done := range l.replayed {
		maps.DeleteFunc(done, func(_ uint64, at int64) bool { return at < floor })
	}
	maps.DeleteFunc(l.superseded, func(_ uint64, at int64) bool { return at < floor })
	l.ids.keep(func(s entryTime) bool { return s.millis() >= floor })
	for topic, c := range l.covered {
		if c.from < floor {
			c.from = floor
			l.covered[topic] = c
		}
	}
	l.store.kept[l] = l.ids.len()
}

func (l *View) seed(topic string) maphash.Seed {
	s, ok := l.seeds[topic]
	if !ok {
		s = maphash.MakeSeed()
		l.seeds[topic] = s
	}
	return s
}

func (l *View) hash(topic, id string) uint64 { return maphash.String(l.seed(topic), id) }

func (l *View) submissionHash(topic, id string, millis int64) uint64 {
	return l.hash(topic, id) ^ uint64(millis)*0x9e3779b97f4a7c15
}

// entry is what a record of a lead topic says of its id.
type entry struct {
	at     entryTime
	replay string
}

// read gives every committed record of a lead topic that can say something of
// submissions from t on.
func (s *Store) read(ctx context.Context, topic string, t time.Time, fn func(id []byte, e entry)) error {
	return s.opts.Cluster.Read(ctx, topic, kafka.From{Time: t.Add(-clockMargin)}, func(r *kafka.Record) error {
		e, ok, err := s.entryOf(r)
		if ok {
			fn(r.Key, e)
		}
		return err
	})
}

// entryOf is readEntry, with a *ForeignTopicError for another installation's record.
func (s *Store) entryOf(r *kafka.Record) (e entry, ok bool, err error) {
	e, name, ok := readEntry(r)
	if name != "" && name != s.opts.Name && !s.opts.Adopt {
		return entry{}, false, &ForeignTopicError{Topic: r.Topic, Name: name}
	}
	return e, ok, nil
}

// readEntry reads a record's key and headers; the value is never looked at. ok
// is false for a record that is no lead of anybody's.
func readEntry(r *kafka.Record) (e entry, name string, ok bool) {
	var at time.Time
	for _, h := range r.Headers {
		switch h.Key {
		case HeaderSubmittedAt, HeaderDeletedAt:
			if t, err := time.Parse(lead.TimeLayout, string(h.Value)); err == nil {
				at = t
			}
		case HeaderName:
			name = string(h.Value)
		case HeaderReplay:
			e.replay = string(h.Value)
		}
	}
	if r.Value == nil { // a tombstone, perhaps somebody's by hand
		if at.IsZero() {
			at = r.Time
		}
		e.at = deleted(at.UnixMilli())
		return e, name, r.Key != nil
	}
	e.at = submitted(at.UnixMilli())
	return e, name, !at.IsZero() && r.Key != nil
}
