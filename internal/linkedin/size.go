package linkedin

import (
	"context"
	"errors"
	"sync"
	"time"
)

// sizeLife is how long a finder is asked for smaller pages than were meant. That
// LinkedIn refuses or cannot bear the full size is a guess by what it answered
// once: after that it is tried again.
const sizeLife = 6 * time.Hour

// pageSize is how many rows of a finder are asked for at once. It is safe for
// concurrent use.
type pageSize struct {
	full int // what is meant

	mu     sync.Mutex
	size   int // what is asked for
	shrunk time.Time
}

func (p *pageSize) now() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.size < p.full && time.Since(p.shrunk) >= sizeLife {
		p.size = p.full
	}
	return p.size
}

func (p *pageSize) shrink(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if size < p.size {
		p.size, p.shrunk = size, time.Now()
	}
}

// isTooLong reports an answer that is longer than one may be.
func isTooLong(err error) bool {
	var e *AnswerError
	return errors.As(err, &e) && e.tooLong
}

// page reads one page. One of few rows that is too long for an answer is read in
// parts, down to single rows.
func (s *scan[T]) page(ctx context.Context, start, count int) (*page[T], error) {
	p, err := s.fetch(ctx, start, count)
	switch {
	case !isTooLong(err) || count > leastPage: // run asks for fewer rows
		return p, err
	case count == 1 && s.long != nil:
		return s.long(ctx, start, err)
	case count == 1:
		return nil, err
	}
	ctx = underWay(ctx)
	first, err := s.page(ctx, start, count/2)
	if err != nil {
		return nil, err
	}
	second, err := s.page(ctx, start+count/2, count-count/2)
	if err != nil {
		return nil, err
	}
	return &page[T]{start: start, asked: count, total: second.total, count: -1, parts: true,
		rows: append(first.rows, second.rows...), keys: append(first.keys, second.keys...)}, nil
}
