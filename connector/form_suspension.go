package connector

import (
	"context"
	"time"

	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/lead"
	"leadstream/schema"
)

// suspendUnlessGone suspends a form because of err, unless err is not about the form at all.
func (b *formBook) suspendUnlessGone(ctx context.Context, f *form, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if endsLeadership(err) || fault.KindOf(err) == fault.Pause {
		return err
	}
	b.suspend(f.id, err)
	return nil
}

// suspend stops publishing to a form; its leads are deferred.
func (b *formBook) suspend(id string, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.forms[id]
	var say *line
	if text := why.Error(); f.said != text {
		f.said = text // each reason once, however often it is tried again
		say = &line{message: "form suspended; its leads are kept until this is recovered"}
	}
	b.leader.issues.report(id, formWork(id), why, say)
	f.failures++
	f.why, f.ready, f.retryAt = why, false, b.leader.opts.Now().Add(b.backoff(f.failures))
}

// formWork names the publishing to a form.
func formWork(id string) string { return "publishing to form " + id }

// backoff is the wait before a form's next trial: from a second, doubling up to
// the discovery interval.
func (b *formBook) backoff(failures int) time.Duration {
	return min(time.Second<<min(failures-1, 20), max(b.leader.opts.Discovery, time.Second))
}

// delivered notes that leads went out, so that their forms' failures are over.
func (b *formBook) delivered(leads []delivery.Lead) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range leads {
		if f := b.forms[leads[i].Form.ID]; f != nil {
			f.failures, f.said = 0, ""
		}
	}
}

// suspended is why a form cannot be published to, nil when it can.
func (b *formBook) suspended(id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.forms[id]; f != nil {
		return f.why
	}
	return nil
}

// recover tries the suspended forms again, those whose back-off is over, or all.
// What it asks of LinkedIn and of the registry keeps no poll waiting.
func (b *formBook) recover(ctx context.Context, all bool) error {
	var forms []*form
	b.mu.Lock()
	now := b.leader.opts.Now()
	for _, f := range b.forms {
		if f.why != nil && (all || !now.Before(f.retryAt)) {
			forms = append(forms, f)
		}
	}
	b.mu.Unlock()
	for _, f := range forms {
		read, err := b.reread(ctx, f)
		if err == nil {
			err = b.retry(ctx, f, read)
		}
		if err != nil {
			if err = b.staySuspended(ctx, f.id, err); err != nil {
				return err
			}
		}
		if b.suspended(f.id) == nil {
			b.leader.issues.Resolve(formWork(f.id))
		}
	}
	return nil
}

// reread is what a suspended form is tried again with.
type reread struct {
	fields  *schema.Fields // of the registry, where the form has none yet
	current *lead.Form     // nil where LinkedIn does not show it
}

// reread asks for a form as if it were met for the first time.
func (b *formBook) reread(ctx context.Context, f *form) (reread, error) {
	var read reread
	if b.peek(f).fields == nil {
		fields, err := b.remembered(ctx, f.id)
		if err != nil {
			return reread{}, err
		}
		read.fields = fields
	}
	current, err := b.leader.opts.LinkedIn.Form(ctx, f.id)
	switch {
	case err == nil:
		read.current = &current
	case fault.RefusalOf(err) != fault.Gone: // forbidden, or for the moment: its leads still wait
		return reread{}, unreadForm(f.id, err)
	}
	return read, nil
}

// retry puts a copy that is not suspended in the place of a form, and prepares it.
func (b *formBook) retry(ctx context.Context, f *form, read reread) error {
	return b.each(ctx, []string{f.id}, nil, func(forms []*form) error {
		now := b.peek(forms[0])
		trial := &now
		trial.why, trial.asked, trial.gone = nil, map[int64]time.Time{}, read.current == nil
		if trial.fields == nil {
			trial.fields = read.fields
		}
		if read.current != nil {
			b.add(trial, *read.current)
		}
		b.mu.Lock()
		b.forms[f.id] = trial
		b.mu.Unlock()
		return b.provision(ctx, []*form{trial})
	})
}

// staySuspended keeps a form suspended, with the newest reason.
func (b *formBook) staySuspended(ctx context.Context, id string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if endsLeadership(err) {
		return err
	}
	b.leader.issues.ReportAs(id, formWork(id), "form suspended; its leads are kept until this is recovered", err)
	f := b.get(id, "")
	b.set(f, func() {
		f.failures++
		f.why, f.retryAt = err, b.leader.opts.Now().Add(b.backoff(f.failures))
	})
	return nil
}
