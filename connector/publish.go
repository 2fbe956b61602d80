package connector

import (
	"context"
	"errors"
	"maps"

	"leadstream/internal/checkpoint"
	"leadstream/internal/dedup"
	"leadstream/internal/delivery"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// publication asks for a window to be published, or for a part of one.
type publication struct {
	work   *work
	window lead.Window // that the rows are part of
	sorted sorted
	last   bool
	// asked are the forms that are not to be asked for again. confirmed says that the
	// registry was asked about the schemas.
	asked     map[lead.FormRef]bool
	confirmed bool

	// The answer. With a need or an error the window's end was not published.
	need   need
	shrunk bool // dead letters are cut shorter from now on

	diff  dedup.Diff
	leads int // published so far
}

// publish encodes what is missing and commits it, in as many transactions as
// the limits ask for; only the last one carries deferred windows, dead letters and progress.
func (e *leader) publish(ctx context.Context, pub *publication) error {
	deadLetters := pub.unreadable()
	batch := delivery.Batch{Records: checkpoint.Records{}}
	space := newTxnBudget()
	for _, r := range pub.diff.Missing {
		l, deadLetter := e.encode(r, pub.work)
		if deadLetter != nil {
			deadLetters = append(deadLetters, *deadLetter)
			continue
		}
		if partitions := e.store.Partitions(r.Form.ID); !space.take(r.Form.ID, partitions, len(l.Value)) {
			if err := e.commit(ctx, pub, batch, e.state().Clone()); err != nil {
				return err
			}
			batch, space = delivery.Batch{Records: checkpoint.Records{}}, newTxnBudget()
			space.take(r.Form.ID, partitions, len(l.Value)) // one lead fits
		}
		batch.Leads = append(batch.Leads, l)
	}
	batch.DeadLetters = e.store.NewDeadLetters(deadLetters)
	return e.commitLast(ctx, pub, batch)
}

const (
	// recordOverhead is about what headers, key and framing add to a value.
	recordOverhead = 300
	// maxPartitions leaves room for the internal topics in a transaction.
	maxPartitions = kafka.MaxPartitions - 2
)

// txnBudget is what a transaction holds so far, against the limits of one.
type txnBudget struct {
	leads, bytes int
	partitions   int            // that the leads may be in, at most
	byForm       map[string]int // leads
}

func newTxnBudget() *txnBudget { return &txnBudget{byForm: map[string]int{}} }

// take makes room for a lead of a form whose topic has so many partitions; false
// when there is none. The first lead always has room.
func (r *txnBudget) take(form string, partitions, value int) bool {
	another := 0 // partition
	if r.byForm[form] < partitions {
		another = 1
	}
	size := value + recordOverhead
	if r.leads > 0 && (r.leads == delivery.MaxLeads || r.bytes+size > delivery.MaxBytes || r.partitions+another > maxPartitions) {
		return false
	}
	r.leads++
	r.byForm[form]++
	r.bytes += size
	r.partitions += another
	return true
}

// The reasons for a dead letter, as they stand in its headers.
const (
	reasonUnreadable    = "UnreadableElement"
	reasonContradictory = "ContradictoryElement"
	reasonNotEncodable  = "NotEncodable"
	reasonRefused       = "RecordRefused"
)

// unreadable makes dead letters of the elements that are no leads.
func (pub *publication) unreadable() []delivery.DeadLetter {
	var deadLetters []delivery.DeadLetter
	for _, r := range pub.sorted.bad {
		reason := reasonUnreadable
		if r.Contradicts {
			reason = reasonContradictory
		}
		deadLetters = append(deadLetters, delivery.DeadLetter{Response: r, Stage: "DECODE", Reason: reason, Error: r.Unreadable})
	}
	return deadLetters
}

// encode makes the record of a response, or the dead letter it becomes.
func (e *leader) encode(r *lead.Response, j *work) (delivery.Lead, *delivery.DeadLetter) {
	if why := e.unfit[unfitKey(r)]; why != "" {
		return delivery.Lead{}, &delivery.DeadLetter{Response: r, Stage: "PRODUCE", Reason: reasonRefused, Error: why}
	}
	value, is, faults, err := e.value(r)
	if err != nil {
		return delivery.Lead{}, &delivery.DeadLetter{Response: r, Stage: "ENCODE", Reason: reasonNotEncodable, Error: err.Error()}
	}
	if len(faults) > 0 {
		e.opts.Metrics.fieldErrors.WithLabelValues(r.Form.ID).Add(float64(len(faults)))
	}
	return delivery.Lead{Response: r, Value: value, Schema: is, Delivery: j.delivery(r.SubmittedAt), Replay: j.replay}, nil
}

// unfitKey names a lead that Kafka refuses.
func unfitKey(r *lead.Response) string { return r.ID + "@" + lead.FormatTime(r.SubmittedAt) }

// value makes the value of a response's record, in the publisher's arena.
func (e *leader) value(r *lead.Response) ([]byte, delivery.Schema, []lead.Fault, error) {
	const chunk = 256 << 10
	if cap(e.arena)-len(e.arena) < 4<<10 {
		e.arena = make([]byte, 0, chunk)
	}
	codec, start := e.forms.Get(r.Form.ID).Codec, len(e.arena)
	out, faults, err := codec.Encode(e.arena, r)
	if err != nil {
		return nil, delivery.Schema{}, nil, err
	}
	e.arena = out
	id, columns := codec.Schema()
	return out[start:len(out):len(out)], delivery.Schema{ID: id, Columns: columns}, faults, nil
}

// commit makes a part of the publication durable, and with it next, the state as it is
// then. records say what is different in that.
func (e *leader) commit(ctx context.Context, pub *publication, batch delivery.Batch, next *checkpoint.State) error {
	maps.Copy(batch.Records, publishedMeanwhile(next, pub.work, batch.Leads))
	batch.Resolved = append(batch.Resolved, e.store.ResolvedBy(batch.Leads)...)
	committed := e.addTopicState(&batch)
	err := e.store.Commit(ctx, batch)
	e.opts.Metrics.transaction(err)
	if err != nil {
		return e.refusal(err, batch.Leads)
	}
	committed()
	e.current.Store(next)
	pub.leads += len(batch.Leads)
	var last string
	for i := range batch.Leads {
		if id := batch.Leads[i].Form.ID; id != last {
			e.forms.Delivered(id)
			last = id
		}
	}
	e.report(pub.work, batch.Leads, batch.DeadLetters)
	if t := pub.work.tally; t != nil {
		t.published += len(batch.Leads)
		t.deadLetters = append(t.deadLetters, batch.DeadLetters...)
	}
	return nil
}

// commitLast makes the rest of the publication durable, with what is deferred and,
// when the window ends here, with the progress.
func (e *leader) commitLast(ctx context.Context, pub *publication, batch delivery.Batch) error {
	next := e.state().Clone()
	batch.Records = e.deferRows(next, pub.work, pub.window, pub.sorted.suspended)
	if batch.Records == nil {
		batch.Records = checkpoint.Records{}
	}
	advance := pub.work.advance
	if !pub.last {
		advance = nil
	}
	worth := !batch.Empty()
	if advance != nil {
		maps.Copy(batch.Records, advance.On(next, pub.leads+len(batch.Leads)))
		if !worth && advance.Lazy() && !e.isDue(pub.work.src) {
			e.current.Store(next)
			e.advanced(pub.work.src, false)
			e.leftOut(pub)
			return nil
		}
		if e.opts.Requests != nil {
			batch.Records[checkpoint.RequestsKey] = checkpoint.Requests{Counters: e.opts.Requests()}
		}
	}
	if err := e.commit(ctx, pub, batch, next); err != nil {
		return err
	}
	if advance != nil {
		e.advanced(pub.work.src, true)
	}
	e.leftOut(pub)
	return nil
}

// isDue reports whether the progress of a source is to be written although nothing was
// published.
func (e *leader) isDue(src lead.Source) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.sources[src]
	return s == nil || e.opts.Now().Sub(s.committed) >= idleCommit
}

// advanced notes that the progress of a source has moved, in the topic as well or only in
// memory, and wakes whoever waits for that.
func (e *leader) advanced(src lead.Source, committed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.sources[src]; s != nil {
		s.unsaved, s.advanced = !committed, e.opts.Now()
		if committed {
			s.committed = e.opts.Now()
		}
	}
	e.signal()
}

// refusal marks the one lead that its topic does not take.
func (e *leader) refusal(err error, leads []delivery.Lead) error {
	var refused *kafka.TopicError
	if errors.As(err, &refused) && refused.Index >= 0 && refused.Index < len(leads) {
		e.unfit[unfitKey(leads[refused.Index].Response)] = err.Error()
		return &unfitError{err}
	}
	return err
}
