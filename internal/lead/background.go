package lead

import "context"

type backgroundKey struct{}

// Background marks work that can wait: backfill, replay, deferred windows, discovery. Where
// something is short, such as the requests that LinkedIn allows in a day, live
// work goes first; work whose context says nothing is live.
func Background(ctx context.Context) context.Context {
	return context.WithValue(ctx, backgroundKey{}, true)
}

// IsBackground reports whether the context marks work that can wait.
func IsBackground(ctx context.Context) bool { return ctx.Value(backgroundKey{}) != nil }

type atOnceKey struct{}

// AtOnce marks work that is to be done now or left to a poll, which finds the
// same: fetching what LinkedIn has told of. Where something is short it gets what
// polls leave, and is refused rather than made to wait.
func AtOnce(ctx context.Context) context.Context {
	return context.WithValue(ctx, atOnceKey{}, true)
}

// IsAtOnce reports whether the context marks work that is done now or not at all.
func IsAtOnce(ctx context.Context) bool { return ctx.Value(atOnceKey{}) != nil }
