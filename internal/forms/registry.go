package forms

import (
	"context"
	"errors"
	"slices"
	"time"

	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
	"leadstream/schema"
)

// A record names its schema by an id, and what the id names is the registry's. One that was
// rebuilt knows none of them, or gives them to other schemas. Nobody can read then what was
// published before, or worse, reads it wrongly. So the registry is asked before an id is used,
// as soon as it answers after it was away, and every few seconds. What it has lost is given back
// to it under the same id where it takes that (schema.Registry.Restore). Else it stays known as
// lost, over restarts, until the registry knows it again or a replay has published those leads
// anew.

// standing is how it stands with the registry. Guarded by the book's mutex.
type standing struct {
	away     bool      // it did not answer when it was asked last
	askAgain time.Time // from when on it is asked before an id is used, while it is away
	answered time.Time // when it last said that an id names what it should
}

const (
	// askWithin bounds the question that known forms wait for: a registry that is away keeps
	// none of them from going on.
	askWithin = 5 * time.Second
	// answerHolds is how long an answer about one form speaks for the others.
	answerHolds = 2 * time.Second
	// askShare is how many times as long as a question in vain took known forms go on without
	// another: a refused connection costs nothing, a silent one seconds.
	askShare = 20
	// watchEvery is how often the registry is asked while nothing is published, awayEvery while
	// it is away.
	watchEvery, awayEvery = 5 * time.Second, time.Second
)

const askingRegistry = "asking the registry whether it still knows the schemas"

// heard takes in whether the registry answers. Whatever it knew before it was away it is asked
// for again.
func (b *Book) heard(ctx context.Context, err error) {
	theirs := schema.Cause(err)
	switch {
	case err == nil:
		now := b.o.Now()
		b.mu.Lock()
		back := b.registry.away
		b.registry.away, b.registry.answered = false, now
		b.mu.Unlock()
		if back {
			b.Recheck()
		}
	case ctx.Err() != nil, theirs == nil && !errors.Is(err, context.DeadlineExceeded), theirs != nil && fault.KindOf(theirs) == fault.Suspend:
	default:
		b.o.Issues.ReportAs("", askingRegistry, "the registry does not answer; leads of forms with a registered schema go on, and it is asked whether it still knows them once it answers", err)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.registry.away = true
		b.unsure()
	}
}

// unsure takes in that nothing is known of what the registry knows. The caller holds the mutex.
func (b *Book) unsure() {
	for id, f := range b.forms {
		if f.sure {
			b.changeLocked(id, func(f *Form) { f.sure = false })
		}
	}
}

// Recheck has the registry asked about all forms soon.
func (b *Book) Recheck() {
	select {
	case b.recheck <- struct{}{}:
	default:
	}
}

// Unconfirmed are the forms of these responses about which the registry is to be asked before
// they are used: those of which it has not said anything yet, else one of them, which speaks for
// all.
func (b *Book) Unconfirmed(responses []*lead.Response) []*Form {
	now := b.o.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.registry.away && now.Before(b.registry.askAgain) {
		return nil
	}
	var unsure, sure []*Form
	var last string
	met := map[string]bool{}
	for _, r := range responses {
		if r.Form.ID == last || met[r.Form.ID] {
			continue
		}
		last, met[r.Form.ID] = r.Form.ID, true
		switch f := b.forms[r.Form.ID]; {
		case f == nil || f.State != Ready:
		case f.sure:
			sure = append(sure, f)
		default:
			unsure = append(unsure, f)
		}
	}
	if len(unsure) > 0 {
		return unsure
	}
	if len(sure) > 0 && now.Sub(b.registry.answered).Abs() >= answerHolds {
		return sure[:1]
	}
	return nil
}

// Confirm makes sure, before the schema ids of these forms are used, that the registry still
// knows them. One that does not answer is believed to be as before. Forms that are not ready
// afterwards have their leads deferred.
func (b *Book) Confirm(ctx context.Context, forms []*Form) error {
	known, err := b.query(ctx, forms)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil || known {
		return nil
	}
	if err := b.verify(ctx); err != nil && (ctx.Err() != nil || kafka.EndsSession(err)) {
		return err
	}
	return nil
}

// query asks the registry whether it knows these forms' schemas. False says that one of them is
// lost; none is sure any more then.
func (b *Book) query(ctx context.Context, forms []*Form) (known bool, err error) {
	lost := make([]bool, len(forms))
	began := b.o.Now()
	err = together(ctx, b, forms, func(ctx context.Context, f *Form) error {
		ctx, cancel := context.WithTimeout(ctx, askWithin)
		defer cancel()
		same, err := b.o.Registry.Holds(ctx, b.subject(f.ID), f.SchemaID, f.Fields.Schema())
		lost[slices.Index(forms, f)] = err == nil && !same
		return err
	})
	b.heard(ctx, err)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		now := b.o.Now()
		b.registry.askAgain = now.Add(askShare * now.Sub(began))
		return true, err
	}
	known = !slices.Contains(lost, true)
	if !known {
		b.unsure()
		return false, nil
	}
	for _, asked := range forms {
		if f := b.forms[asked.ID]; f.SchemaID == asked.SchemaID && f.text == asked.text && !f.sure {
			b.changeLocked(asked.ID, func(f *Form) { f.sure = true })
		}
	}
	return true, nil
}

// WatchRegistry asks the registry every few seconds about some form, and about all of them when
// it has lost one, or answers after it was away. It ends with ctx, or with what ends the
// session.
func (b *Book) WatchRegistry(ctx context.Context) error {
	for {
		b.mu.Lock()
		wait := watchEvery
		if b.registry.away {
			wait = awayEvery
		}
		b.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-b.recheck:
			timer.Stop()
			if err := b.Verify(ctx); err != nil {
				return err
			}
		case <-timer.C:
			b.watch(ctx)
		}
	}
}

// watch asks about one form, another each time, and has all rechecked when it is lost.
func (b *Book) watch(ctx context.Context) {
	forms := b.All()
	i := slices.IndexFunc(forms, (*Form).registered)
	if i < 0 {
		return
	}
	if known, err := b.query(ctx, forms[i:i+1]); err == nil && !known {
		b.Recheck()
	}
}

// Verify asks the registry whether it knows every schema that records carry or are written
// with, and tells how that stands. What it has lost is restored, else registered anew and known
// as lost from then on. Its error ends the session.
func (b *Book) Verify(ctx context.Context) error {
	err := b.verify(ctx)
	switch {
	case err == nil:
		b.o.Issues.Resolve(askingRegistry)
		return nil
	case ctx.Err() != nil || kafka.EndsSession(err):
		return err
	}
	b.o.Issues.Report("", askingRegistry, err)
	return nil
}
