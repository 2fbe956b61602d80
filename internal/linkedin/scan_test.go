package linkedin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

func noTotal(*fakeList) int { return 0 }

// TestEveryRowIsGivenOnce reads lists that do not change, of all lengths around
// the edges of pages.
func TestEveryRowIsGivenOnce(t *testing.T) {
	for _, total := range []struct {
		name string
		give func(*fakeList) int
	}{{"without total", nil}, {"with total", exactTotal}, {"total too small", noTotal},
		{"total too large", func(l *fakeList) int { return len(l.rows) + 1000 }}} {
		for _, n := range []int{0, 1, 2, 3, 4, 96, 97, 98, 99, 100, 101, 103, 194, 197, 200, 1000, 1067} {
			t.Run(fmt.Sprintf("%s, %d rows", total.name, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := newFakeList(n)
					l.total = total.give
					c := newTestClient(t, l, Options{})
					var g gathered
					if err := c.Responses(t.Context(), testSource, testWindow, 0, g.take); err != nil {
						t.Fatal(err)
					}
					if missing := g.lacks(n); missing != nil {
						t.Errorf("missing %v", missing)
					}
					if again := g.repeated(); again > 0 {
						t.Errorf("%d rows given again", again)
					}
				})
			})
		}
	}
}

// TestAnIdleWindowCostsOneRequest is the price of a poll, and of few new leads.
func TestAnIdleWindowCostsOneRequest(t *testing.T) {
	tests := []struct {
		name       string
		rows, want int
		total      func(*fakeList) int
	}{
		{"idle, no total", 0, 1, nil},
		{"idle", 0, 1, exactTotal},
		{"five leads, no total", 5, 3, nil},
		{"five leads", 5, 2, exactTotal},
		{"a thousand leads", 1000, 12, exactTotal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFakeList(tt.rows)
				l.total = tt.total
				c := newTestClient(t, l, Options{})
				if err := c.Responses(t.Context(), testSource, testWindow, 0, new(gathered).take); err != nil {
					t.Fatal(err)
				}
				if len(l.requests) != tt.want {
					t.Errorf("%d requests (starts %v), want %d", len(l.requests), l.requests, tt.want)
				}
			})
		})
	}
}

// TestAnEmptyWindowCostsNoRequest.
func TestAnEmptyWindowCostsNoRequest(t *testing.T) {
	l := newFakeList(5)
	c := newTestClient(t, l, Options{})
	if err := c.Responses(t.Context(), testSource, lead.Window{From: testStart, To: testStart}, 0, new(gathered).take); err != nil || l.requests != nil {
		t.Errorf("error %v after %d requests, want none", err, len(l.requests))
	}
}

// TestRowsThatMoveAreNotLost changes the list before a given request. Every row
// that stays must be given.
func TestRowsThatMoveAreNotLost(t *testing.T) {
	hide := func(l *fakeList, every int) {
		for i := range l.rows {
			l.rows[i].hidden = i%every == every-1
		}
	}
	vanish := func(at, many int) func(*fakeList, int, int) {
		return func(l *fakeList, request, _ int) {
			if request == at {
				l.rows = l.rows[many:]
			}
		}
	}
	tests := []struct {
		name   string
		rows   int
		width  int
		before func(l *fakeList, request, start int)
		hidden int // every how many rows one is hidden
		again  bool
	}{
		{"one row vanishes", 500, 1, vanish(3, 1), 0, true},
		{"three rows vanish", 500, 1, vanish(3, 3), 0, true},
		{"four rows vanish", 500, 1, vanish(3, 4), 0, true},
		{"two pages vanish", 500, 1, vanish(3, 200), 0, true},
		{"rows vanish behind a short page", 110, 1, vanish(2, 20), 25, true},
		{"rows vanish before the empty page", 105, 1, vanish(2, 10), 0, true},
		{"rows vanish beside hidden ones", 500, 1, vanish(4, 50), 25, true},
		{"rows vanish, four pages at once", 900, 4, vanish(5, 40), 0, true},
		{"a row appears", 500, 1, func(l *fakeList, request, _ int) {
			if request == 3 {
				l.insert(0, 501)
			}
		}, 0, true},
		{"short pages", 500, 1, nil, 25, false},
		{"short pages, four at once", 900, 4, nil, 25, false},
	}
	for _, tt := range tests {
		for _, total := range []func(*fakeList) int{exactTotal, nil} {
			t.Run(fmt.Sprintf("%s, total %v", tt.name, total != nil), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := newFakeList(tt.rows)
					l.total = total
					if tt.hidden > 0 {
						hide(l, tt.hidden)
					}
					l.before = tt.before
					c := newTestClient(t, l, Options{Concurrency: tt.width})
					var g gathered
					if err := c.Responses(t.Context(), testSource, testWindow, 0, g.take); err != nil {
						t.Fatal(err)
					}
					for _, row := range l.rows {
						if !row.hidden && g.times[row.n] == 0 {
							t.Errorf("row %d was never given", row.n)
						}
					}
					first := 0
					for _, start := range l.requests {
						if start == 0 {
							first++
						}
					}
					if again := first > 1; again != tt.again {
						t.Errorf("the list was read %d times, want again: %v", first, tt.again)
					}
				})
			})
		}
	}
}

// TestNoSingleVanishingLosesARow takes one row out, at every moment of the
// reading and from every page.
func TestNoSingleVanishingLosesARow(t *testing.T) {
	for request := 1; request <= 6; request++ {
		for _, many := range []int{1, 2, 3, 4, 7, 96, 97, 100} {
			synctest.Test(t, func(t *testing.T) {
				l := newFakeList(400)
				for i := range l.rows {
					l.rows[i].hidden = i%29 == 28
				}
				l.before = func(l *fakeList, n, _ int) {
					if n == request {
						l.rows = slices.Delete(l.rows, 10, 10+many)
					}
				}
				c := newTestClient(t, l, Options{Concurrency: 2})
				var g gathered
				if err := c.Responses(t.Context(), testSource, testWindow, 0, g.take); err != nil {
					t.Fatal(err)
				}
				for _, row := range l.rows {
					if !row.hidden && g.times[row.n] == 0 {
						t.Errorf("%d rows vanished before request %d: row %d was never given", many, request, row.n)
					}
				}
			})
		}
	}
}

// TestAListThatNeverRestsIsAnError: five readings, then a Retry error.
func TestAListThatNeverRestsIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeList(400)
		l.before = func(l *fakeList, request, start int) {
			if start > 0 {
				l.rows = l.rows[1:]
			}
		}
		c := newTestClient(t, l, Options{Concurrency: 1})
		err := c.Responses(t.Context(), testSource, testWindow, 0, new(gathered).take)
		var e *ScanError
		if !errors.As(err, &e) || e.Scans != maxScans || fault.KindOf(err) != fault.Retry {
			t.Errorf("error = %v, want a ScanError after %d readings", err, maxScans)
		}
	})
}

// TestHiddenOverlapIsProvenBySecondReading: when all rows that two pages share
// are hidden, only a second reading that saw the same proves the first.
func TestHiddenOverlapIsProvenBySecondReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeList(300)
		for i := 97; i < 100; i++ {
			l.rows[i].hidden = true
		}
		c := newTestClient(t, l, Options{Concurrency: 1})
		var g gathered
		if err := c.Responses(t.Context(), testSource, testWindow, 0, g.take); err != nil {
			t.Fatal(err)
		}
		for n, times := range g.times {
			if times != 2 {
				t.Fatalf("row %d was given %d times, want 2", n, times)
			}
		}
		if len(g.times) != 297 {
			t.Errorf("%d rows given, want 297", len(g.times))
		}
	})
}

// TestTotalAboveAnEmptyPageIsProbed: a page all of whose rows were taken out
// does not end the list while LinkedIn tells of more.
func TestTotalAboveAnEmptyPageIsProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeList(300)
		l.total = exactTotal
		for i := 90; i < 200; i++ {
			l.rows[i].hidden = true
		}
		c := newTestClient(t, l, Options{})
		var g gathered
		if err := c.Responses(t.Context(), testSource, testWindow, 0, g.take); err != nil {
			t.Fatal(err)
		}
		if len(g.times) != 190 {
			t.Errorf("%d rows given, want 190", len(g.times))
		}
	})
}

// TestRefusedCountIsHalvedAndRemembered.
func TestRefusedCountIsHalvedAndRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeList(60)
		l.most = 30
		c := newTestClient(t, l, Options{PageSize: 100})
		for i, want := range []int{0, 25, 25} {
			if i > 0 {
				var g gathered
				if err := c.Responses(t.Context(), testSource, testWindow, 0, g.take); err != nil || g.lacks(60) != nil {
					t.Fatalf("error %v, missing %v", err, g.lacks(60))
				}
			}
			if got := c.sizes[EndpointResponses].now(); want > 0 && got != want {
				t.Errorf("page size = %d, want %d", got, want)
			}
		}
		first := len(l.requests)
		if err := c.Responses(t.Context(), testSource, testWindow, 0, new(gathered).take); err != nil {
			t.Fatal(err)
		}
		if got := l.requests[first]; got != 0 || slices.Index(l.requests[first+1:], 0) >= 0 {
			t.Errorf("third reading began with %v, want one first page", l.requests[first:])
		}
	})
}

// TestA400ThatNoSizeFixesIsReturned, and does not shrink the pages for ever.
func TestA400ThatNoSizeFixesIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeList(60)
		l.most = 1
		c := newTestClient(t, l, Options{})
		err := c.Responses(t.Context(), testSource, testWindow, 0, new(gathered).take)
		var e *APIError
		if !errors.As(err, &e) || e.Status != 400 || fault.KindOf(err) != fault.Suspend {
			t.Errorf("error = %v, want a 400 of kind suspend", err)
		}
		if got := c.sizes[EndpointResponses].now(); got != 100 {
			t.Errorf("page size = %d, want 100", got)
		}
	})
}

// TestTooManyRowsEndTheReadingEarly.
func TestTooManyRowsEndTheReadingEarly(t *testing.T) {
	tests := []struct {
		name     string
		rows     int
		total    func(*fakeList) int
		limit    int
		want     bool
		requests int // at most
	}{
		{"total tells on the first page", 1000, exactTotal, 200, true, 1},
		{"counted without total", 1000, nil, 200, true, 8},
		{"exactly as many", 200, exactTotal, 200, false, 4},
		{"exactly as many, counted", 200, nil, 200, false, 8},
		{"total far too large above a short page", 5, func(*fakeList) int { return 5000 }, 200, false, 8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFakeList(tt.rows)
				l.total = tt.total
				c := newTestClient(t, l, Options{})
				var g gathered
				err := c.Responses(t.Context(), testSource, testWindow, tt.limit, g.take)
				var e *TooManyError
				if errors.As(err, &e) != tt.want || err != nil && e == nil {
					t.Fatalf("error = %v, want TooManyError: %v", err, tt.want)
				}
				if len(l.requests) > tt.requests {
					t.Errorf("%d requests, want at most %d", len(l.requests), tt.requests)
				}
				if e != nil && (e.AtLeast != len(g.times) || e.TooMany() < e.AtLeast || e.Window != testWindow) {
					t.Errorf("error %+v after %d rows", e, len(g.times))
				}
			})
		})
	}
}

// TestOnlyTheWindowIsGiven: LinkedIn may ignore the range, or count its bounds.
func TestOnlyTheWindowIsGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeList(50)
		c := newTestClient(t, l, Options{})
		w := lead.Window{From: testStart.Add(10 * time.Second), To: testStart.Add(20 * time.Second)}
		var g gathered
		if err := c.Responses(t.Context(), testSource, w, 0, g.take); err != nil {
			t.Fatal(err)
		}
		if len(g.times) != 10 || g.times[10] != 1 || g.times[20] != 0 {
			t.Errorf("given %v, want 10 to 19", g.times)
		}
	})
}

// TestAnErrorOfTheCallerEndsTheReading.
func TestAnErrorOfTheCallerEndsTheReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := errors.New("enough")
		c := newTestClient(t, newFakeList(500), Options{})
		err := c.Responses(t.Context(), testSource, testWindow, 0, func([]lead.Response) error { return want })
		if !errors.Is(err, want) {
			t.Errorf("error = %v, want %v", err, want)
		}
	})
}

// TestAReadingEndsWithItsContext, and leaves nothing running: synctest would
// report it.
func TestAReadingEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := newFakeList(2000)
		l.before = func(_ *fakeList, request, _ int) {
			if request == 5 {
				cancel()
			}
		}
		c := newTestClient(t, l, Options{})
		if err := c.Responses(ctx, testSource, testWindow, 0, new(gathered).take); !errors.Is(err, context.Canceled) {
			t.Errorf("error = %v, want the context's", err)
		}
	})
}

// TestRowsOfOneMillisecondAreAllGiven: nothing but their ids tells them apart.
func TestRowsOfOneMillisecondAreAllGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newFakeList(20_000)
		c := newTestClient(t, h, Options{Concurrency: 4})
		var g gathered
		if err := c.Responses(t.Context(), testSource, lead.Window{From: testStart, To: testStart.Add(time.Hour * 24)}, 0, g.take); err != nil {
			t.Fatal(err)
		}
		if missing := g.lacks(20_000); missing != nil || g.repeated() > 0 {
			t.Errorf("%d missing, %d repeated", len(missing), g.repeated())
		}
	})
}

// TestPagesThatLinkedInCutsLoseNothing: a count above its largest may be cut
// instead of refused, which the page tells.
func TestPagesThatLinkedInCutsLoseNothing(t *testing.T) {
	for _, cut := range []int{10, 25, 50, 99} {
		synctest.Test(t, func(t *testing.T) {
			l := newFakeList(420)
			l.cut = cut
			for i := range l.rows {
				l.rows[i].hidden = i%17 == 16
			}
			c := newTestClient(t, l, Options{})
			var g gathered
			if err := c.Responses(t.Context(), testSource, testWindow, 0, g.take); err != nil {
				t.Fatal(err)
			}
			if missing := g.lacks(420); len(missing) != 420/17 {
				t.Errorf("cut to %d: %d rows are missing, want the %d that LinkedIn hides", cut, len(missing), 420/17)
			}
		})
	}
}
