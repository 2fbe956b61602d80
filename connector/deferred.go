package connector

import (
	"context"
	"fmt"
	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
	"sync"
	"time"

	"go.uber.org/zap"
)

// recoverInterval is how often suspended forms are looked at; each has a back-off
// of its own, up to the discovery interval.
const recoverInterval = time.Second

// settling is the work of delivering what is deferred.
const settling = "delivering what is deferred of forms"

// deferrer looks after suspended forms: it tries to recover each now and then, and delivers
// what is deferred of recovered ones.
type deferrer struct {
	*session
	one sync.Mutex // lets one round run at a time
}

// run makes a round every second.
func (r *deferrer) run(ctx context.Context) error {
	ctx = lead.Background(ctx)
	for {
		if fault.Sleep(ctx, recoverInterval) != nil {
			return nil
		}
		err := r.round(ctx, false)
		switch {
		case err == nil:
			r.issues.Resolve(settling)
		case ctx.Err() != nil:
			return nil
		case kafka.EndsSession(err):
			return err
		default:
			r.issues.Report("", settling, err)
		}
	}
}

// round tries to recover the suspended forms and to deliver what is deferred of the others,
// once. all also tries the forms whose back-off is not over.
func (r *deferrer) round(ctx context.Context, all bool) error {
	r.one.Lock()
	defer r.one.Unlock()
	if err := r.forms.Recover(ctx, all); err != nil {
		return err
	}
	return r.deliverAll(ctx)
}

// deliverAll delivers what is deferred of forms that are not suspended any more. The ranges
// shrink with each part; what is deferred anew meanwhile is kept for the next time.
func (r *deferrer) deliverAll(ctx context.Context) error {
	for id, window := range r.state().Deferred {
		if r.forms.Suspended(id.Form) != nil {
			continue
		}
		for _, part := range window.Parts() {
			if err := r.deliver(ctx, id, part); err != nil {
				return fmt.Errorf("delivering what is deferred of form %s: %w", id.Form, err)
			}
		}
		if _, left := r.state().Deferred[id]; !left { // else it could not go out after all, or grew
			r.log.Info("delivered what was deferred of a form", zap.String("form", id.Form), zap.Stringer("window", window.Window()))
		}
	}
	return nil
}

// deliver reconciles a range for its form, as far back as the range's own bound allows.
func (r *deferrer) deliver(ctx context.Context, id checkpoint.DeferredID, part checkpoint.DeferredRange) error {
	view := r.store.NewView("")
	defer view.Close()
	j := &work{src: id.Source, view: view, bound: &part.Bound, form: id.Form,
		delivery: func(time.Time) delivery.Delivery { return delivery.DeliveryLate }}
	return r.sweep(ctx, j, part.Window(), func(w lead.Window, readAt checkpoint.ReadMark) checkpoint.Advance {
		return checkpoint.DeferredDone{ID: id, Part: w, Bound: part.Bound, ReadAt: readAt}
	})
}
