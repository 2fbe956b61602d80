package connector

import (
	"context"
	"leadstream/internal/checkpoint"
	"leadstream/internal/dedup"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/forms"
	"leadstream/internal/lead"
	"sync/atomic"
	"time"
)

// session is what the parts of a leadership share: the way to the publisher, and what is
// known to all of them. Everything that memory knows of Kafka dies with it.
type session struct {
	*Connector
	publisher *publisher
	store     *delivery.Store // the publisher's, but for what any goroutine may call
	forms     *forms.Book
	live      *dedup.View
	sources   *sources
	catalog   *catalog
	// sweeping has room for the backlogs that are worked through at once.
	sweeping chan struct{}
	// refused has one while LinkedIn refused something since the roles were read.
	refused chan struct{}
	apart   atomic.Bool // our clock and LinkedIn's are
}

// ask gives the publisher a message and waits for its answer.
func (s *session) ask(ctx context.Context, m message) error { return s.publisher.ask(ctx, m) }

// state is what is known of progress, replays and deferred windows. It is not to be changed.
func (s *session) state() *checkpoint.State { return s.publisher.state() }

// mark orders what is read from here on, or recorded, after all that was before.
func (s *session) mark() checkpoint.ReadMark { return s.publisher.mark() }

// position is how far progress may move now: to LinkedIn's clock, and never beyond
// ours. An answer with a date far ahead would else have what is submitted until then
// taken for read. Where ours is behind, the same time is read again with each poll.
func (s *session) position() (time.Time, bool) {
	now, ok := s.opts.LinkedIn.Now()
	return lead.Earlier(now, s.opts.Now().UTC()).Truncate(time.Millisecond), ok
}

// suspect has the roles looked at before the next discovery, since LinkedIn
// refused a request for good.
func (s *session) suspect() {
	select {
	case s.refused <- struct{}{}:
	default: // they will be
	}
}

// unlessOthersGoOn is nil where --once gives up one source that cannot be read:
// the others are caught up with first, and lastRound says why this one was not.
func (s *session) unlessOthersGoOn(err error) error {
	if s.opts.Once && fault.KindOf(err) == fault.Suspend {
		return nil
	}
	return err
}
