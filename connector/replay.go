package connector

import (
	"context"
	"errors"
	"fmt"
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
	return fmt.Sprintf("the replay's window ends at %s, before %s, where LinkedIn's retention of 365 days begins", lead.Stamp(e.To), lead.Stamp(e.From))
}

// Fault makes it fatal.
func (e *ReplayWindowError) Fault() fault.Kind { return fault.Fatal }

// replayLoop carries out the replay beside live polling. It resumes where it
// was interrupted and is a no-op once it is done, so that the flag may stay.
func (e *epoch) replayLoop(ctx context.Context) error {
	o := e.opts.Replay
	err := e.persist(ctx, "", "replay "+o.ID, func(ctx context.Context) error {
		r, err := e.beginReplay(ctx)
		if err != nil {
			return err
		}
		if r.Done() {
			e.log.Info("this replay is done; nothing to do (use another --replay-id to repeat it)", zap.String("replay", o.ID))
			return nil
		}
		return e.replayAll(ctx, r)
	})
	return err
}

// replayAll replays every source that is not done; one that cannot be read now
// does not keep the others waiting.
func (e *epoch) replayAll(ctx context.Context, r checkpoint.Replay) error {
	var first error
	for _, src := range e.replaySources(r) {
		err := e.replaySource(ctx, r, src)
		if err != nil && (ctx.Err() != nil || endsEpoch(err)) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	e.mu.Lock()
	done := e.replays[e.opts.Replay.ID].Done()
	e.mu.Unlock()
	switch {
	case first != nil:
		return first
	case !done:
		return errors.New("an organization that was there when the replay began is not there now")
	}
	e.log.Info("replay done", zap.String("replay", e.opts.Replay.ID))
	return nil
}

// beginReplay is the replay's progress; one that starts now fixes its bounds.
func (e *epoch) beginReplay(ctx context.Context) (checkpoint.Replay, error) {
	o := e.opts.Replay
	for {
		e.mu.Lock()
		r, begun := e.replays[o.ID]
		discovered, orgs := e.discovered, e.orgs
		e.mu.Unlock()
		if begun {
			return r, nil
		}
		if !discovered || len(orgs) == 0 {
			if err := fault.Sleep(ctx, 20*time.Millisecond); err != nil {
				return checkpoint.Replay{}, err
			}
			continue
		}
		if !o.From.Before(o.To) {
			return checkpoint.Replay{}, &ReplayWindowError{From: o.From, To: o.To}
		}
		to := o.To
		if now, ok := e.opts.LinkedIn.Now(); ok { // what is submitted later is live
			to = earlier(to, now.Truncate(time.Millisecond))
		}
		r = checkpoint.Replay{From: o.From, To: to, Mode: o.Mode, Created: e.opts.Now().UTC(), Next: map[string]time.Time{}}
		for _, org := range orgs { // also those that cannot be read now: they are waited for
			for _, kind := range e.opts.LeadTypes {
				r.Next[lead.Source{Owner: org.URN, Type: kind}.String()] = o.From
			}
		}
		err := e.store.Publish(func(p *delivery.Publication) error {
			return p.Commit(ctx, delivery.Batch{Records: map[string]any{checkpoint.ReplayKey(o.ID): r}})
		})
		if err != nil {
			return r, fmt.Errorf("recording the start of replay %s: %w", o.ID, err)
		}
		e.setReplay(r)
		e.log.Info("replay begins", zap.String("replay", o.ID), zap.Stringer("window", lead.Window{From: r.From, To: r.To}), zap.String("mode", string(r.Mode)))
	}
}

// replaySources are the sources that the replay has not finished.
func (e *epoch) replaySources(r checkpoint.Replay) []lead.Source {
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
func (e *epoch) replaySource(ctx context.Context, r checkpoint.Replay, src lead.Source) error {
	mark := ""
	if r.Mode == checkpoint.All {
		mark = e.opts.Replay.ID
	}
	lane := e.store.Lane(mark)
	defer lane.Close()
	w := lead.Window{From: r.Next[src.String()], To: r.To}
	j := &job{src: src, lane: lane, explicit: true, fresh: w.From, replay: mark,
		via: func(time.Time) delivery.Via { return delivery.ViaReplay }}
	return e.sweep(ctx, j, w, func(part lead.Window) *step {
		s := &step{}
		s.records = func(records map[string]any) func(bool) {
			e.mu.Lock()
			next := e.replays[e.opts.Replay.ID].At(src.String(), part.To, s.leads)
			e.mu.Unlock()
			records[checkpoint.ReplayKey(e.opts.Replay.ID)] = next
			return func(bool) { e.setReplay(next) }
		}
		return s
	})
}

func (e *epoch) setReplay(r checkpoint.Replay) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.replays[e.opts.Replay.ID] = r
}
