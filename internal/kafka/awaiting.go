package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"leadstream/internal/fault"
)

const (
	// markersWithin is how long the markers of the transaction before are waited for
	// before somebody looks where they are, which reads what was written. They take a
	// few milliseconds, on a busy broker and over many partitions more.
	markersWithin = time.Second
	// overdue is how long they may be missing in a partition that is not written to:
	// a consumer does not pass them either.
	overdue = 10 * time.Second
)

// awaitingMarker is what was written to a partition and not seen to be ended there yet.
type awaitingMarker struct {
	last int64 // offset
	at   time.Time
}

// settleEarlier makes sure that what was committed or aborted in the partitions
// before is seen as that by everybody, before another transaction there could end
// it the other way: see EndHanging. It takes one request per broker as a rule, and
// looks after what is overdue elsewhere too.
func (p *Producer) settleEarlier(ctx context.Context, next []TopicPartition) error {
	pause := fault.NewBackoff(time.Millisecond, 20*time.Millisecond)
	for began := time.Now(); len(p.awaiting) > 0; {
		if p.see(ctx, slices.Collect(maps.Keys(p.awaiting))) != nil { // perhaps one of those elsewhere
			_ = p.see(ctx, next) // what cannot be seen is waited for
		}
		waiting := slices.DeleteFunc(slices.Clone(next), func(tp TopicPartition) bool { _, ok := p.awaiting[tp]; return !ok })
		if len(waiting) == 0 {
			return p.settleOverdue(ctx)
		}
		if time.Since(began) > markersWithin {
			return p.endAwaiting(ctx, waiting)
		}
		if pause.Wait(ctx, 0) != nil {
			return fmt.Errorf("waiting for the markers of the transaction before: %w", context.Cause(ctx))
		}
	}
	return nil
}

// see takes out what shows by now: the last stable offset lies behind it.
func (p *Producer) see(ctx context.Context, partitions []TopicPartition) error {
	stable, err := p.cluster.latestOf(ctx, topicsIn(partitions), readCommitted)
	if err != nil {
		return err
	}
	for _, tp := range partitions {
		if w, ok := p.awaiting[tp]; ok && stable[tp] > w.last {
			delete(p.awaiting, tp)
			delete(p.committed, tp)
		}
	}
	return nil
}

// settleOverdue ends what hangs in partitions that are not written to now. Where
// that is not possible for the moment it keeps nothing waiting.
func (p *Producer) settleOverdue(ctx context.Context) error {
	var late []TopicPartition
	for tp, w := range p.awaiting {
		if time.Since(w.at) > overdue {
			late = append(late, tp)
			p.awaiting[tp] = awaitingMarker{w.last, time.Now()} // not again at once
		}
	}
	if len(late) == 0 {
		return nil
	}
	if _, _, err := p.cluster.belowStable(ctx, topicsIn(late)); err != nil {
		return nil //nolint:nilerr // not now
	}
	err := p.endAwaiting(ctx, late)
	if errors.Is(err, ErrEpochLost) || ctx.Err() != nil {
		return err
	}
	return nil
}

// endAwaiting ends what hangs in the partitions, as it was ended before.
func (p *Producer) endAwaiting(ctx context.Context, partitions []TopicPartition) error {
	if _, err := p.endHanging(ctx, topicsIn(partitions)); err != nil {
		return err
	}
	for _, tp := range partitions {
		delete(p.awaiting, tp)
	}
	return nil
}
