package forms

import (
	"context"
	"time"

	"leadstream/internal/fault"
	"leadstream/internal/kafka"
)

// Work names the publishing to a form, for whoever is told of issues.
func Work(id string) string { return "publishing to form " + id }

// suspendUnlessGreater suspends a form because of err. An error that is not about the form
// alone is returned.
func (b *Book) suspendUnlessGreater(ctx context.Context, id string, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case kafka.EndsSession(err), fault.KindOf(err) == fault.Pause:
		return err
	}
	b.Suspend(id, err)
	return nil
}

// Suspend stops publishing to a form, because of why. Its leads are deferred until Recover gets
// it ready.
func (b *Book) Suspend(id string, why error) {
	text, said := why.Error(), false
	b.change(id, func(f *Form) {
		said = f.said == text
		f.said = text
		f.failures++
		f.on(Refused)
		f.Why, f.retryAt = why, b.o.Now().Add(b.backoff(f.failures))
	})
	if said { // each reason once, however often it is tried again
		b.o.Issues.ReportSilently(id, Work(id), why)
		return
	}
	b.o.Issues.ReportAs(id, Work(id), "form suspended; its leads are kept until this is recovered", why)
}

// backoff is the wait before a form's next trial: from a second, doubling up to the discovery
// interval.
func (b *Book) backoff(failures int) time.Duration {
	return min(time.Second<<min(failures-1, 20), max(b.o.Discovery, time.Second))
}

// reading names the reading of a form that is known, for whoever is told of issues.
func reading(id string) string { return "reading form " + id }

// Refuse suspends a form of an event that LinkedIn refuses to show, before a lead needs it. One
// that is known goes on with what is known until it lacks something, which is told.
func (b *Book) Refuse(id, owner string, why error) {
	if f := b.Get(id); f != nil && f.State != Unknown {
		b.o.Issues.ReportAs(id, reading(id), "LinkedIn refuses to show a form; its leads go out with what is known of it until they need more", unread(id, why))
		return
	}
	b.change(id, func(f *Form) { f.Owner = owner })
	b.Suspend(id, unread(id, why))
}

// Lost takes in that the topic of a form is gone: the next use of the form makes it again.
func (b *Book) Lost(id string) {
	b.change(id, func(f *Form) {
		f.topic = false
		f.on(Changed)
	})
}

// Delivered takes in that leads of a form went out, so that its failures are over.
func (b *Book) Delivered(id string) {
	if f := b.Get(id); f != nil && (f.failures > 0 || f.said != "") {
		b.change(id, func(f *Form) { f.failures, f.said = 0, "" })
	}
}

// Recover tries the suspended forms again, those whose back-off is over, or all. What it asks
// of LinkedIn and of the registry keeps no poll waiting. Its error ends the session.
func (b *Book) Recover(ctx context.Context, all bool) error {
	now := b.o.Now()
	for _, f := range b.All() {
		if f.State != Suspended || !all && now.Before(f.retryAt) {
			continue
		}
		err := b.retry(ctx, f.ID)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		case kafka.EndsSession(err):
			return err
		default:
			b.Suspend(f.ID, err)
		}
		if b.Suspended(f.ID) == nil {
			b.o.Issues.Resolve(Work(f.ID))
		}
	}
	return nil
}

// retry reads a suspended form as if it had just been named for the first time, and provisions
// it.
func (b *Book) retry(ctx context.Context, id string) error {
	fields := b.Get(id).Fields
	if fields == nil {
		var err error
		if fields, err = b.remembered(ctx, id); err != nil {
			return err
		}
	}
	current, err := b.o.LinkedIn.Form(ctx, id)
	gone := fault.RefusalOf(err) == fault.Gone
	if err != nil && !gone { // forbidden, or for the moment: its leads still wait
		return unread(id, err)
	}
	return b.each(ctx, []string{id}, nil, func(ids []string) error {
		b.change(id, func(f *Form) {
			f.asked, f.Gone = nil, gone
			if f.Fields == nil {
				f.Fields = fields
			}
			f.on(Retried)
			if !gone {
				f.add(current)
			}
		})
		return b.provision(ctx, ids)
	})
}
