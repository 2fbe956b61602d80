package linkedin

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"leadstream/internal/fault"
)

// maxScans is how often a list that keeps changing is read before giving up for
// the moment.
const maxScans = 5

// maxPages bounds a reading of a list, which else might never end: the windows of
// a million leads are cut long before.
const maxPages = 20_000

// maxSame pages in a row that repeat the one before them are no rows that moved:
// LinkedIn does not heed where the pages are to begin.
const maxSame = 3

// scan reads a whole list page by page, while the list may change.
//
// Offsets count rows of a list that LinkedIn computes for each page anew: a row
// that vanishes between two pages moves the next ones up, so that one is never
// seen. Therefore each page begins three rows before the end of the one before.
// As long as the last row of a page is met again at the head of the next, every
// row that stayed in the list throughout is in one of them, in whatever order
// the pages were read. A list whose pages do not fit like that is read again,
// until they do or two readings in a row saw the same rows at the same places.
//
// A page may hold fewer rows than asked for without being the last: LinkedIn
// takes rows out of a page after it was cut. So only an empty page ends the
// list, and pages begin by what was asked for, not by what came.
type scan[T any] struct {
	endpoint string
	// fetch reads one page.
	fetch func(ctx context.Context, start, count int) (*page[T], error)
	// long stands in for a single row that is too long for an answer, as fetch
	// has said; nil where there is no stand-in.
	long func(ctx context.Context, start int, said error) (*page[T], error)
	// more decides on a list that has ended although LinkedIn's total, well behind
	// its end, says that there is more; nil where only a list without any row is
	// doubted for that.
	more func(ctx context.Context, total int) error
	// give takes the rows of a page that the page before did not hold, in the
	// list's order, in the caller's goroutine. start is 0 at the beginning of
	// each reading of the list.
	give func(start, total int, rows []T) error

	// cut: a shorter page than asked for was met, and its size is asked for now.
	cut bool
}

// cutError says that LinkedIn cuts pages to so many rows instead of refusing
// larger ones. Read as they are, the rows between its pages would be missing.
type cutError struct{ count int }

func (e *cutError) Error() string { return fmt.Sprintf("pages are cut to %d rows", e.count) }

// run reads the list until it is known to be complete. A page size that
// LinkedIn refuses, or whose answer is too long, is halved; a smaller one that
// has worked is remembered for a while.
func (s *scan[T]) run(ctx context.Context, c *Client) error {
	size := c.sizes[s.endpoint].now()
	var refusal error // of the first size tried
	var last reading
	wait := fault.NewBackoff(250*time.Millisecond, 2*time.Second)
	for scans := 0; ; {
		seen, err := s.read(ctx, size, cap(c.slots))
		ctx = underWay(ctx) // the turn of the first page was that of the whole list
		var cut *cutError
		switch {
		case errors.As(err, &cut):
			s.cut, size = true, max(cut.count, leastPage)
			continue
		case isTooLong(err) && size > leastPage:
			size = max(size/2, leastPage)
			c.sizes[s.endpoint].shrink(size)
			continue
		case err != nil && seen.pages == 0 && aboutCount(err) && size > leastPage:
			if refusal == nil {
				refusal = err
			}
			size = max(size/2, leastPage)
			continue
		case err != nil && seen.pages == 0 && refusal != nil && aboutCount(err):
			return refusal // no size helps: it was about something else
		case err != nil:
			return err
		}
		if refusal != nil {
			c.sizes[s.endpoint].shrink(size)
			refusal = nil
		}
		if seen.whole || scans > 0 && seen.same(last) {
			return nil
		}
		last = seen
		if scans++; scans == maxScans {
			return &ScanError{Endpoint: s.endpoint, Scans: scans}
		}
		if err := wait.Wait(ctx, 0); err != nil {
			return err
		}
	}
}

// aboutCount reports a refusal that may be due to the number of rows asked for.
func aboutCount(err error) bool {
	var e *APIError
	return errors.As(err, &e) && e.Status == http.StatusBadRequest && e.Code != CodeVersionMissing &&
		(e.Parameter == "" || e.Parameter == "count")
}

// reading is what one reading of a list came to.
type reading struct {
	whole bool   // the pages fit
	pages int    // pages that were read
	rows  int    // rows in them, those in two pages twice
	sum   uint64 // of all rows and where they stood
}

func (r reading) same(o reading) bool { return r.rows == o.rows && r.sum == o.sum }

// add takes the rows of a page into the sum, which does not grow with them.
func (r *reading) add(start int, keys []uint64) {
	var d xxhash.Digest
	d.ResetWithSeed(uint64(start))
	var b [8]byte
	for _, k := range keys {
		binary.LittleEndian.PutUint64(b[:], k)
		_, _ = d.Write(b[:]) // a hash takes everything
	}
	r.pages++
	r.rows += len(keys)
	if len(keys) > 0 {
		r.sum += d.Sum64()
	}
}

// read reads the list once, with up to width pages under way.
func (s *scan[T]) read(ctx context.Context, size, width int) (reading, error) {
	seen := reading{whole: true}
	a := &ahead[T]{fetch: s.page, size: size, most: width, width: 1, total: -1}
	ctx, cancel := context.WithCancel(ctx)
	defer a.stop(cancel)
	var prev, end *page[T] // the last page with rows, and the first without since
	same := 0              // pages in a row that repeat the one before
	for {
		p, err := a.next(ctx)
		if err != nil {
			return seen, err
		}
		// Whether paging.count repeats what was asked for is not documented in so
		// many words; where it counts the rows, this costs a page once.
		if seen.pages == 0 && !s.cut && p.count > 0 && p.count < size {
			return seen, &cutError{p.count}
		}
		seen.add(p.start, p.keys)
		// Rows may have moved between the parts: a second reading has to agree.
		seen.whole = seen.whole && !p.parts
		if len(p.rows) == 0 {
			if end == nil {
				if end = p; p.total > p.start {
					continue // LinkedIn says there is more: one page further
				}
			}
			if p.total > p.start+p.asked {
				if err := s.doubt(ctx, p, prev == nil); err != nil {
					return seen, err
				}
			}
			proven, err := s.ended(ctx, prev, end)
			seen.whole = seen.whole && proven
			return seen, err
		}
		known := 0
		if prev != nil {
			if same++; len(p.keys) <= overlap || !slices.Equal(p.keys, prev.keys) {
				same = 0
			}
			if same == maxSame {
				return seen, s.refuse("its elements are those of the pages before")
			}
			var fits bool
			known, fits = joint(prev, p)
			seen.whole = seen.whole && fits
		}
		if seen.pages == maxPages {
			return seen, s.refuse("it is longer than any list can be")
		}
		if err := s.give(p.start, p.total, p.rows[known:]); err != nil {
			return seen, err
		}
		prev, end = p, nil
	}
}

// refuse is an error of an answer that cannot be the one to what was asked.
func (s *scan[T]) refuse(problem string) error {
	return &AnswerError{Endpoint: s.endpoint, Status: http.StatusOK, Problem: problem}
}

// doubt decides on a list that has ended, with page p, before the total that
// LinkedIn tells of it.
func (s *scan[T]) doubt(ctx context.Context, p *page[T], empty bool) error {
	switch {
	case s.more != nil:
		return s.more(underWay(ctx), p.total)
	case empty:
		return s.refuse(fmt.Sprintf("it shows nothing of a list of %d elements", p.total))
	}
	return nil
}

// joint compares a page with the one before it: how many rows at its head the
// page before held already, and whether the two fit.
//
// The positions that both cover hold three rows, less those that LinkedIn took
// out of both pages, so that as many may be missing as each of the two lacks.
// Without a common row nothing proves that no row was skipped.
func joint[T any](a, b *page[T]) (known int, fits bool) {
	at := slices.Index(b.keys, a.keys[len(a.keys)-1])
	if at < 0 {
		return 0, false
	}
	n := at + 1
	if n > len(a.keys) || !slices.Equal(a.keys[len(a.keys)-n:], b.keys[:n]) {
		return 0, false
	}
	hidden := max(min(a.asked-len(a.keys), b.asked-len(b.keys)), 0)
	return n, b.start == a.start+a.asked-overlap && n <= overlap && n >= overlap-hidden
}

// ended reports whether an empty page is where the list ended all along, and
// rows did not move up before it from behind the last page that had some: either
// that page told that none were behind it, or it still reads the same.
func (s *scan[T]) ended(ctx context.Context, last, empty *page[T]) (bool, error) {
	if last == nil {
		return true, nil
	}
	if last.total >= last.start+len(last.rows) && last.total <= empty.start {
		return true, nil
	}
	again, err := s.page(underWay(ctx), last.start, last.asked)
	if err != nil {
		return false, err
	}
	return slices.Equal(again.keys, last.keys), nil
}

// ahead fetches the pages of a list ahead of their reader, and hands them out
// in order.
type ahead[T any] struct {
	fetch func(ctx context.Context, start, count int) (*page[T], error)
	size  int
	most  int // pages under way at once
	width int // as many as the list has earned so far: one, when it may be empty
	total int // as LinkedIn gave it; -1 when it does not, or it proved wrong

	start   int // of the next page to be asked for
	pending []chan fetched[T]
	running sync.WaitGroup
}

type fetched[T any] struct {
	page *page[T]
	err  error
}

func (a *ahead[T]) next(ctx context.Context) (*page[T], error) {
	step := a.size - overlap
	for len(a.pending) == 0 || len(a.pending) < a.width && (a.total < 0 || a.start < a.total+step) {
		a.launch(ctx, a.start)
		a.start += step
	}
	f := <-a.pending[0]
	a.pending = a.pending[1:]
	if f.err != nil {
		return nil, f.err
	}
	a.learn(f.page)
	return f.page, nil
}

// learn adapts what is asked for ahead. With a total the pages up to the first
// one behind it are wanted; without, twice as many as before for each page that
// is nearly full.
func (a *ahead[T]) learn(p *page[T]) {
	if a.total = p.total; len(p.rows) > 0 && p.start >= p.total {
		a.total = -1
	}
	switch {
	case a.total >= 0:
		a.width = a.most
	case len(p.rows) >= a.size*3/4:
		a.width = min(a.width*2, a.most)
	default:
		a.width = 1
	}
}

func (a *ahead[T]) launch(ctx context.Context, start int) {
	if start > 0 {
		ctx = underWay(ctx)
	}
	done := make(chan fetched[T], 1)
	a.pending = append(a.pending, done)
	a.running.Go(func() {
		p, err := a.fetch(ctx, start, a.size)
		done <- fetched[T]{p, err}
	})
}

// stop ends the requests under way, and waits for them.
func (a *ahead[T]) stop(cancel context.CancelFunc) {
	cancel()
	a.running.Wait()
}
