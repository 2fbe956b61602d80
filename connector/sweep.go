package connector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/lead"
)

const (
	// lookahead is how many slices are fetched at once. They share the client's
	// request slots; a second slice fills the gaps at the ends of the first.
	lookahead = 2
	// fullPage is how many rows in a first page promise a slice of full size.
	fullPage = 50
	// firstSlice is the length of the first slice of a sweep.
	firstSlice = 24 * time.Hour
)

// slice is a part of a sweep's window on its way from LinkedIn.
type slice struct {
	window lead.Window
	chunks chan chunk
	readAt checkpoint.ReadMark
	err    error // valid once chunks is closed
	weight int   // of its rows, likewise
}

// chunk is rows of one window that were read together; last says that the
// window ends with them.
type chunk struct {
	window lead.Window
	rows   []lead.Response
	last   bool
}

// sweep reconciles a window of any length, oldest part first: it is cut into
// slices of about sliceRows responses, which are fetched ahead while earlier
// ones are committed. done is what is committed with each part.
func (s *session) sweep(ctx context.Context, j *work, w lead.Window, done func(part lead.Window, readAt checkpoint.ReadMark) checkpoint.Advance) error {
	ctx, cancel := context.WithCancel(lead.Background(ctx)) // polls go first
	var ahead []*slice
	defer func() {
		cancel()
		for _, sl := range ahead {
			for range sl.chunks { // let its goroutine end
			}
		}
	}()
	length, next := min(firstSlice, w.Length()), w.From
	for next.Before(w.To) || len(ahead) > 0 {
		for len(ahead) < lookahead && next.Before(w.To) {
			sl := &slice{window: lead.Window{From: next, To: lead.Earlier(next.Add(length), w.To)}, chunks: make(chan chunk, 1), readAt: s.mark()}
			ahead = append(ahead, sl)
			next = sl.window.To
			go s.fetch(ctx, j.src, sl)
		}
		sl := ahead[0]
		for c := range sl.chunks {
			part := *j
			part.advance, part.readAt = done(c.window, sl.readAt), sl.readAt
			if part.floor = sl.window.From; j.view == s.live { // else the sweep does not come back
				part.floor = time.Time{}
			}
			if err := s.publishWithRetry(ctx, &part, c.window, c.rows, c.last); err != nil {
				return err
			}
		}
		ahead = ahead[1:]
		if sl.err != nil {
			return fmt.Errorf("reading %s of %s: %w", sl.window, j.src, sl.err)
		}
		length = nextLength(sl.window.Length(), sl.weight)
	}
	return nil
}

// nextLength aims the next slice at sliceRows, growing at most fourfold.
func nextLength(length time.Duration, rows int) time.Duration {
	if rows*4 <= sliceRows {
		return length * 4
	}
	return max(time.Duration(float64(length)*sliceRows/float64(rows)), time.Millisecond).Truncate(time.Millisecond)
}

// fetch reads a slice and closes its chunks.
func (s *session) fetch(ctx context.Context, src lead.Source, sl *slice) {
	defer close(sl.chunks)
	sl.err = s.scan(ctx, src, sl.window, func(c chunk) error {
		sl.weight += lead.Weigh(c.rows)
		select {
		case sl.chunks <- c:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// scan reads a window, cut further while it holds too many responses. A single
// millisecond is read in parts, however many it holds.
func (s *session) scan(ctx context.Context, src lead.Source, w lead.Window, emit func(chunk) error) error {
	limit := sliceLimit
	if w.Length() <= time.Millisecond {
		limit = 0
	}
	var rows []lead.Response
	err := s.opts.LinkedIn.Responses(ctx, src, w, limit, func(page []lead.Response) error {
		if rows == nil && len(page) >= fullPage {
			rows = make([]lead.Response, 0, sliceRows*5/4) // growing to that copies every row twice
		}
		rows = append(rows, page...)
		if limit > 0 || lead.Weigh(rows) < sliceRows {
			return nil
		}
		part := rows
		rows = nil
		return emit(chunk{window: w, rows: part})
	})
	var many tooMany
	if errors.As(err, &many) {
		rows = nil // read again in parts, oldest first
		for _, part := range cut(w, many.TooMany()) {
			if err = s.scan(ctx, src, part, emit); err != nil {
				return err
			}
		}
		return nil
	}
	if err != nil {
		return err
	}
	return emit(chunk{window: w, rows: rows, last: true})
}

// cut divides a window in equal parts that should hold sliceRows each.
func cut(w lead.Window, rows int) []lead.Window {
	n := min(max(rows/sliceRows+1, 2), 64)
	update := max(w.Length()/time.Duration(n), time.Millisecond).Truncate(time.Millisecond)
	var parts []lead.Window
	for from := w.From; from.Before(w.To); {
		to := lead.Earlier(from.Add(update), w.To)
		if len(parts) == n-1 {
			to = w.To
		}
		parts = append(parts, lead.Window{From: from, To: to})
		from = to
	}
	return parts
}
