package linkedin

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// dated answers idle pages, dated by a clock that is offset from ours.
type dated struct {
	offset time.Duration
	delay  time.Duration
	status int
}

func (d *dated) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Date", time.Now().Add(d.offset).UTC().Format(http.TimeFormat))
	time.Sleep(d.delay)
	if d.status != 0 {
		w.WriteHeader(d.status)
	}
	_, _ = fmt.Fprint(w, emptyPage)
}

// behind asks once and says how far the bound lies behind LinkedIn's clock.
func behind(t *testing.T, c *Client, d *dated) time.Duration {
	t.Helper()
	if err := idle(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return lag(t, c, d)
}

func lag(t *testing.T, c *Client, d *dated) time.Duration {
	t.Helper()
	now, ok := c.Now()
	if !ok {
		t.Fatal("no clock after an answer")
	}
	return time.Now().Add(d.offset).Sub(now)
}

// TestTheClockIsALowerBoundThatSharpens: never ahead of LinkedIn's clock, less
// than a second behind after one answer, a few milliseconds after many.
func TestTheClockIsALowerBoundThatSharpens(t *testing.T) {
	for _, offset := range []time.Duration{0, 5 * time.Minute, -5 * time.Minute, 333 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			d := &dated{offset: offset, delay: 7 * time.Millisecond}
			c := newTestClient(t, d, Options{})
			if _, ok := c.Now(); ok {
				t.Fatal("a clock before the first answer")
			}
			time.Sleep(617 * time.Millisecond)
			for i := range 200 {
				if got := behind(t, c, d); got < 0 || got > 1007*time.Millisecond {
					t.Fatalf("offset %v, answer %d: %v behind", offset, i, got)
				}
				time.Sleep(310 * time.Millisecond)
			}
			if got := lag(t, c, d); got < 0 || got > 20*time.Millisecond {
				t.Errorf("offset %v: %v behind after 200 answers", offset, got)
			}
			time.Sleep(25 * time.Minute) // nothing asked: the newest answer still counts
			if got := lag(t, c, d); got < 0 || got > 1007*time.Millisecond {
				t.Errorf("offset %v: %v behind after a silence", offset, got)
			}
		})
	}
}

// TestAFewPollsAtTheRightMomentSharpenTheClock whatever part of LinkedIn's
// second the first one falls on, and it stays sharp at one poll a second.
func TestAFewPollsAtTheRightMomentSharpenTheClock(t *testing.T) {
	for part := range 10 {
		synctest.Test(t, func(t *testing.T) {
			d := &dated{offset: time.Duration(part) * 100 * time.Millisecond, delay: 5 * time.Millisecond}
			c := newTestClient(t, d, Options{})
			next := time.Now()
			if got := c.Moment(testSource, next); !got.Equal(next) {
				t.Errorf("moved by %v before the first answer", got.Sub(next))
			}
			for i := range 2000 {
				next = next.Add(time.Second)
				at := c.Moment(testSource, next)
				if moved := at.Sub(next).Abs(); moved > 500*time.Millisecond {
					t.Fatalf("poll %d is moved by %v", i, moved)
				}
				time.Sleep(time.Until(at))
				got := behind(t, c, d)
				if got < 0 || i >= 6 && got > clockSharp+10*time.Millisecond {
					t.Fatalf("offset %v, poll %d: %v behind", d.offset, i, got)
				}
			}
		})
	}
}

// TestAClockSetBackIsFollowed at once when it is set back by more than the
// resolution, else within the ten minutes.
func TestAClockSetBackIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dated{}
		c := newTestClient(t, d, Options{})
		for range 50 {
			behind(t, c, d)
			time.Sleep(313 * time.Millisecond)
		}
		d.offset = -time.Minute
		if got := behind(t, c, d); got < 0 || got > time.Second {
			t.Errorf("%v behind after a minute back", got)
		}
		d.offset -= 600 * time.Millisecond
		for range 200 {
			behind(t, c, d)
			time.Sleep(3313 * time.Millisecond)
		}
		if got := behind(t, c, d); got < 0 || got > 100*time.Millisecond {
			t.Errorf("%v behind ten minutes after 600 ms back", got)
		}
		d.offset = time.Hour
		if got := behind(t, c, d); got < 0 || got > time.Second {
			t.Errorf("%v behind after an hour ahead", got)
		}
	})
}

// TestRefusalsDoNotTellTheTime: they may come from a gateway.
func TestRefusalsDoNotTellTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestClient(t, &dated{status: 502, offset: time.Hour}, Options{})
		if err := idle(t.Context(), c); err == nil {
			t.Fatal("no error")
		}
		if now, ok := c.Now(); ok {
			t.Errorf("a clock from a 502: %v", now)
		}
	})
}

// TestAnAnswerThatTellsNoTimeIsRefusedByName, until one has told it: what lies between may
// strip or spoil the header Date.
func TestAnAnswerThatTellsNoTimeIsRefusedByName(t *testing.T) {
	for _, date := range []string{"", "Tue, 01 Dec 2026 12:16:00 CET", "now"} {
		right := false
		c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if !right {
				w.Header().Set("Date", date)
			}
			_, _ = w.Write([]byte(`{"id":"x"}`))
		}), Options{Timeout: time.Second})
		ask := func() error { return c.try(t.Context(), request{endpoint: EndpointMe, path: "/v2/me"}, false, ignore) }
		timeless, ok := errors.AsType[*TimelessError](ask())
		if !ok || timeless.Date != date || timeless.Todo() == "" {
			t.Errorf("Date %q: %v, want it refused for that", date, ask())
		}
		right = true
		if err := ask(); err != nil {
			t.Error(err)
		}
		right = false
		if err := ask(); err != nil {
			t.Errorf("Date %q once the time is known: %v", date, err)
		}
	}
}
