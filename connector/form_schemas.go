package connector

import (
	"context"
	"errors"
	"slices"
	"time"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// A record names its schema by an id, and what the id names is the registry's. One
// that was rebuilt knows none of them, or gives them to other schemas, and then
// nobody can read what was published before, or worse, reads it wrongly. So the
// registry is asked before an id is used, as soon as it answers after it was away,
// and every few seconds; what it has lost is given back to it under the same id where
// it takes that (schema.Registry.Restore), and else stays known as lost, over
// restarts, until it knows it again or a replay has published those leads anew.

// standing is how it stands with the registry. Guarded by the book's mutex.
type standing struct {
	away     bool      // it did not answer when it was asked last
	askAgain time.Time // from when on it is asked before an id is used, while it is away
	answered time.Time // when it last said that an id names what it should
}

const (
	// askWithin bounds the question that known forms wait for: a registry that is
	// away keeps none of them from going on.
	askWithin = 5 * time.Second
	// answerHolds is how long an answer about one form speaks for the others.
	answerHolds = 2 * time.Second
	// askShare is how many times as long as a question in vain took known forms go on
	// without another: a refused connection costs nothing, a silent one seconds.
	askShare = 20
	// watchEvery is how often the registry is asked while nothing is published,
	// awayEvery while it is away.
	watchEvery, awayEvery = 5 * time.Second, time.Second
)

// heard takes down whether the registry answers. Whatever it knew before it was away
// it is asked for again.
func (b *formBook) heard(ctx context.Context, err error) {
	now := b.leader.opts.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil:
		b.registry.answered = now
		if b.registry.away {
			b.registry.away = false
			b.recheckSchemas()
		}
	case ctx.Err() != nil, !ofRegistry(err) && !errors.Is(err, context.DeadlineExceeded), fault.KindOf(cause(err)) == fault.Suspend:
		return
	default:
		b.registry.away = true
		b.leader.issues.ReportAs("", askingRegistry, "the registry does not answer; leads of forms with a registered schema go on, and it is asked whether it still knows them once it answers", err)
		for _, f := range b.forms {
			f.sure = false
		}
	}
}

// recheckSchemas has the registry asked about all forms soon.
func (b *formBook) recheckSchemas() {
	select {
	case b.recheck <- struct{}{}:
	default:
	}
}

// verifySchemas makes sure, before the ids of these forms are used, that the registry still
// knows them. One that does not answer is believed to be as before.
func (b *formBook) verifySchemas(ctx context.Context, forms []form) error {
	known, err := b.query(ctx, forms)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil || known {
		return nil
	}
	if err := b.verify(ctx); err != nil && (ctx.Err() != nil || endsLeadership(err)) {
		return err
	}
	return nil // those that are not ready are deferred
}

// unconfirmed are the forms of these responses about which the registry is to be
// asked before they are used: those of which it has not said anything yet, else one
// of them, which speaks for all.
func (b *formBook) unconfirmed(responses []*lead.Response) []form {
	now := b.leader.opts.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.registry.away && now.Before(b.registry.askAgain) {
		return nil
	}
	var unsure, sure []form
	var last string
	met := map[string]bool{}
	for _, r := range responses {
		if r.Form.ID == last || met[r.Form.ID] {
			continue
		}
		last, met[r.Form.ID] = r.Form.ID, true
		switch f := b.forms[r.Form.ID]; {
		case f == nil || !f.ready:
		case f.sure:
			sure = append(sure, *f)
		default:
			unsure = append(unsure, *f)
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

// query asks the registry whether it knows these forms' schemas; false says that one
// of them is lost, and then none is sure any more.
func (b *formBook) query(ctx context.Context, forms []form) (known bool, err error) {
	copies := make([]*form, len(forms))
	for i := range forms {
		copies[i] = &forms[i]
	}
	lost := make([]bool, len(forms))
	began := b.leader.opts.Now()
	err = b.together(ctx, copies, func(ctx context.Context, f *form) error {
		ctx, cancel := context.WithTimeout(ctx, askWithin)
		defer cancel()
		same, err := b.leader.opts.Registry.Holds(ctx, b.subject(f.id), f.schemaID, f.fields.Schema())
		lost[slices.Index(copies, f)] = err == nil && !same
		return err
	})
	b.heard(ctx, err)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		now := b.leader.opts.Now()
		b.registry.askAgain = now.Add(askShare * now.Sub(began))
		return true, err
	}
	known = !slices.Contains(lost, true)
	for _, f := range b.forms {
		f.sure = f.sure && known
	}
	for i := range forms {
		if f := b.forms[forms[i].id]; f.schemaID == forms[i].schemaID && f.text == forms[i].text {
			f.sure = known
		}
	}
	return known, nil
}

// registryLoop asks the registry every few seconds about some form, and about all of
// them when it has lost one, or answers after it was away.
func (e *leader) registryLoop(ctx context.Context) error {
	for {
		e.forms.mu.Lock()
		wait := watchEvery
		if e.forms.registry.away {
			wait = awayEvery
		}
		e.forms.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-e.forms.recheck:
			timer.Stop()
			if err := e.verifySchemas(ctx); err != nil {
				return err
			}
		case <-timer.C:
			if !e.forms.watch(ctx) {
				e.forms.recheckSchemas()
			}
		}
	}
}

// watch asks about one form; false when it is lost.
func (b *formBook) watch(ctx context.Context) bool {
	b.mu.Lock()
	var one []form
	for _, f := range b.forms { // whichever comes first, another each time
		if f.registered() {
			one = append(one, *f)
			break
		}
	}
	b.mu.Unlock()
	if len(one) == 0 {
		return true
	}
	known, err := b.query(ctx, one)
	return known || err != nil
}

const askingRegistry = "asking the registry whether it still knows the schemas"

// verifySchemas asks the registry whether it knows what records carry, and tells how
// that stands.
func (e *leader) verifySchemas(ctx context.Context) error {
	err := e.forms.verify(ctx)
	switch {
	case err == nil:
		e.issues.Resolve(askingRegistry)
		return nil
	case ctx.Err() != nil || endsLeadership(err):
		return err
	}
	e.issues.Report("", askingRegistry, err)
	return nil
}
