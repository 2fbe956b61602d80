package oauth

import (
	"context"
	"fmt"
	"sync"
)

// shared merges concurrent calls into one that runs to its end even when
// every caller gives up: an exchange that was begun may already have replaced
// the refresh token at LinkedIn.
type shared struct {
	mu  sync.Mutex
	now *run // under way; nil when idle
}

type run struct {
	done  chan struct{}
	token Token
	err   error
}

// do joins the run under way, else starts fn with a context that does not end
// with the caller's. It returns early with the caller's context.
func (g *shared) do(ctx context.Context, fn func(context.Context) (Token, error)) (Token, error) {
	g.mu.Lock()
	r := g.now
	if r == nil {
		r = &run{done: make(chan struct{})}
		g.now = r
		go func() { // wait is how its owner waits for it
			r.token, r.err = fn(context.WithoutCancel(ctx))
			g.mu.Lock()
			g.now = nil
			g.mu.Unlock()
			close(r.done)
		}()
	}
	g.mu.Unlock()
	select {
	case <-r.done:
		return r.token, r.err
	case <-ctx.Done():
		return Token{}, fmt.Errorf("waiting for a new access token: %w", ctx.Err())
	}
}

// wait blocks until the run under way, if any, has ended.
func (g *shared) wait() {
	g.mu.Lock()
	r := g.now
	g.mu.Unlock()
	if r != nil {
		<-r.done
	}
}
