package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"leadstream/internal/dedup"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// clockMargin is how much earlier than a window's start a topic is read from.
// A record's time is never before its lead's submission, so the offset of the
// window's start would do, were all clocks the same. Brokers that give records a time
// themselves (LogAppendTime) make a margin necessary.
const clockMargin = time.Hour

// NewView makes a view of what the topics hold, for one line of work: live polling, one
// range of a source's backlog, one replay. replay is the id of a replay in mode all, else
// empty. It is asked with Missing, and closed when it is not asked any more.
func (s *Store) NewView(replay string) *dedup.View {
	return dedup.NewView(dedup.ViewOptions{Replay: replay, Budget: s.opts.MaxHeld})
}

// Missing asks which of the responses are not in the topics of the forms they name, which
// must have been ensured. The query needs its window and how far the horizon counts. When
// there are loads the answer is not known yet: Read each, give it to Loaded, and ask
// again. What is committed enters the view from the first question on.
func (s *Store) Missing(v *dedup.View, q dedup.Query, responses []*lead.Response) (dedup.Diff, []*Load) {
	if !slices.Contains(s.views, v) {
		s.views = append(slices.DeleteFunc(s.views, (*dedup.View).Closed), v)
	}
	var all dedup.Diff
	var loads []*Load
	q.Deleted, q.Now = s.Deletions.index.since, s.linkedInNow()
	for topic, rows := range groupByTopic(s.opts.Prefix, responses) {
		t := s.topics[topic]
		if t == nil {
			t = &topicState{} // its load says that it is to be ensured
		}
		q.Topic, q.Rows, q.Facts, q.Committed = topic, rows, &t.Facts, t.written
		diff, load := v.Diff(q)
		if load != nil {
			loads = append(loads, &Load{Load: load, view: v, visibility: s.visibility(topic)})
			continue
		}
		all.Add(diff)
	}
	slices.SortFunc(all.Missing, dedup.BySubmission)
	return all, loads
}

func groupByTopic(prefix string, responses []*lead.Response) map[string][]*lead.Response {
	groups := map[string][]*lead.Response{}
	for _, r := range responses {
		topic := prefix + r.Form.ID
		groups[topic] = append(groups[topic], r)
	}
	return groups
}

// Load is what a view lacks of a topic.
type Load struct {
	*dedup.Load
	view       *dedup.View
	visibility visibility
	info       kafka.TopicInfo // of the topic when it had been read
	err        error
}

// Read reads what a load is for. Any goroutine may call it.
func (s *Store) Read(ctx context.Context, l *Load) {
	l.err = dedup.Read(ctx, &loading{s, l}, l.Load)
}

// Loaded gives a load that was read to its view. A topic that was removed, or that is
// another one now, is a *kafka.TopicError with kafka.ErrTopicMissing: it is to be ensured
// anew.
func (s *Store) Loaded(l *Load) error {
	err := l.err
	if err == nil {
		err = s.looked(l)
	}
	if err != nil {
		l.view.Abandon(l.Load)
		if errors.Is(err, kafka.ErrTopicMissing) {
			s.forget(l.Topic)
			return &kafka.TopicError{Topic: l.Topic, Index: -1, Err: err}
		}
		return s.refusal(err)
	}
	l.view.Finish(l.Load)
	return nil
}

// looked takes in what the topic was like when it had been read.
func (s *Store) looked(l *Load) error {
	t := s.topics[l.Topic]
	if t == nil {
		return kafka.ErrTopicMissing
	}
	if !l.view.Awaits(l.Load) {
		return nil // the topic was removed meanwhile, and is looked at again
	}
	s.seen(l.visibility)
	t.Retention, t.PartitionCount = retentionOf(l.info, true, kafka.TopicSpec{}), l.info.Partitions
	if end(l.Bounds) < l.EndOffset {
		s.replaced(t)
		return fmt.Errorf("topic %s ends before what was published to it: it is another one: %w", l.Topic, kafka.ErrTopicMissing)
	}
	t.Look(l.Bounds, s.clocks())
	return nil
}

// clocks are the same moment by our clock and by LinkedIn's.
func (s *Store) clocks() dedup.Clocks {
	return dedup.Clocks{Ours: s.opts.Now(), LinkedIn: s.linkedInNow()}
}

func end(bounds []dedup.Bounds) (n int64) {
	for _, b := range bounds {
		n += b.End
	}
	return n
}

// loading is a topic as a load reads it.
type loading struct {
	store *Store
	load  *Load
}

// WaitVisible implements dedup.Source.
func (l *loading) WaitVisible(ctx context.Context, _ string, _ map[int]int64) error {
	return l.store.waitVisible(ctx, l.load.visibility)
}

// Records implements dedup.Source.
func (l *loading) Records(ctx context.Context, topic string, from time.Time, fn func(id []byte, e dedup.Entry) error) error {
	return l.store.read(ctx, topic, from, fn)
}

// Bounds implements dedup.Source.
func (l *loading) Bounds(ctx context.Context, topic string, known []int64) ([]dedup.Bounds, error) {
	found, err := l.store.opts.Cluster.Admin.DescribeTopics(ctx, []string{topic}, "retention.ms", "cleanup.policy")
	if err != nil {
		return nil, fmt.Errorf("describing topic %s: %w", topic, err)
	}
	info, ok := found[topic]
	if !ok {
		return nil, kafka.ErrTopicMissing
	}
	l.load.info = info
	return l.store.bounds(ctx, topic, known)
}

// bounds are the offsets of a topic's partitions. Where the first one is beyond what is
// known, the time of the oldest record is asked for as well.
func (s *Store) bounds(ctx context.Context, topic string, known []int64) ([]dedup.Bounds, error) {
	offsets, err := s.opts.Cluster.Reader.Offsets(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("reading the offsets of topic %s: %w", topic, err)
	}
	bounds := make([]dedup.Bounds, len(offsets))
	shortened := false
	for i, o := range offsets {
		bounds[i].First, bounds[i].End = o.First, o.End
		first := int64(0)
		if i < len(known) {
			first = known[i]
		}
		shortened = shortened || o.First > first
	}
	if !shortened {
		return bounds, nil
	}
	oldest, err := s.opts.Cluster.Reader.Oldest(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("reading the oldest records of topic %s: %w", topic, err)
	}
	for i := range min(len(bounds), len(oldest)) {
		bounds[i].Oldest = oldest[i]
	}
	return bounds, nil
}

// read gives every committed record of a lead topic that can say something of
// submissions from t on.
func (s *Store) read(ctx context.Context, topic string, t time.Time, fn func(id []byte, e dedup.Entry) error) error {
	return s.opts.Cluster.Reader.Read(ctx, topic, kafka.From{Time: t.Add(-clockMargin)}, func(r *kafka.Record) error {
		e, ok, err := s.entryOf(r)
		if ok && err == nil {
			return fn(r.Key, e)
		}
		return err
	})
}

// entryOf is readEntry, with a *ForeignTopicError for another installation's record.
func (s *Store) entryOf(r *kafka.Record) (e dedup.Entry, ok bool, err error) {
	e, name, ok := readEntry(r)
	if name != "" && name != s.opts.Name && !s.opts.Adopt {
		return dedup.Entry{}, false, &ForeignTopicError{Topic: r.Topic, Name: name}
	}
	return e, ok, nil
}

// readEntry reads a record's key and headers; the value is never looked at. ok
// is false for a record that is no lead of anybody's.
func readEntry(r *kafka.Record) (e dedup.Entry, name string, ok bool) {
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
			e.Replay = string(h.Value)
		}
	}
	if r.Value == nil { // a tombstone, perhaps somebody's by hand
		if at.IsZero() {
			at = r.Time
		}
		e.At = dedup.Deleted(at)
		return e, name, r.Key != nil
	}
	e.At = dedup.Submitted(at)
	return e, name, !at.IsZero() && r.Key != nil
}
