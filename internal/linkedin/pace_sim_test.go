package linkedin

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
	"leadstream/internal/linkedinsim"
)

// pipes are the connections of a server that is reached without a network, so
// that HTTP itself runs under virtual time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// overHTTP makes a simulated LinkedIn and a client that reaches it over HTTP;
// to be called inside a bubble of virtual time.
func overHTTP(t *testing.T, cfg linkedinsim.Config, o Options) (*linkedinsim.Server, *Client) {
	t.Helper()
	s, err := linkedinsim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := newPipes()
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(p) }()
	transport := NewTransport(4)
	transport.DialContext = p.dial
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	o.HTTP = withToken{s.IssueToken().AccessToken, transport}
	return s, newTestClient(t, nil, o)
}

// TestTheSimulatorsDailyBudgetIsPaced: against the simulated LinkedIn over HTTP,
// polls beside a backfill without end, with and without Retry-After.
func TestTheSimulatorsDailyBudgetIsPaced(t *testing.T) {
	const budget = 150
	for name, sw := range map[string]linkedinsim.Switches{
		"429 alone":        {DailyBudget: budget},
		"with Retry-After": {DailyBudget: budget, RetryAfter: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := simConfig(300)
				cfg.Switches = sw
				s, c := overHTTP(t, cfg, Options{})
				org := owners(t, c)[0]
				src := lead.Source{Owner: org, Type: "EVENT"}
				refused := func() uint64 { return s.Stats().ByStatus[http.StatusTooManyRequests] }
				pollAndBackfill(t.Context(), c, src, endOfDay(1).Add(-time.Minute))
				if refused() == 0 || s.Stats().Today[EndpointResponses] < budget {
					t.Fatalf("the first day's budget was not met: %+v", s.Stats())
				}
				for i, most := range []int{budget * 90 / 100, budget * 91 / 100} { // 1 % more is tried
					n := i + 2
					before := refused()
					pollAndBackfill(t.Context(), c, src, endOfDay(n).Add(-time.Minute))
					used := s.Stats().Today[EndpointResponses]
					if refused() != before || used > most || used < budget*3/4 {
						t.Errorf("day %d: %d requests, %d refused; want about %d and none", n, used, refused()-before, most)
					}
				}
				if b := c.Budget(); !b.Paced || !strings.Contains(b.Note, "is paced to") {
					t.Errorf("budget = %+v", b)
				}
			})
		})
	}
}

// pollAndBackfill polls every half hour beside a backfill without end.
func pollAndBackfill(ctx context.Context, c *Client, src lead.Source, until time.Time) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	read := func(ctx context.Context, from time.Duration) bool {
		now, _ := c.Now()
		err := c.Responses(ctx, src, lead.Window{From: now.Add(-from), To: now}, 0, func([]lead.Response) error { return nil })
		return err == nil || again(ctx, err) != nil
	}
	var all sync.WaitGroup
	all.Go(func() {
		for ctx.Err() == nil {
			read(lead.Background(ctx), 60*24*time.Hour)
		}
	})
	all.Go(func() {
		for next := time.Now(); fault.Sleep(ctx, time.Until(c.Moment(src, next))) == nil; next = next.Add(30 * time.Minute) {
			for !read(ctx, 30*time.Minute) {
			}
		}
	})
	all.Wait()
}
