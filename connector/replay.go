package connector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// ReplayOptions ask for one explicit replay of a window of submission time.
type ReplayOptions struct {
	ID       string
	From, To time.Time
	Mode     checkpoint.Mode
}

// ReplayWindowError says that a replay that was never begun asks for a time of
// which LinkedIn keeps nothing any more.
type ReplayWindowError struct {
	From, To time.Time // From is where LinkedIn's retention begins
}

func (e *ReplayWindowError) Error() string {
	return fmt.Sprintf("the replay's window ends at %s, before %s, where LinkedIn's retention of 365 days begins", lead.FormatTime(e.To), lead.FormatTime(e.From))
}

// Fault makes it fatal.
func (e *ReplayWindowError) Fault() fault.Kind { return fault.Fatal }

// replayer carries out one explicit replay beside live polling.
type replayer struct {
	*session
	want ReplayOptions
}

// run resumes where the replay was interrupted. It is a no-op once that is done, so that the
// flag may stay.
func (r *replayer) run(ctx context.Context) error {
	return r.retry(ctx, "", replaying+r.want.ID, func(ctx context.Context) error {
		at, err := r.begin(ctx)
		if err != nil {
			return err
		}
		if at.Done() {
			r.log.Info("this replay is done; nothing to do (use another --replay-id to repeat it)", zap.String("replay", r.want.ID),
				zap.Stringer("window", lead.Window{From: at.From, To: at.To}), zap.Int64("leads", at.Leads))
			return nil
		}
		return r.all(ctx, at)
	})
}

// all replays every source that is not done; one that cannot be read now
// does not keep the others waiting.
func (r *replayer) all(ctx context.Context, at checkpoint.Replay) error {
	var first error
	for _, src := range r.left(at) {
		err := r.replay(ctx, at, src)
		if err != nil && (ctx.Err() != nil || kafka.EndsSession(err)) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = r.awaits()
	}
	switch {
	case first == nil:
		at = r.state().Replays[r.want.ID]
		r.log.Info("replay done", zap.String("replay", r.want.ID), zap.Stringer("window", lead.Window{From: at.From, To: at.To}),
			zap.Int64("leads", at.Leads), zap.Duration("after", r.opts.Now().Sub(at.Created)))
		r.forms.Recheck() // it may have published anew what could not be read
		return nil
	case r.opts.Once: // a command that ends does not wait for the next discovery
		return fault.As(fault.Retry, first)
	}
	return first
}

// awaits names the sources that the replay has still to read and that are
// not there to be read; nil when it is done.
func (r *replayer) awaits() error {
	at := r.state().Replays[r.want.ID]
	if at.Done() {
		return nil
	}
	why := map[string]string{}
	for _, org := range r.catalog.organizations() {
		why[org.URN] = org.Problem
	}
	var missing []error
	for _, name := range slices.Sorted(maps.Keys(at.Next)) {
		src, ok := checkpoint.ParseSource(name)
		if !at.Next[name].Before(at.To) || ok && r.sources.has(src) {
			continue
		}
		problem := why[src.Owner]
		if problem == "" {
			problem = "the authorising member has no role on this page any more"
		}
		missing = append(missing, fmt.Errorf("the replay waits for %s: %s (list the organizations that are wanted in linkedin.organizations to go on without it)", name, problem))
	}
	if len(missing) == 0 {
		return errors.New("the replay is not done yet")
	}
	return errors.Join(missing...)
}

// errNothingToReplay is why a replay does not begin.
var errNothingToReplay = errors.New("the replay waits for an organization that can be read; the authorising member needs a role on its page")

// begin is the replay's progress; one that starts now fixes its bounds,
// once discovery has told which sources there are.
func (r *replayer) begin(ctx context.Context) (checkpoint.Replay, error) {
	for anew := false; ; {
		at, begun := r.state().Replays[r.want.ID]
		discovered := r.catalog.complete()
		if begun && !anew {
			if kept := r.stillWanted(at); len(kept.Next) == len(at.Next) {
				return at, nil
			} else if len(kept.Next) > 0 {
				return kept, r.record(ctx, kept)
			}
			// Nothing of it is wanted any more: it begins anew, for what is.
			anew = true
		}
		if discovered {
			return r.start(ctx)
		}
		if err := fault.Sleep(ctx, 20*time.Millisecond); err != nil {
			return checkpoint.Replay{}, err
		}
	}
}

// start starts the replay. It is of the sources that can be read, and of
// those that could be once and cannot now: they are waited for.
func (r *replayer) start(ctx context.Context) (checkpoint.Replay, error) {
	if !r.want.From.Before(r.want.To) {
		return checkpoint.Replay{}, &ReplayWindowError{From: r.want.From, To: r.want.To}
	}
	to := r.want.To
	if now, ok := r.position(); ok { // what is submitted later is live
		to = lead.Earlier(to, now)
	}
	at := checkpoint.Replay{From: r.want.From, To: to, Mode: r.want.Mode, Created: r.opts.Now().UTC(), Next: map[string]time.Time{}}
	for _, src := range r.sources.list() {
		at.Next[src.String()] = r.want.From
	}
	if len(at.Next) == 0 {
		return at, errNothingToReplay
	}
	if err := r.record(ctx, at); err != nil {
		return at, err
	}
	r.log.Info("replay begins", zap.String("replay", r.want.ID), zap.Stringer("window", lead.Window{From: at.From, To: at.To}), zap.String("mode", string(at.Mode)))
	return at, nil
}

// stillWanted is the replay without the sources that it has still to read and
// that the configuration no longer asks for: nothing reads them any more.
func (r *replayer) stillWanted(at checkpoint.Replay) checkpoint.Replay {
	at.Next = maps.Clone(at.Next)
	for name, next := range at.Next {
		src, ok := checkpoint.ParseSource(name)
		if next.Before(at.To) && !(ok && r.wantedSource(src)) {
			delete(at.Next, name)
			r.log.Warn("the replay goes on without a source that linkedin.organizations and linkedin.lead_types do not ask for any more",
				zap.String("replay", r.want.ID), zap.String("source", name), zap.Time("replayed_until", next),
				zap.String("todo", "nothing, or list it there again if its leads are wanted"))
		}
	}
	return at
}

// record makes the replay's progress durable.
func (r *replayer) record(ctx context.Context, at checkpoint.Replay) error {
	if err := r.ask(ctx, &setReplay{id: r.want.ID, to: at}); err != nil {
		return fmt.Errorf("recording where replay %s stands: %w", r.want.ID, err)
	}
	return nil
}

// left are the sources that the replay has not finished.
func (r *replayer) left(at checkpoint.Replay) []lead.Source {
	var left []lead.Source
	for _, src := range r.sources.list() {
		if next, ok := at.Next[src.String()]; ok && next.Before(at.To) {
			left = append(left, src)
		}
	}
	return left
}

// replay replays what is left of one source. What the topics hold is read
// anew for it: a replay is asked for when something may be wrong with them.
func (r *replayer) replay(ctx context.Context, at checkpoint.Replay, src lead.Source) error {
	mark := ""
	if at.Mode == checkpoint.All {
		mark = r.want.ID
	}
	view := r.store.NewView(mark)
	defer view.Close()
	w := lead.Window{From: at.Next[src.String()], To: at.To}
	j := &work{src: src, view: view, bound: &checkpoint.Bound{Explicit: true}, replay: mark,
		delivery: func(time.Time) delivery.Delivery { return delivery.DeliveryReplay }}
	return r.sweep(ctx, j, w, func(part lead.Window, readAt checkpoint.ReadMark) checkpoint.Advance {
		return checkpoint.ReplayDone{ID: r.want.ID, All: mark != "", Source: src, Part: part, ReadAt: readAt}
	})
}
