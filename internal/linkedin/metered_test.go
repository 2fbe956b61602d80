package linkedin

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// traffic is what reached LinkedIn on one UTC day.
type traffic struct {
	answered, refused int
	background        int     // of answered
	quarters          [4]int  // of answered, by six hours
	last              float64 // hour of the last answer
}

// metered is LinkedIn with a daily limit. A window of backfill holds 300 leads,
// any other none.
type metered struct {
	mu       sync.Mutex
	limit    int
	refusal  string // the body of a 429
	backlog  *fakeList
	days     map[string]*traffic
	requests []time.Time
}

// dayIsUsedUp and slowDown are bodies of a 429, one that names the day's limit and
// one that does not.
const (
	dayIsUsedUp = `{"status":429,"serviceErrorCode":101,"message":"Resource level throttle APPLICATION_AND_MEMBER DAY limit for calls to this resource is reached."}`
	slowDown    = `{"status":429,"serviceErrorCode":101,"message":"Resource level throttle limit for calls to this resource is reached."}`
)

func newMetered(limit int) *metered {
	return &metered{limit: limit, refusal: dayIsUsedUp, backlog: newFakeList(300), days: map[string]*traffic{}}
}

func (m *metered) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now().UTC()
	day := m.day(now)
	m.requests = append(m.requests, now)
	if day.answered >= m.limit {
		day.refused++
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, m.refusal)
		return
	}
	day.answered++
	day.quarters[now.Hour()/6]++
	day.last = now.Sub(now.Truncate(24 * time.Hour)).Hours()
	if !lead.IsBackground(r.Context()) {
		_, _ = io.WriteString(w, emptyPage)
		return
	}
	day.background++
	m.backlog.ServeHTTP(w, r)
}

func (m *metered) day(t time.Time) *traffic {
	key := t.UTC().Format(time.DateOnly)
	if m.days[key] == nil {
		m.days[key] = &traffic{}
	}
	return m.days[key]
}

// on is the traffic of the n-th day of the test, from 1.
func (m *metered) on(n int) traffic {
	m.mu.Lock()
	defer m.mu.Unlock()
	return *m.day(bubbleStart.Add(time.Duration(n-1) * 24 * time.Hour))
}

// bubbleStart is when time begins in a bubble of synctest.
var bubbleStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// endOfDay is the end of the n-th day.
func endOfDay(n int) time.Time { return bubbleStart.Add(time.Duration(n) * 24 * time.Hour) }

// again waits as the loops of the connector do after an error.
func again(ctx context.Context, err error) error {
	return fault.Sleep(ctx, max(fault.DelayOf(err), 200*time.Millisecond))
}

// poll polls a source like the connector, until ctx ends.
func poll(ctx context.Context, c *Client, src lead.Source, interval time.Duration) (polls []time.Time) {
	for next := time.Now(); ; {
		for {
			err := c.Responses(ctx, src, testWindow, 0, new(gathered).take)
			if err == nil {
				break
			}
			if again(ctx, err) != nil {
				return polls
			}
		}
		polls = append(polls, time.Now())
		if next = next.Add(interval); next.Before(time.Now()) {
			next = time.Now()
		}
		if fault.Sleep(ctx, time.Until(c.Moment(src, next))) != nil {
			return polls
		}
	}
}

// sourceOf is the i-th of several sources.
func sourceOf(i int) lead.Source {
	return lead.Source{Owner: "urn:li:organization:" + strconv.Itoa(9000123+i), Type: testSource.Type}
}

// backfill reads slice after slice in the background, until ctx ends.
func backfill(ctx context.Context, c *Client) (slices int) {
	ctx = lead.Background(ctx)
	w := lead.Window{From: testStart, To: testStart.Add(time.Hour)}
	for {
		var g gathered
		err := c.Responses(ctx, testSource, w, 0, g.take)
		if err != nil && again(ctx, err) != nil {
			return slices
		}
		if err == nil {
			slices++
		}
	}
}

// work runs a connector's loops over the client up to a time.
func work(t *testing.T, c *Client, until time.Time, interval time.Duration, sources, backfills int) (polls [][]time.Time, slices int) {
	t.Helper()
	ctx, cancel := context.WithDeadline(t.Context(), until)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	for i := range sources {
		all.Go(func() {
			at := poll(ctx, c, sourceOf(i), interval)
			mu.Lock()
			defer mu.Unlock()
			polls = append(polls, at)
		})
	}
	for range backfills {
		all.Go(func() {
			n := backfill(ctx, c)
			mu.Lock()
			defer mu.Unlock()
			slices += n
		})
	}
	all.Wait()
	return polls, slices
}
