package connector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/dedup"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/forms"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

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

// explicit reports whether somebody asked for exactly the work's windows.
func (j *work) explicit() bool { return j.bound != nil && j.bound.Explicit }

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
func (s *session) reconcile(ctx context.Context, j *work, w lead.Window, limit int) error {
	var rows []lead.Response
	err := s.opts.LinkedIn.Responses(ctx, j.src, w, limit, func(page []lead.Response) error {
		rows = append(rows, page...)
		if limit > 0 || lead.Weigh(rows) < sliceRows {
			return nil
		}
		part := rows
		rows = nil
		return s.publishWithRetry(ctx, j, w, part, false)
	})
	if err != nil {
		return fmt.Errorf("reading %s of %s: %w", w, j.src, err)
	}
	return s.publishWithRetry(ctx, j, w, rows, true)
}

// publishWithRetry flushes rows again and again while only time can fix what stands in
// the way: with Kafka away, LinkedIn is not read for nothing.
func (s *session) publishWithRetry(ctx context.Context, j *work, w lead.Window, rows []lead.Response, last bool) error {
	var final error
	err := s.retry(ctx, j.src.Owner, "publishing leads of "+j.src.String(), func(ctx context.Context) error {
		err := s.flush(ctx, j, w, rows, last)
		if err != nil && fault.KindOf(err) != fault.Retry {
			final = err
			return nil
		}
		return err
	})
	return errors.Join(final, err)
}

// maxRounds bounds how often a flush is tried with something else set aside; a
// transaction names few topics, and most refusals concern one.
const maxRounds = 100

// flush publishes what is missing of the rows, which are part of window w, and
// with the last of them the work's progress.
func (s *session) flush(ctx context.Context, j *work, w lead.Window, rows []lead.Response, last bool) error {
	asked := map[lead.FormRef]bool{} // once in a flush, however long the answers take
	confirmed := false
	for round := 0; ; round++ {
		parts, err := s.sort(ctx, j, rows)
		if err != nil {
			return err
		}
		if j.advance != nil && j.advance.Whole() && len(parts.suspended) > 0 {
			form := parts.suspended[0].Form.ID
			return &suspendedError{form: form, why: s.forms.Suspended(form)}
		}
		m := &publication{work: j, window: w, sorted: parts, last: last, asked: asked, confirmed: confirmed}
		err = s.ask(ctx, m)
		switch {
		case err == nil && m.need.empty():
			return nil
		case err == nil:
			if err := s.prepare(ctx, &m.need); err != nil {
				return err
			}
			confirmed = confirmed || len(m.need.unconfirmed) > 0
			for _, r := range m.need.lacking {
				asked[r.Form] = true
			}
		case m.shrunk, errors.Is(err, errUnusable), s.setAside(err):
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
func (s *session) prepare(ctx context.Context, n *need) error {
	if len(n.lookups) > 0 {
		if err := s.lookUp(ctx, n.lookups); err != nil {
			return err
		}
	}
	if len(n.loads) > 0 {
		if err := s.load(ctx, n.loads); err != nil && !s.setAside(err) {
			return err
		}
	}
	if len(n.lacking) > 0 {
		return s.forms.Learn(ctx, n.lacking)
	}
	if len(n.unconfirmed) > 0 {
		return s.forms.Confirm(ctx, n.unconfirmed)
	}
	return nil
}

// load reads what views lack of the topics, while others publish.
func (s *session) load(ctx context.Context, loads []*delivery.Load) error {
	for _, l := range loads {
		s.store.Read(ctx, l)
	}
	return s.ask(ctx, &loaded{loads})
}

// ensureTopics makes the topics of these forms exist and be known. refused has an entry for
// each whose topic cannot be written to, recreated are those that are others than before.
func (s *session) ensureTopics(ctx context.Context, forms []string) (refused map[string]error, recreated []*delivery.TopicRecreatedError, err error) {
	unknown := &unknownTopics{forms: forms}
	if err := s.ask(ctx, unknown); err != nil {
		return nil, nil, err
	}
	if err := s.store.LookAt(ctx, unknown.looks); err != nil {
		return nil, nil, err
	}
	learn := &learnTopics{looks: unknown.looks}
	err = s.ask(ctx, learn)
	return learn.refused, learn.recreated, err
}

// lookUp looks for elements among the published leads, while others publish.
func (s *session) lookUp(ctx context.Context, lookups delivery.Lookups) error {
	failed := s.store.DeadLetters.LookUp(ctx, lookups)
	return cmp.Or(s.ask(ctx, &lookedUp{lookups}), failed)
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
func (s *session) sort(ctx context.Context, j *work, rows []lead.Response) (sorted, error) {
	var by sorted
	for i := range rows {
		r := &rows[i]
		if r.Owner == "" {
			r.Owner = j.src.Owner
		}
		switch {
		case j.form != "" && r.Form.ID != j.form:
		case r.Unreadable != "":
			by.bad = append(by.bad, r)
		default:
			by.good = append(by.good, r)
		}
	}
	if err := s.forms.Prepare(ctx, by.good); err != nil {
		return sorted{}, err
	}
	usable := by.good[:0]
	for _, r := range by.good {
		if s.forms.Suspended(r.Form.ID) != nil {
			by.suspended = append(by.suspended, r)
		} else {
			usable = append(usable, r)
		}
	}
	by.good = usable
	return by, nil
}

// setAside takes note of what Kafka refused, so that the rest can go out; false
// when it is nothing that concerns one form or lead alone.
func (s *session) setAside(err error) bool {
	var unfit *unfitError
	if errors.As(err, &unfit) {
		return true // marked as a dead letter where it was found
	}
	form, isLead := s.formOf(topicOf(err))
	if !isLead {
		return false
	}
	if errors.Is(err, kafka.ErrTopicMissing) {
		s.forms.Lost(form) // forgotten by the store; both make it again
		return true
	}
	s.forms.Suspend(form, err)
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
