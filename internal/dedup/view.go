package dedup

import (
	"hash/maphash"
	"maps"
	"math"
	"sync/atomic"
	"time"

	"leadstream/internal/lead"
)

// View is what one line of work (live polling, one sweep of a long window) knows of the
// topics. It belongs to one goroutine. Only Close may be called by another.
type View struct {
	replay string              // id of the replay in mode all that it serves, else empty
	only   map[string]struct{} // ids that are of interest; nil: all
	budget int                 // most ids to keep

	ids    Index
	seed   maphash.Seed
	topics map[string]*coverage
	// superseded are the submissions that stand in a topic beside a later one of their
	// id, replayed those that went out under the view's replay: by fingerprint, with the
	// time of submission.
	superseded, replayed map[uint64]int64
	kept                 int // ids left after the last Forget
	closed               atomic.Bool
}

// coverage is how much of a topic a view knows.
type coverage struct {
	// from and to bound the time of submission of which everything is known, half-open,
	// in epoch milliseconds. Empty while nothing is.
	from, to int64
	loading  int               // loads under way: what is committed meanwhile enters
	looked   map[string]*found // of ids that were looked up where to cuts the coverage short
}

// found is what a topic has of an id.
type found struct {
	latest      At
	submissions map[At]struct{}
}

func (f *found) add(at At) {
	f.latest = max(f.latest, at)
	if !at.IsDeletion() {
		f.submissions[at] = struct{}{}
	}
}

// ViewOptions say what a view is for.
type ViewOptions struct {
	// Replay is the id of a replay in mode all, which publishes again what does not bear
	// it yet.
	Replay string
	// Only are the ids that are of interest; nil is all.
	Only map[string]struct{}
	// Budget is the most ids to keep, 22 bytes each. With more a view covers less time
	// at once, and is loaded again when its windows get there.
	Budget int
}

// NewView knows nothing yet.
func NewView(o ViewOptions) *View {
	return &View{replay: o.Replay, only: o.Only, budget: o.Budget, seed: maphash.MakeSeed(), topics: map[string]*coverage{},
		superseded: map[uint64]int64{}, replayed: map[uint64]int64{}}
}

// Close says that the view is not asked any more. It may be called by any goroutine.
func (v *View) Close() { v.closed.Store(true) }

// Closed reports whether it was closed: its owner forgets it then.
func (v *View) Closed() bool { return v.closed.Load() }

// Replay is the id of the replay in mode all that the view serves, else empty.
func (v *View) Replay() string { return v.replay }

// Covers reports whether everything that the topic holds of the window is known.
func (v *View) Covers(topic string, w lead.Window) bool {
	c := v.topics[topic]
	return c != nil && c.from <= w.From.UnixMilli() && w.To.UnixMilli() <= c.to
}

// answers reports whether the view can answer for a window: it covers it, or was loaded
// from its start and could not keep all of it, so that the rest is looked up.
func (v *View) answers(topic string, w lead.Window) bool {
	c := v.topics[topic]
	return v.Covers(topic, w) || c != nil && c.from == w.From.UnixMilli() && c.from < c.to
}

// Drop forgets a topic, which is another one now. Loads of it that are under way
// count for nothing.
func (v *View) Drop(topic string) { delete(v.topics, topic) }

// Awaits reports whether a load under way still counts: its topic was not dropped since it
// began.
func (v *View) Awaits(l *Load) bool { return v.topics[l.Topic] == l.coverage }

// Abandon gives up a load that could not be read.
func (v *View) Abandon(l *Load) {
	if v.Awaits(l) {
		l.coverage.loading--
	}
}

// Committed enters what was just committed to a topic.
func (v *View) Committed(topic, id string, e Entry) {
	c := v.topics[topic]
	if c == nil || !v.wants(id) {
		return
	}
	if c.loading == 0 && (e.At.Millis() < c.from || e.At.Millis() >= c.to) {
		if f := c.looked[id]; f != nil {
			f.add(e.At)
		}
		return
	}
	v.put(topic, id, e)
	if f := c.looked[id]; f != nil {
		f.add(e.At)
	}
}

func (v *View) wants(id string) bool {
	if v.only == nil {
		return true
	}
	_, wanted := v.only[id]
	return wanted
}

// Len is the number of ids that are known.
func (v *View) Len() int { return v.ids.Len() }

// Latest is the latest submission or deletion that the topic has of an id.
func (v *View) Latest(topic, id string) (At, bool) { return v.ids.Get(v.hash(topic, id)) }

// put enters an entry. The ids keep the latest of each.
func (v *View) put(topic, id string, e Entry) {
	hash := v.hash(topic, id)
	known, met := v.ids.Get(hash)
	v.ids.Put(hash, e.At)
	v.supersede(hash, known, e.At, met)
	if e.Replay != "" && e.Replay == v.replay {
		v.replayed[submission(hash, e.At)] = e.At.Millis()
	}
}

// supersede notes the earlier of two entries of an id.
func (v *View) supersede(hash uint64, known, at At, met bool) {
	if older := min(known, at); met && known.Millis() != at.Millis() && !older.IsDeletion() && len(v.superseded) < v.budget/8 {
		v.superseded[submission(hash, older)] = older.Millis()
	}
}

// Forget drops what is known of submissions before t, which no window reaches any more.
// It does the work only when there is much to gain.
func (v *View) Forget(t time.Time) {
	if v.ids.Len() < v.budget/32 || v.ids.Len() < 2*v.kept {
		return
	}
	floor := t.UnixMilli()
	old := func(_ uint64, at int64) bool { return at < floor }
	maps.DeleteFunc(v.replayed, old)
	maps.DeleteFunc(v.superseded, old)
	v.ids.Keep(func(at At) bool { return at.Millis() >= floor })
	for _, c := range v.topics {
		c.from = max(c.from, floor)
	}
	v.kept = v.ids.Len()
}

func (v *View) hash(topic, id string) uint64 { return fingerprint(v.seed, topic, id) }

// fingerprint is the fingerprint of an id in a topic.
func fingerprint(seed maphash.Seed, topic, id string) uint64 {
	return maphash.String(seed, id) ^ topicHash(seed, topic)
}

func topicHash(seed maphash.Seed, topic string) uint64 { return maphash.String(seed, topic) * odd }

// submission is the fingerprint of one submission of an id.
func submission(id uint64, at At) uint64 { return id ^ uint64(at.Millis())*odd }

const (
	never = math.MaxInt64
	odd   = 0x9e3779b97f4a7c15 // spreads what is combined with another hash
)
