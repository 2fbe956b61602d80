package connector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// StoredDeadLetter is a dead letter to be sent through once more.
type StoredDeadLetter struct {
	Key      string
	Response lead.Response // as fetched again, or as stored
	Problem  string        // why it cannot be retried now, for example that LinkedIn does not give it; else empty
	Timeless bool          // the stored element does not tell when it was submitted: Response may be another submission
}

// FetchAgain reads the lead of each dead letter anew. What is stored serves where LinkedIn
// has none, or has another submission under the id by now. What LinkedIn answers about one
// keeps no other from being retried.
func (c *Connector) FetchAgain(ctx context.Context, deadLetters []StoredDeadLetter) ([]StoredDeadLetter, error) {
	var out []StoredDeadLetter
	for _, d := range deadLetters {
		if stored := d.Response; stored.ID != "" {
			fetched, err := c.opts.LinkedIn.Response(ctx, stored.ID)
			switch {
			case err == nil && (stored.SubmittedAt.IsZero() || fetched.SubmittedAt.Equal(stored.SubmittedAt)):
				d.Response = fetched
			case err == nil || fault.KindOf(err) == fault.Suspend:
			case !fault.Answered(err) || fault.KindOf(err).NeedsPerson():
				return nil, err // it is the same for all
			default:
				d.Problem = err.Error()
			}
			d.Timeless = stored.SubmittedAt.IsZero()
		}
		out = append(out, d)
	}
	return out, nil
}

// Outcome is what became of a dead letter: Problem is empty when its lead is in its
// topic now, or deleted, and the dead letter is gone; Result says which.
type Outcome struct {
	Key     string `json:"key"`
	Result  string `json:"result,omitempty"`
	Problem string `json:"problem,omitempty"`
}

// Republish publishes the leads of dead letters, the oldest submissions first so that none
// overtakes another, and removes each dead letter whose lead has gone out. What keeps one of
// them is its outcome and keeps no other; an error concerns all that are left. It opens a session of its own, so it fences whoever
// works: the caller makes sure that nobody does.
func (c *Connector) Republish(ctx context.Context, deadLetters []StoredDeadLetter) ([]Outcome, error) {
	e, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	defer c.leave()
	defer e.publisher.end()
	deadLetters = slices.SortedStableFunc(slices.Values(deadLetters), func(a, b StoredDeadLetter) int {
		return a.Response.SubmittedAt.Compare(b.Response.SubmittedAt)
	})
	var outcomes []Outcome
	for i := range deadLetters {
		result, problem, err := e.republish(ctx, &deadLetters[i])
		if err != nil {
			return outcomes, fmt.Errorf("retrying dead letter %s: %w", deadLetters[i].Key, err)
		}
		outcomes = append(outcomes, Outcome{Key: deadLetters[i].Key, Result: result, Problem: problem})
	}
	return outcomes, nil
}

// retried is the advance of a dead letter: there is no progress to move, and what was read
// once may not be read again, so that it is not deferred.
type retried struct{}

// On implements checkpoint.Advance.
func (retried) On(*checkpoint.State, int) checkpoint.Records { return nil }

// Whole implements checkpoint.Advance.
func (retried) Whole() bool { return true }

// Lazy implements checkpoint.Advance.
func (retried) Lazy() bool { return true }

// republish gives what became of the lead, or why it stays a dead letter.
func (s *session) republish(ctx context.Context, deadLetter *StoredDeadLetter) (result, problem string, err error) {
	r := deadLetter.Response
	if why := cmp.Or(deadLetter.Problem, r.Unreadable); why != "" {
		return "", why, nil
	}
	if r.Owner == "" || r.Type == "" {
		return "", "its owner or lead type is not known", nil
	}
	view := s.store.NewView("")
	defer view.Close()
	w := lead.Window{From: r.SubmittedAt, To: r.SubmittedAt.Add(time.Millisecond)}
	var became tally
	j := &work{src: lead.Source{Owner: r.Owner, Type: r.Type}, view: view, bound: &checkpoint.Bound{Explicit: true},
		advance: retried{}, tally: &became, delivery: func(time.Time) delivery.Delivery { return delivery.DeliveryLate }}
	err = s.flush(ctx, j, w, []lead.Response{r}, true)
	suspended, waits := errors.AsType[*suspendedError](err)
	switch {
	case waits:
		return "", suspended.Error() + "; retry it once the form goes on", nil
	case err != nil:
		return "", "", err
	case len(became.overtaken) > 0:
		return "", "it is overtaken: the topic has a later submission of this lead, and an older one would take its place", nil
	case became.published > 0:
		result = "published"
	case became.deleted > 0:
		result = "deleted by LinkedIn; not published"
	case became.held > 0 && deadLetter.Timeless:
		return "", "its topic has the submission that LinkedIn shows; whether this element is that one cannot be told, for it has no time", nil
	case became.held > 0:
		result = "in its topic already"
	default:
		return "", "it cannot be published; see the dead letter's error", nil
	}
	// The lead is in its topic, or deleted: the dead letter has done its part.
	if err := s.ask(ctx, &resolveDeadLetter{key: deadLetter.Key}); err != nil {
		return "", "", errors.Join(errors.New("removing the dead letter"), err)
	}
	return result, "", nil
}
