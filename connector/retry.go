package connector

import (
	"context"
	"time"

	"leadstream/internal/fault"
	"leadstream/internal/kafka"
)

// retry does work until it succeeds, spacing its attempts, and returns early
// for what no repetition fixes: the end of ctx, a lost session, a fatal error.
// Issue is told as Issues do. about is the organization that the work is for,
// empty when it is for more.
//
// What waits for a person goes on at once when Resume is called.
func (c *Connector) retry(ctx context.Context, about, what string, work func(context.Context) error) error {
	wait := fault.NewBackoff(200*time.Millisecond, 30*time.Second)
	var waited time.Duration
	for {
		recovered := c.resumed()
		err := work(ctx)
		if err == nil {
			c.issues.Resolve(what)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if ends := kafka.EndsSession(err) || c.opts.Once && (fault.KindOf(err) == fault.Pause || wait.Attempts() >= onceAttempts || waited+c.pause(err) > onceLimit); ends {
			c.issues.ReportSilently(about, what, err) // whoever it ends says so
			return err
		}
		c.issues.Report(about, what, err)
		if !fault.KindOf(err).NeedsPerson() {
			recovered = nil // only time fixes it
		}
		began := time.Now()
		if err = wait.WaitOr(ctx, c.pause(err), recovered); err != nil {
			return err
		}
		waited += time.Since(began)
	}
}

// Resume has everything that waits for a person tried again at once: a consent
// was given, a role is back.
func (c *Connector) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.recovered)
	c.recovered = make(chan struct{})
}

// resumed is closed by the next Resume.
func (c *Connector) resumed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.recovered
}

// pause is the least wait before an error's work is tried again.
func (c *Connector) pause(err error) time.Duration {
	least := fault.DelayOf(err)
	switch fault.KindOf(err) { //nolint:exhaustive // the other kinds have no wait of their own
	case fault.Suspend: // an organization without access: looked at with each discovery
		if !c.opts.Once { // a command that ends does not wait for that
			least = max(least, c.opts.Discovery)
		}
	case fault.Pause: // a person must act
		least = max(least, 5*time.Second)
	}
	return least
}
