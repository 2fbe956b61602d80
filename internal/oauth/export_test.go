package oauth

import (
	"context"
	"time"
)

// SetSleep gives a Session another way to wait, for tests outside the package
// whose clock they move themselves.
func (s *Session) SetSleep(sleep func(context.Context, time.Duration) error) { s.sleep = sleep }
