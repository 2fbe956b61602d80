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

// publication is one flush on its way into Kafka.
type publication struct {
	work   *work
	window lead.Window // that the rows are part of
	sorted sorted
	diff   dedup.Diff
	last   bool
	leads  int // published so far
}

// publish encodes what is missing and commits it, in as many transactions as
// the limits ask for; only the last one carries deferred windows, dead letters and progress.
func (e *leader) publish(ctx context.Context, p *delivery.Publication, pub *publication) error {
	deadLetters := pub.unreadable()
	var batch delivery.Batch
	space := newTxnBudget()
	for _, r := range pub.diff.Missing {
		l, deadLetter := e.encode(r, pub.work)
		if deadLetter != nil {
			deadLetters = append(deadLetters, *deadLetter)
			continue
		}
		if partitions := p.Partitions(r.Form.ID); !space.take(r.Form.ID, partitions, len(l.Value)) {
			if err := e.commit(ctx, p, pub, batch); err != nil {
				return err
			}
			batch, space = delivery.Batch{}, newTxnBudget()
			space.take(r.Form.ID, partitions, len(l.Value)) // one lead fits
		}
		batch.Leads = append(batch.Leads, l)
	}
	batch.DeadLetters = p.NewDeadLetters(deadLetters)
	return e.commitLast(ctx, p, pub, batch)
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
	if why := e.forms.unfit(r); why != "" {
		return delivery.Lead{}, &delivery.DeadLetter{Response: r, Stage: "PRODUCE", Reason: reasonRefused, Error: why}
	}
	value, is, faults, err := e.forms.encode(r)
	if err != nil {
		return delivery.Lead{}, &delivery.DeadLetter{Response: r, Stage: "ENCODE", Reason: reasonNotEncodable, Error: err.Error()}
	}
	if len(faults) > 0 {
		e.opts.Metrics.fieldErrors.WithLabelValues(r.Form.ID).Add(float64(len(faults)))
	}
	return delivery.Lead{Response: r, Value: value, Schema: is, Delivery: j.delivery(r.SubmittedAt), Replay: j.replay}, nil
}

// commit makes a part of the publication durable.
func (e *leader) commit(ctx context.Context, p *delivery.Publication, pub *publication, batch delivery.Batch) error {
	deferred, records := e.freshNoMore(pub.work, batch.Leads)
	if len(records) > 0 {
		if batch.Records == nil {
			batch.Records = map[string]any{}
		}
		maps.Copy(batch.Records, records)
	}
	batch.Resolved = p.ResolvedBy(batch.Leads)
	committed := e.addTopicState(&batch)
	err := p.Commit(ctx, batch)
	e.opts.Metrics.transaction(err)
	if err != nil {
		return e.refusal(err, batch.Leads)
	}
	committed()
	e.setDeferred(deferred)
	pub.leads += len(batch.Leads)
	e.forms.delivered(batch.Leads)
	e.report(pub.work, batch.Leads, batch.DeadLetters)
	if t := pub.work.tally; t != nil {
		t.published += len(batch.Leads)
		t.deadLetters = append(t.deadLetters, batch.DeadLetters...)
	}
	return nil
}

// commitLast makes the rest of the publication durable, with what is deferred and,
// when the window ends here, with the progress.
func (e *leader) commitLast(ctx context.Context, p *delivery.Publication, pub *publication, batch delivery.Batch) error {
	batch.Records = map[string]any{}
	deferred, records := e.deferRows(pub.work, pub.window, pub.sorted.suspended)
	maps.Copy(batch.Records, records)
	var after func(bool)
	worth := !batch.Empty()
	if done := pub.work.done; pub.last && done != nil {
		done.leads = pub.leads + len(batch.Leads)
		after = done.records(batch.Records)
		if !worth && done.lazy && !done.due() {
			e.setDeferred(deferred)
			e.leftOut(pub)
			after(false)
			return nil
		}
		if e.opts.Requests != nil {
			batch.Records[checkpoint.RequestsKey] = checkpoint.Requests{Counters: e.opts.Requests()}
		}
	}
	if err := e.commit(ctx, p, pub, batch); err != nil {
		return err
	}
	e.setDeferred(deferred)
	e.leftOut(pub)
	if after != nil {
		after(true)
	}
	return nil
}

// refusal marks the one lead that its topic does not take.
func (e *leader) refusal(err error, leads []delivery.Lead) error {
	var refused *kafka.TopicError
	if errors.As(err, &refused) && refused.Index >= 0 && refused.Index < len(leads) {
		e.forms.markUnfit(leads[refused.Index].Response, err)
		return &unfitError{err}
	}
	return err
}
