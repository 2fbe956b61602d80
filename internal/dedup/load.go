package dedup

import (
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"time"

	"leadstream/internal/lead"
)

// Load is a topic to be read for a view, and what was read. View.Begin makes it, Read
// fills it, View.Finish takes it in.
type Load struct {
	Topic string
	// Bounds are the topic's partitions, as they were after all was read.
	Bounds []Bounds
	// EndOffset is where the topic was known to end when the load began: one that ends
	// before that is another one.
	EndOffset int64

	from, to  time.Time
	committed map[int]int64 // that must be visible before it is read
	firsts    []int64       // first offsets that are known
	lookUp    map[string]*found
	coverage  *coverage // of the view when the load began
	view      view
	topicHash uint64
	ids       Index
	more      []entry // beside the ids: superseded, and replayed
	until     int64   // what was submitted from then on was too much
}

// view is what a load needs to know of its view. None of it changes.
type view struct {
	seed   maphash.Seed
	only   map[string]struct{}
	replay string
	budget int
}

// entry is an entry by the fingerprint of its id.
type entry struct {
	hash uint64
	Entry
}

// Begin begins a load of what the topic holds of the window and of all time behind it.
// committed are the offsets of the last commit by partition that may not be visible yet.
func (v *View) Begin(topic string, w lead.Window, f *Facts, committed map[int]int64) *Load {
	c := v.topics[topic]
	if c == nil {
		c = &coverage{from: never, to: never}
		v.topics[topic] = c
	}
	c.loading++
	return &Load{Topic: topic, EndOffset: f.EndOffset, from: w.From, to: w.To, committed: maps.Clone(committed), firsts: f.Firsts(), coverage: c,
		view: view{v.seed, v.only, v.replay, v.budget}, topicHash: topicHash(v.seed, topic), until: never}
}

// lookUp begins a load of some ids alone, from t on.
func (v *View) lookUp(topic string, t time.Time, ids map[string]*found, f *Facts, committed map[int]int64) *Load {
	l := v.Begin(topic, lead.Window{From: t}, f, committed)
	l.lookUp = ids
	return l
}

// Read reads what the load is for. It is called by whoever asked for it, while the owner
// of the view goes on.
func Read(ctx context.Context, s Source, l *Load) error {
	err := s.WaitVisible(ctx, l.Topic, l.committed)
	if err == nil {
		err = s.Records(ctx, l.Topic, l.from, l.take)
	}
	if err == nil { // what was removed while it was read counts as well
		l.Bounds, err = s.Bounds(ctx, l.Topic, l.firsts)
	}
	if err != nil {
		return fmt.Errorf("reading what topic %s holds since %s: %w", l.Topic, lead.FormatTime(l.from), err)
	}
	return nil
}

// take enters a record.
func (l *Load) take(id []byte, e Entry) error {
	if l.lookUp != nil {
		if f := l.lookUp[string(id)]; f != nil {
			f.add(e.At)
		}
		return nil
	}
	if l.view.only != nil {
		if _, wanted := l.view.only[string(id)]; !wanted {
			return nil
		}
	}
	hash := maphash.Bytes(l.view.seed, id) ^ l.topicHash
	if e.Replay != "" && e.Replay == l.view.replay {
		l.more = append(l.more, entry{hash, e})
	}
	if ms := e.At.Millis(); ms < l.from.UnixMilli() || ms >= l.until {
		return nil
	}
	known, met := l.ids.Get(hash)
	if older := min(known, e.At); met && known.Millis() != e.At.Millis() && !older.IsDeletion() && len(l.more) < l.view.budget/8 {
		l.more = append(l.more, entry{hash, Entry{At: older}})
	}
	l.ids.Put(hash, e.At)
	if l.ids.Len() > l.view.budget {
		l.shorten()
	}
	return nil
}

// shorten halves the time that the load reaches ahead, to keep memory bounded. What lies
// behind is loaded when the windows get there.
func (l *Load) shorten() {
	from := l.from.UnixMilli()
	latest := from
	l.ids.Keep(func(at At) bool { latest = max(latest, at.Millis()); return true })
	l.until = from + max((min(l.until, latest)-from)/2, 1)
	l.ids.Keep(func(at At) bool { return at.Millis() < l.until })
}

// Finish takes in what was read. A load of a topic that was dropped since counts for
// nothing.
func (v *View) Finish(l *Load) {
	if !v.Awaits(l) {
		return
	}
	c := l.coverage
	c.loading--
	if l.lookUp != nil {
		c.looked = l.lookUp
		return
	}
	if v.ids.Len()+l.ids.Len() > v.budget && v.ids.Len() > 0 {
		v.giveWay(l)
	}
	v.ids.Merge(&l.ids)
	for _, e := range l.more {
		if at, met := v.ids.Get(e.hash); met && at.Millis() != e.At.Millis() {
			v.supersede(e.hash, at, e.At, met)
		}
		if e.Replay != "" {
			v.replayed[submission(e.hash, e.At)] = e.At.Millis()
		}
	}
	c.learn(l.from.UnixMilli(), l.until)
}

// learn takes in that everything of that time is known.
func (c *coverage) learn(from, to int64) {
	switch {
	case c.from <= from && to <= c.to: // it was, by another load
	case c.to == never && to == never:
		c.from = min(c.from, from)
	default:
		c.from, c.to, c.looked = from, to, nil
	}
}

// giveWay forgets everything but what was committed to the topic while it was read: a
// view of more ids than it may keep knows one topic at a time.
func (v *View) giveWay(l *Load) {
	from := l.from.UnixMilli()
	for topic, c := range v.topics {
		if topic != l.Topic && c.loading == 0 {
			delete(v.topics, topic)
		}
		c.from, c.to, c.looked = never, never, nil
	}
	v.ids.Keep(func(at At) bool { return at.Millis() >= from && at.Millis() < l.until })
}
