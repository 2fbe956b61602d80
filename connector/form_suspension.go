package connector

import (
	"context"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/delivery"
	"leadstream/internal/fault"
)

// bar suspends a form because of err, unless err is not about the form at all.
func (b *formBook) bar(ctx context.Context, f *form, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if endsEpoch(err) || fault.KindOf(err) == fault.Pause {
		return err
	}
	b.suspend(f.id, err)
	return nil
}

// suspend stops publishing to a form; its leads are owed.
func (b *formBook) suspend(id string, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.forms[id]
	if text := why.Error(); f.said != text {
		f.said = text // each reason once, however often it is tried again
		b.epoch.log.Error("form suspended; its leads are owed until this is mended", zap.String("form", id), zap.Error(why))
	}
	f.failures++
	f.why, f.ready, f.mendAt = why, false, b.epoch.opts.Now().Add(b.patience(f.failures))
}

// patience is the wait before a form's next trial: from a second, doubling up to
// the discovery interval.
func (b *formBook) patience(failures int) time.Duration {
	return min(time.Second<<min(failures-1, 20), max(b.epoch.opts.Discovery, time.Second))
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

// mend tries the suspended forms again, those whose back-off is over, or all.
func (b *formBook) mend(ctx context.Context, all bool) error {
	b.work.Lock()
	defer b.work.Unlock()
	var forms []*form
	b.mu.Lock()
	now := b.epoch.opts.Now()
	for _, f := range b.forms {
		if f.why != nil && (all || !now.Before(f.mendAt)) {
			forms = append(forms, f)
		}
	}
	b.mu.Unlock()
	for _, f := range forms {
		if err := b.retry(ctx, f); err != nil {
			return err
		}
		if b.suspended(f.id) == nil {
			b.epoch.log.Info("form mended", zap.String("form", f.id))
		}
	}
	return nil
}

// retry tries one suspended form again: it is read and prepared as if it were
// met for the first time.
func (b *formBook) retry(ctx context.Context, f *form) error {
	now := b.peek(f)
	trial := &now
	trial.why, trial.asked = nil, map[int64]time.Time{}
	if trial.fields == nil {
		fields, err := b.remembered(ctx, f.id)
		if err != nil {
			return b.still(ctx, f, err)
		}
		trial.fields = fields
	}
	current, err := b.epoch.opts.LinkedIn.Form(ctx, f.id)
	switch {
	case err == nil:
		b.add(trial, current)
	case fault.KindOf(err) != fault.Suspend:
		return b.still(ctx, f, err)
	}
	b.mu.Lock()
	b.forms[f.id] = trial
	b.mu.Unlock()
	if err := b.bring(ctx, []*form{trial}); err != nil {
		return b.still(ctx, trial, err)
	}
	return nil
}

// still keeps a form suspended, with the newest reason.
func (b *formBook) still(ctx context.Context, f *form, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if endsEpoch(err) {
		return err
	}
	b.set(f, func() {
		f.failures++
		f.why, f.mendAt = err, b.epoch.opts.Now().Add(b.patience(f.failures))
	})
	return nil
}
