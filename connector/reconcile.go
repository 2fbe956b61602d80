package connector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/checkpoint"
	"leadstream/internal/dedup"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/forms"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

var errProducerEpochLost = kafka.ErrEpochLost

// work is what the windows of one piece of work have in common.
type work struct {
	src  lead.Source
	view *dedup.View
	// bound says how far the topics' horizon counts, where that does not follow from
	// the source's backlog: a range of a deferred window, or what somebody asked for.
	bound    *checkpoint.Bound
	delivery func(time.Time) delivery.Delivery
	replay   string // id of a replay in mode all
	form     string // only this form's responses, when settling its deferred window
	// readAt is the mark under which the rows were read.
	readAt checkpoint.ReadMark
	// floor is a moment before which nothing will be asked for any more. Zero says nothing.
	floor time.Time
	tally *tally // takes what became of the rows; may be nil
	// advance is committed with the last transaction of the window. nil moves nothing.
	advance checkpoint.Advance
}

// tally is what became of rows that were to be published.
type tally struct {
	published, held, deleted int
	overtaken                []*lead.Response
	deadLetters              []delivery.DeadLetter
}

// explicit reports whether somebody asked for exactly the job's windows.
func (j *work) explicit() bool { return j.bound != nil && j.bound.Explicit }

// query is the question to the topics about a window of the job.
func (e *leader) query(j *work, w lead.Window) dedup.Query {
	q := dedup.Query{Window: w, Explicit: j.explicit()}
	switch {
	case j.bound == nil:
		q.Fresh = e.state().Sources[j.src].Fresh()
	case j.bound.Fresh:
		q.Fresh = []lead.Window{w}
	}
	return q
}

// tooMany is the answer of LinkedIn when a window holds more rows than allowed.
type tooMany interface{ TooMany() int }

func isTooMany(err error) bool {
	var many tooMany
	return errors.As(err, &many)
}

// reconcile makes one window of one source whole. When it returns nil, every
// response LinkedIn has in w is durable in Kafka, once, as a lead, a dead letter
// or a deferred window, and so is the progress that says so.
//
// limit, when positive, refuses a window of more responses before anything of
// it is published.
func (e *leader) reconcile(ctx context.Context, j *work, w lead.Window, limit int) error {
	var rows []lead.Response
	err := e.opts.LinkedIn.Responses(ctx, j.src, w, limit, func(page []lead.Response) error {
		rows = append(rows, page...)
		if limit > 0 || lead.Weigh(rows) < sliceRows {
			return nil
		}
		part := rows
		rows = nil
		return e.publishWithRetry(ctx, j, w, part, false)
	})
	if err != nil {
		return fmt.Errorf("reading %s of %s: %w", w, j.src, err)
	}
	return e.publishWithRetry(ctx, j, w, rows, true)
}

// maxRounds bounds how often a flush is tried with something else set aside; a
// transaction names few topics, and most refusals concern one.
const maxRounds = 100

// flush publishes what is missing of the rows, which are part of window w, and
// with the last of them the job's progress.
func (e *leader) flush(ctx context.Context, j *work, w lead.Window, rows []lead.Response, last bool) error {
	asked := map[lead.FormRef]bool{} // once in a flush, however long the answers take
	confirmed := false
	for round := 0; ; round++ {
		parts, err := e.sort(ctx, j, rows)
		if err != nil {
			return err
		}
		if j.advance != nil && j.advance.Whole() && len(parts.suspended) > 0 {
			form := parts.suspended[0].Form.ID
			return &suspendedError{form: form, why: e.forms.Suspended(form)}
		}
		m := &publication{work: j, window: w, sorted: parts, last: last, asked: asked, confirmed: confirmed}
		err = e.ask(ctx, m)
		switch {
		case err == nil && m.need.empty():
			return nil
		case err == nil:
			if err := e.prepare(ctx, &m.need); err != nil {
				return err
			}
			confirmed = confirmed || len(m.need.unconfirmed) > 0
			for _, r := range m.need.lacking {
				asked[r.Form] = true
			}
		case m.shrunk, errors.Is(err, errUnusable), e.setAside(err):
			// What was refused is known now, or a form changed its state since the rows were
			// sorted: they are sorted again.
		default:
			return err
		}
		if round == maxRounds {
			return cmp.Or(err, errTooManyRounds)
		}
	}
}

// errUnusable says that a form cannot be encoded any more. errTooManyRounds is of kind
// Retry: what stands in the way of a window changed each time it was tried.
var (
	errUnusable      = errors.New("a form changed its state meanwhile")
	errTooManyRounds = errors.New("the forms change their state again and again")
)

// need is what is to be prepared before a window can be published. Nothing of the window
// was published then.
type need struct {
	loads       []*delivery.Load
	lookups     delivery.Lookups
	lacking     []*lead.Response // whose form is to be asked for
	unconfirmed []*forms.Form    // of which the registry is to be asked whether it knows their schemas
}

func (n *need) empty() bool {
	return len(n.loads)+len(n.lookups)+len(n.lacking)+len(n.unconfirmed) == 0
}

// prepare prepares it, in the goroutine of whoever has the window.
func (e *leader) prepare(ctx context.Context, n *need) error {
	if len(n.lookups) > 0 {
		if err := e.lookUp(ctx, n.lookups); err != nil {
			return err
		}
	}
	if len(n.loads) > 0 {
		if err := e.load(ctx, n.loads); err != nil && !e.setAside(err) {
			return err
		}
	}
	if len(n.lacking) > 0 {
		return e.forms.Learn(ctx, n.lacking)
	}
	if len(n.unconfirmed) > 0 {
		return e.forms.Confirm(ctx, n.unconfirmed)
	}
	return nil
}

// handle publishes a window, or says what it needs first.
func (m *publication) handle(ctx context.Context, e *leader) error {
	if m.need.lookups = e.store.Unpublished(m.sorted.bad); len(m.need.lookups) > 0 {
		return nil
	}
	m.diff, m.need.loads = e.store.Missing(m.work.view, e.query(m.work, m.window), m.sorted.good)
	if len(m.need.loads) > 0 {
		return nil
	}
	if !e.forms.Usable(m.diff.Missing) {
		return errUnusable
	}
	if m.need.lacking = e.forms.Lacking(m.diff.Missing, m.asked); len(m.need.lacking) > 0 {
		return nil
	}
	if unsure := e.forms.Unconfirmed(m.diff.Missing); len(unsure) > 0 && !m.confirmed {
		m.need.unconfirmed = unsure
		return nil
	}
	err := e.publish(ctx, m)
	if err == nil && !m.work.floor.IsZero() {
		m.work.view.Forget(m.work.floor)
	}
	if err != nil && topicOf(err) == e.store.DeadLetterTopic() && fault.KindOf(err) == fault.Reject {
		m.shrunk = e.store.ShrinkDeadLetters() // it takes less than was thought
	}
	return err
}

// suspendedError says that something cannot go out because its form is suspended,
// and may not be deferred: what is deferred of a replay in mode all would go out unmarked, and
// what was read once may not be read again.
type suspendedError struct {
	form string
	why  error
}

func (e *suspendedError) Error() string {
	return fmt.Sprintf("form %s is suspended: %v", e.form, e.why)
}

// Fault is Retry: it goes on once the form does.
func (e *suspendedError) Fault() fault.Kind { return fault.Retry }

// sorted are the rows of a flush by what can be done with them.
type sorted struct {
	good      []*lead.Response // of forms that can be published
	bad       []*lead.Response // unreadable elements
	suspended []*lead.Response // of suspended forms: deferred
}

// sort makes the forms and topics that the rows name ready, and sorts the rows.
func (e *leader) sort(ctx context.Context, j *work, rows []lead.Response) (sorted, error) {
	var s sorted
	for i := range rows {
		r := &rows[i]
		if r.Owner == "" {
			r.Owner = j.src.Owner
		}
		switch {
		case j.form != "" && r.Form.ID != j.form:
		case r.Unreadable != "":
			s.bad = append(s.bad, r)
		default:
			s.good = append(s.good, r)
		}
	}
	if err := e.forms.Prepare(ctx, s.good); err != nil {
		return sorted{}, err
	}
	usable := s.good[:0]
	for _, r := range s.good {
		if e.forms.Suspended(r.Form.ID) != nil {
			s.suspended = append(s.suspended, r)
		} else {
			usable = append(usable, r)
		}
	}
	s.good = usable
	return s, nil
}

// setAside takes note of what Kafka refused, so that the rest can go out; false
// when it is nothing that concerns one form or lead alone.
func (e *leader) setAside(err error) bool {
	var unfit *unfitError
	if errors.As(err, &unfit) {
		return true // marked as a dead letter where it was found
	}
	form, isLead := e.formOf(topicOf(err))
	if !isLead {
		return false
	}
	if errors.Is(err, kafka.ErrTopicMissing) {
		e.forms.Lost(form) // forgotten by the store; both make it again
		return true
	}
	e.forms.Suspend(form, err)
	return true
}

// topicOf is the topic that an error is about alone, empty when it is about more.
func topicOf(err error) string {
	var refused *kafka.TopicError
	var foreign *delivery.ForeignTopicError
	var corrupt *kafka.CorruptError
	switch {
	case errors.As(err, &refused):
		return refused.Topic
	case errors.As(err, &foreign):
		return foreign.Topic
	case errors.As(err, &corrupt):
		return corrupt.Topic
	}
	return ""
}

// deferRows adds to the state that these responses could not be published, and gives the
// records that are different now.
func (e *leader) deferRows(s *checkpoint.State, j *work, w lead.Window, rows []*lead.Response) checkpoint.Records {
	if len(rows) == 0 {
		return nil
	}
	q, asOf, records := e.query(j, w), e.mark(), checkpoint.Records{}
	for _, r := range rows {
		id := checkpoint.DeferredID{Source: j.src, Form: r.Form.ID}
		window, ok := s.Deferred[id]
		if !ok {
			window.Since = e.opts.Now().UTC()
		}
		bound := checkpoint.Bound{Explicit: q.Explicit, Fresh: !q.Explicit && q.IsFresh(r.SubmittedAt)}
		next, changed := window.Defer(r.SubmittedAt, bound, asOf)
		if changed {
			if why := e.forms.Suspended(r.Form.ID); why != nil {
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

// report counts and logs what a transaction did.
func (e *leader) report(j *work, leads []delivery.Lead, deadLetters []delivery.DeadLetter) {
	now := e.opts.Now()
	for i := range leads {
		if took, counts := e.opts.Metrics.published(&leads[i], now); counts {
			e.latencies.add(took)
		}
	}
	for i := range deadLetters {
		e.opts.Metrics.deadLetters.WithLabelValues(deadLetters[i].Reason).Inc()
	}
	e.reportDeadLetters(deadLetters)
	if len(leads) > 0 {
		e.log.Debug("published", zap.Stringer("source", j.src), zap.Int("records", len(leads)))
	}
}

// unfitError says that Kafka refuses one lead whatever else is sent with it.
type unfitError struct {
	err error
}

func (e *unfitError) Error() string     { return e.err.Error() }
func (e *unfitError) Unwrap() error     { return e.err }
func (e *unfitError) Fault() fault.Kind { return fault.Reject }
