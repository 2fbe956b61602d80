package lead

import "context"

type backgroundKey struct{}

// Background marks work that can wait: backfill, replay, debts, discovery. Where
// something is short, such as the requests that LinkedIn allows in a day, live
// work goes first; work whose context says nothing is live.
func Background(ctx context.Context) context.Context {
	return context.WithValue(ctx, backgroundKey{}, true)
}

// IsBackground reports whether the context marks work that can wait.
func IsBackground(ctx context.Context) bool { return ctx.Value(backgroundKey{}) != nil }
