package connector

import (
	"context"
	"errors"
	"maps"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// publication is one flush on its way into Kafka.
type publication struct {
	job     *job
	window  lead.Window // that the rows are part of
	sorted  sorted
	verdict delivery.Verdict
	last    bool
	leads   int // published so far
}

// publish encodes what is missing and commits it, in as many transactions as
// the limits ask for; only the last one carries debts, dead letters and progress.
func (e *epoch) publish(ctx context.Context, p *delivery.Publication, pub *publication) error {
	letters := pub.unreadable()
	var batch delivery.Batch
	space := newRoom()
	for _, r := range pub.verdict.Missing {
		l, letter := e.encode(r, pub.job)
		if letter != nil {
			letters = append(letters, *letter)
			continue
		}
		if partitions := p.Partitions(r.Form.ID); !space.take(r.Form.ID, partitions, len(l.Value)) {
			if err := e.commit(ctx, p, pub, batch); err != nil {
				return err
			}
			batch, space = delivery.Batch{}, newRoom()
			space.take(r.Form.ID, partitions, len(l.Value)) // one lead fits
		}
		batch.Leads = append(batch.Leads, l)
	}
	var err error
	if batch.DeadLetters, err = p.NewDeadLetters(ctx, letters); err != nil {
		return err
	}
	return e.commitLast(ctx, p, pub, batch)
}

const (
	// recordOverhead is about what headers, key and framing add to a value.
	recordOverhead = 300
	// maxPartitions leaves room for the internal topics in a transaction.
	maxPartitions = kafka.MaxPartitions - 2
)

// room is what a transaction holds so far, against the limits of one.
type room struct {
	leads, bytes int
	partitions   int            // that the leads may be in, at most
	byForm       map[string]int // leads
}

func newRoom() *room { return &room{byForm: map[string]int{}} }

// take makes room for a lead of a form whose topic has so many partitions; false
// when there is none. The first lead always has room.
func (r *room) take(form string, partitions, value int) bool {
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
	var letters []delivery.DeadLetter
	for _, r := range pub.sorted.bad {
		reason := reasonUnreadable
		if r.Contradicts {
			reason = reasonContradictory
		}
		letters = append(letters, delivery.DeadLetter{Response: r, Stage: "DECODE", Reason: reason, Error: r.Unreadable})
	}
	return letters
}

// encode makes the record of a response, or the dead letter it becomes.
func (e *epoch) encode(r *lead.Response, j *job) (delivery.Lead, *delivery.DeadLetter) {
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
	return delivery.Lead{Response: r, Value: value, Schema: is, Via: j.via(r.SubmittedAt), Replay: j.replay}, nil
}

// commit makes a part of the publication durable.
func (e *epoch) commit(ctx context.Context, p *delivery.Publication, pub *publication, batch delivery.Batch) error {
	debts, records := e.freshNoMore(pub.job, batch.Leads)
	if len(records) > 0 {
		if batch.Records == nil {
			batch.Records = map[string]any{}
		}
		maps.Copy(batch.Records, records)
	}
	var err error
	if batch.Resolved, err = p.ResolvedBy(ctx, batch.Leads); err != nil {
		return err
	}
	committed := e.accompany(&batch)
	err = p.Commit(ctx, batch)
	e.opts.Metrics.transaction(err)
	if err != nil {
		return e.refusal(err, batch.Leads)
	}
	committed()
	e.setDebts(debts)
	pub.leads += len(batch.Leads)
	e.forms.delivered(batch.Leads)
	e.report(pub.job, batch.Leads, batch.DeadLetters)
	if t := pub.job.tally; t != nil {
		t.published += len(batch.Leads)
		t.letters = append(t.letters, batch.DeadLetters...)
	}
	return nil
}

// commitLast makes the rest of the publication durable, with what is owed and,
// when the window ends here, with the progress.
func (e *epoch) commitLast(ctx context.Context, p *delivery.Publication, pub *publication, batch delivery.Batch) error {
	batch.Records = map[string]any{}
	debts, records := e.owed(pub.job, pub.window, pub.sorted.barred)
	maps.Copy(batch.Records, records)
	var after func(bool)
	worth := !batch.Empty()
	if done := pub.job.done; pub.last && done != nil {
		done.leads = pub.leads + len(batch.Leads)
		after = done.records(batch.Records)
		if !worth && done.lazy && !done.due() {
			e.setDebts(debts)
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
	e.setDebts(debts)
	e.leftOut(pub)
	if after != nil {
		after(true)
	}
	return nil
}

// refusal marks the one lead that its topic does not take.
func (e *epoch) refusal(err error, leads []delivery.Lead) error {
	var refused *kafka.TopicError
	if errors.As(err, &refused) && refused.Index >= 0 && refused.Index < len(leads) {
		e.forms.markUnfit(leads[refused.Index].Response, err)
		return &unfitError{err}
	}
	return err
}
