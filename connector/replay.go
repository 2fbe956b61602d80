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

// replayLoop carries out the replay beside live polling. It resumes where it
// was interrupted and is a no-op once it is done, so that the flag may stay.
func (e *leader) replayLoop(ctx context.Context) error {
	o := e.opts.Replay
	err := e.retry(ctx, "", "replay "+o.ID, func(ctx context.Context) error {
		r, err := e.beginReplay(ctx)
		if err != nil {
			return err
		}
		if r.Done() {
			e.log.Info("this replay is done; nothing to do (use another --replay-id to repeat it)", zap.String("replay", o.ID),
				zap.Stringer("window", lead.Window{From: r.From, To: r.To}), zap.Int64("leads", r.Leads))
			return nil
		}
		return e.replayAll(ctx, r)
	})
	return err
}

// replayAll replays every source that is not done; one that cannot be read now
// does not keep the others waiting.
func (e *leader) replayAll(ctx context.Context, r checkpoint.Replay) error {
	var first error
	for _, src := range e.replaySources(r) {
		err := e.replaySource(ctx, r, src)
		if err != nil && (ctx.Err() != nil || endsLeadership(err)) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = e.replayAwaits()
	}
	switch {
	case first == nil:
		e.log.Info("replay done", append(e.replayed(), zap.String("replay", e.opts.Replay.ID))...)
		e.forms.Recheck() // it may have published anew what could not be read
		return nil
	case e.opts.Once: // a command that ends does not wait for the next discovery
		return fault.As(fault.Retry, first)
	}
	return first
}

// replayAwaits names the sources that the replay has still to read and that are
// not there to be read; nil when it is done.
func (e *leader) replayAwaits() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.state().Replays[e.opts.Replay.ID]
	if r.Done() {
		return nil
	}
	why := map[string]string{}
	for _, org := range e.orgs {
		why[org.URN] = org.Problem
	}
	var missing []error
	for _, name := range slices.Sorted(maps.Keys(r.Next)) {
		src, ok := checkpoint.ParseSource(name)
		if !r.Next[name].Before(r.To) || ok && e.sources[src] != nil {
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

// beginReplay is the replay's progress; one that starts now fixes its bounds,
// once discovery has told which sources there are.
func (e *leader) beginReplay(ctx context.Context) (checkpoint.Replay, error) {
	for anew := false; ; {
		r, begun := e.state().Replays[e.opts.Replay.ID]
		e.mu.Lock()
		discovered := e.discovered
		e.mu.Unlock()
		if begun && !anew {
			if kept := e.stillWanted(r); len(kept.Next) == len(r.Next) {
				return r, nil
			} else if len(kept.Next) > 0 {
				return kept, e.recordReplay(ctx, kept)
			}
			// Nothing of it is wanted any more: it begins anew, for what is.
			anew = true
		}
		if discovered {
			return e.newReplay(ctx)
		}
		if err := fault.Sleep(ctx, 20*time.Millisecond); err != nil {
			return checkpoint.Replay{}, err
		}
	}
}

// newReplay starts the replay. It is of the sources that can be read, and of
// those that could be once and cannot now: they are waited for.
func (e *leader) newReplay(ctx context.Context) (checkpoint.Replay, error) {
	o := e.opts.Replay
	if !o.From.Before(o.To) {
		return checkpoint.Replay{}, &ReplayWindowError{From: o.From, To: o.To}
	}
	to := o.To
	if now, ok := e.position(); ok { // what is submitted later is live
		to = lead.Earlier(to, now)
	}
	r := checkpoint.Replay{From: o.From, To: to, Mode: o.Mode, Created: e.opts.Now().UTC(), Next: map[string]time.Time{}}
	e.mu.Lock()
	for src := range e.sources {
		r.Next[src.String()] = o.From
	}
	e.mu.Unlock()
	if len(r.Next) == 0 {
		return r, errNothingToReplay
	}
	if err := e.recordReplay(ctx, r); err != nil {
		return r, err
	}
	e.log.Info("replay begins", zap.String("replay", o.ID), zap.Stringer("window", lead.Window{From: r.From, To: r.To}), zap.String("mode", string(r.Mode)))
	return r, nil
}

// stillWanted is the replay without the sources that it has still to read and
// that the configuration no longer asks for: nothing reads them any more.
func (e *leader) stillWanted(r checkpoint.Replay) checkpoint.Replay {
	r.Next = maps.Clone(r.Next)
	for name, next := range r.Next {
		src, ok := checkpoint.ParseSource(name)
		if next.Before(r.To) && !(ok && e.wantedSource(src)) {
			delete(r.Next, name)
			e.log.Warn("the replay goes on without a source that linkedin.organizations and linkedin.lead_types do not ask for any more",
				zap.String("replay", e.opts.Replay.ID), zap.String("source", name), zap.Time("replayed_until", next),
				zap.String("todo", "nothing, or list it there again if its leads are wanted"))
		}
	}
	return r
}

// recordReplay makes the replay's progress durable.
func (e *leader) recordReplay(ctx context.Context, r checkpoint.Replay) error {
	if err := e.ask(ctx, &setReplay{id: e.opts.Replay.ID, to: r}); err != nil {
		return fmt.Errorf("recording where replay %s stands: %w", e.opts.Replay.ID, err)
	}
	return nil
}

// replaySources are the sources that the replay has not finished.
func (e *leader) replaySources(r checkpoint.Replay) []lead.Source {
	e.mu.Lock()
	defer e.mu.Unlock()
	var left []lead.Source
	for src := range e.sources {
		if next, ok := r.Next[src.String()]; ok && next.Before(r.To) {
			left = append(left, src)
		}
	}
	return left
}

// replaySource replays what is left of one source. What the topics hold is read
// anew for it: a replay is asked for when something may be wrong with them.
func (e *leader) replaySource(ctx context.Context, r checkpoint.Replay, src lead.Source) error {
	mark := ""
	if r.Mode == checkpoint.All {
		mark = e.opts.Replay.ID
	}
	view := e.store.NewView(mark)
	defer view.Close()
	w := lead.Window{From: r.Next[src.String()], To: r.To}
	j := &work{src: src, view: view, bound: &checkpoint.Bound{Explicit: true}, replay: mark,
		delivery: func(time.Time) delivery.Delivery { return delivery.DeliveryReplay }}
	return e.sweep(ctx, j, w, func(part lead.Window, readAt checkpoint.ReadMark) checkpoint.Advance {
		return checkpoint.ReplayDone{ID: e.opts.Replay.ID, All: mark != "", Source: src, Part: part, ReadAt: readAt}
	})
}
