package linkedinsim

import (
	"sync/atomic"
	"time"
)

// clock is LinkedIn's clock: the base clock and an offset that can change.
type clock struct {
	base   func() time.Time
	offset atomic.Int64 // nanoseconds
}

func (c *clock) now() time.Time { return c.base().Add(time.Duration(c.offset.Load())).UTC() }

func (c *clock) millis() int64 { return c.now().UnixMilli() }
