package connector

import (
	"context"
	"errors"
	"maps"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/dedup"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"

	"go.uber.org/zap"
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

// handle publishes a window, or says what it needs first.
func (m *publication) handle(ctx context.Context, p *publisher) error {
	if m.need.lookups = p.store.DeadLetters.Unpublished(m.sorted.bad); len(m.need.lookups) > 0 {
		return nil
	}
	m.diff, m.need.loads = p.store.Missing(m.work.view, p.query(m.work, m.window), m.sorted.good)
	if len(m.need.loads) > 0 {
		return nil
	}
	if !p.forms.Usable(m.diff.Missing) {
		return errUnusable
	}
	if m.need.lacking = p.forms.Lacking(m.diff.Missing, m.asked); len(m.need.lacking) > 0 {
		return nil
	}
	if unsure := p.forms.Unconfirmed(m.diff.Missing); len(unsure) > 0 && !m.confirmed {
		m.need.unconfirmed = unsure
		return nil
	}
	err := p.publish(ctx, m)
	if err == nil && !m.work.floor.IsZero() {
		m.work.view.Forget(m.work.floor)
	}
	if err != nil && topicOf(err) == p.store.DeadLetterTopic() && fault.KindOf(err) == fault.Reject {
		m.shrunk = p.store.DeadLetters.Shrink() // it takes less than was thought
	}
	return err
}

// publish encodes what is missing and commits it, in as many transactions as
// the limits ask for; only the last one carries deferred windows, dead letters and progress.
func (p *publisher) publish(ctx context.Context, pub *publication) error {
	deadLetters := pub.unreadable()
	batch := delivery.Batch{Records: checkpoint.Records{}}
	space := newTxnBudget()
	for _, r := range pub.diff.Missing {
		l, deadLetter := p.encode(r, pub.work)
		if deadLetter != nil {
			deadLetters = append(deadLetters, *deadLetter)
			continue
		}
		if partitions := p.store.Partitions(r.Form.ID); !space.take(r.Form.ID, partitions, len(l.Value)) {
			if err := p.commit(ctx, pub, batch, p.state().Clone()); err != nil {
				return err
			}
			batch, space = delivery.Batch{Records: checkpoint.Records{}}, newTxnBudget()
			space.take(r.Form.ID, partitions, len(l.Value)) // one lead fits
		}
		batch.Leads = append(batch.Leads, l)
	}
	batch.DeadLetters = p.store.DeadLetters.New(deadLetters)
	return p.commitLast(ctx, pub, batch)
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
func (p *publisher) encode(r *lead.Response, j *work) (delivery.Lead, *delivery.DeadLetter) {
	if why := p.unfit[unfitKey(r)]; why != "" {
		return delivery.Lead{}, &delivery.DeadLetter{Response: r, Stage: "PRODUCE", Reason: reasonRefused, Error: why}
	}
	value, is, faults, err := p.value(r)
	if err != nil {
		return delivery.Lead{}, &delivery.DeadLetter{Response: r, Stage: "ENCODE", Reason: reasonNotEncodable, Error: err.Error()}
	}
	if len(faults) > 0 {
		p.opts.Metrics.fieldErrors.WithLabelValues(r.Form.ID).Add(float64(len(faults)))
	}
	return delivery.Lead{Response: r, Value: value, Schema: is, Delivery: j.delivery(r.SubmittedAt), Replay: j.replay}, nil
}

// unfitKey names a lead that Kafka refuses.
func unfitKey(r *lead.Response) string { return r.ID + "@" + lead.FormatTime(r.SubmittedAt) }

// value makes the value of a response's record, in the publisher's arena.
func (p *publisher) value(r *lead.Response) ([]byte, delivery.Schema, []lead.Fault, error) {
	const chunk = 256 << 10
	if cap(p.arena)-len(p.arena) < 4<<10 {
		p.arena = make([]byte, 0, chunk)
	}
	codec, start := p.forms.Get(r.Form.ID).Codec, len(p.arena)
	out, faults, err := codec.Encode(p.arena, r)
	if err != nil {
		return nil, delivery.Schema{}, nil, err
	}
	p.arena = out
	id, columns := codec.Schema()
	return out[start:len(out):len(out)], delivery.Schema{ID: id, Columns: columns}, faults, nil
}

// commit makes a part of the publication durable, and with it next, the state as it is
// then. records say what is different in that.
func (p *publisher) commit(ctx context.Context, pub *publication, batch delivery.Batch, next *checkpoint.State) error {
	maps.Copy(batch.Records, publishedMeanwhile(next, pub.work, batch.Leads))
	batch.Resolved = append(batch.Resolved, p.store.DeadLetters.ResolvedBy(batch.Leads)...)
	if len(batch.Leads) > 0 {
		next.Hours = next.Hours.Add(p.opts.Now(), len(batch.Leads))
		batch.Records[checkpoint.HoursKey] = next.Hours
	}
	organizations := p.unsavedOrganizations && !batch.Empty()
	if organizations {
		batch.Records[checkpoint.OrganizationsKey] = next.Organizations
	}
	err := p.store.Commit(ctx, batch)
	p.opts.Metrics.transaction(err)
	if err != nil {
		return p.refusal(err, batch.Leads)
	}
	if organizations {
		p.saved, p.unsavedOrganizations = next.Organizations, false
	}
	p.become(next)
	pub.leads += len(batch.Leads)
	p.delivered(batch.Leads)
	p.report(pub.work, batch.Leads, batch.DeadLetters)
	if t := pub.work.tally; t != nil {
		t.published += len(batch.Leads)
		t.deadLetters = append(t.deadLetters, batch.DeadLetters...)
	}
	return nil
}

// delivered tells the forms that leads of theirs went out.
func (p *publisher) delivered(leads []delivery.Lead) {
	var last string
	for i := range leads {
		if id := leads[i].Form.ID; id != last {
			p.forms.Delivered(id)
			last = id
		}
	}
}

// commitLast makes the rest of the publication durable, with what is deferred and,
// when the window ends here, with the progress.
func (p *publisher) commitLast(ctx context.Context, pub *publication, batch delivery.Batch) error {
	next, src := p.state().Clone(), pub.work.src
	batch.Records = p.deferRows(next, pub.work, pub.window, pub.sorted.suspended)
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
		next.Recorded[src] = p.opts.Now()
		if !worth && advance.Lazy() && p.opts.Now().Sub(p.committed[src]) < idleCommit {
			p.unsaved[src] = true
			p.become(next)
			p.leftOut(pub)
			return nil
		}
		if p.opts.Requests != nil {
			batch.Records[checkpoint.RequestsKey] = checkpoint.Requests{Counters: p.opts.Requests()}
		}
	}
	if err := p.commit(ctx, pub, batch, next); err != nil {
		return err
	}
	if advance != nil {
		delete(p.unsaved, src)
		p.committed[src] = p.opts.Now()
	}
	p.leftOut(pub)
	return nil
}

// refusal marks the one lead that its topic does not take.
func (p *publisher) refusal(err error, leads []delivery.Lead) error {
	var refused *kafka.TopicError
	if errors.As(err, &refused) && refused.Index >= 0 && refused.Index < len(leads) {
		p.unfit[unfitKey(leads[refused.Index].Response)] = err.Error()
		return &unfitError{err}
	}
	return err
}

// query is the question to the topics about a window of the work.
func (p *publisher) query(j *work, w lead.Window) dedup.Query {
	q := dedup.Query{Window: w, Explicit: j.explicit()}
	switch {
	case j.bound == nil:
		q.Fresh = p.state().Sources[j.src].Fresh()
	case j.bound.Fresh:
		q.Fresh = []lead.Window{w}
	}
	return q
}

// deferRows adds to the state that these responses could not be published, and gives the
// records that are different now.
func (p *publisher) deferRows(s *checkpoint.State, j *work, w lead.Window, rows []*lead.Response) checkpoint.Records {
	if len(rows) == 0 {
		return nil
	}
	q, asOf, records := p.query(j, w), p.mark(), checkpoint.Records{}
	for _, r := range rows {
		id := checkpoint.DeferredID{Source: j.src, Form: r.Form.ID}
		window, ok := s.Deferred[id]
		if !ok {
			window.Since = p.opts.Now().UTC()
		}
		bound := checkpoint.Bound{Explicit: q.Explicit, Fresh: !q.Explicit && q.IsFresh(r.SubmittedAt)}
		next, changed := window.Defer(r.SubmittedAt, bound, asOf)
		if changed {
			if why := p.forms.Suspended(r.Form.ID); why != nil {
				next.Reason = why.Error()
			}
		}
		s.Deferred[id] = next
		if key := checkpoint.DeferredKey(id.Source, id.Form); changed || records[key] != nil {
			records[key] = next
		}
	}
	return records
}

// report counts and logs what a transaction did.
func (p *publisher) report(j *work, leads []delivery.Lead, deadLetters []delivery.DeadLetter) {
	now := p.opts.Now()
	for i := range leads {
		if took, counts := p.opts.Metrics.published(&leads[i], now); counts {
			p.latencies.add(took)
		}
	}
	for i := range deadLetters {
		p.opts.Metrics.deadLetters.WithLabelValues(deadLetters[i].Reason).Inc()
	}
	p.reportDeadLetters(deadLetters)
	if len(leads) > 0 {
		p.log.Debug("published", zap.Stringer("source", j.src), zap.Int("records", len(leads)))
	}
}

// publishedMeanwhile takes out of what is deferred that these leads were published by other
// work, and gives the records that are different now.
func publishedMeanwhile(s *checkpoint.State, j *work, leads []delivery.Lead) checkpoint.Records {
	if len(s.Deferred) == 0 {
		return nil
	}
	records := checkpoint.Records{}
	for i := range leads {
		id := checkpoint.DeferredID{Source: j.src, Form: leads[i].Form.ID}
		window := s.Deferred[id]
		if len(window.Parts()) == 0 || id.Form == j.form {
			continue
		}
		next, changed := window.Published(leads[i].SubmittedAt)
		s.Deferred[id] = next
		if key := checkpoint.DeferredKey(id.Source, id.Form); changed || records[key] != nil {
			records[key] = next
		}
	}
	return records
}

// unfitError says that Kafka refuses one lead whatever else is sent with it.
type unfitError struct {
	err error
}

func (e *unfitError) Error() string     { return e.err.Error() }
func (e *unfitError) Unwrap() error     { return e.err }
func (e *unfitError) Fault() fault.Kind { return fault.Reject }

// saveTime bounds the last commit of a session that ends in peace.
const saveTime = 3 * time.Second

// saveProgress commits the progress that was left for later, so that the next start
// need not look back for it. Without it nothing is lost. The publisher has ended.
func (p *publisher) saveProgress(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	records := checkpoint.Records{}
	for src := range p.unsaved {
		records[checkpoint.SourceKey(src)] = p.state().Sources[src]
	}
	if p.opts.Requests != nil { // with LinkedIn's limit met, nothing else was committed
		records[checkpoint.RequestsKey] = checkpoint.Requests{Counters: p.opts.Requests()}
	}
	return p.store.Commit(ctx, delivery.Batch{Records: records})
}
