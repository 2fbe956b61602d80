// Package dedup knows what the lead topics hold: which submissions of LinkedIn's
// responses are published already, and which of those that are not may have been
// published and removed since.
//
// A lead's identity is (lead id, submittedAt). A topic holds (id, t) when it has the
// id with submitted_at >= t, or a deletion of it at or after t: lead topics are
// compacted, and of a key the newest record stays.
//
// A View is what one line of work knows of the topics. It is loaded beside the work of
// its owner: Begin, then Read elsewhere, then Finish. Whatever is committed between
// Begin and Finish enters the view as well, so that it lacks nothing. Nothing here does
// I/O but Read, through the Source that it is given, and nothing starts a goroutine.
package dedup

import (
	"context"
	"time"
)

// At is a moment in epoch milliseconds and what happened to a lead then. Of two at the
// same moment, the deletion is the later one.
type At int64

// Submitted is a submission at that time, Deleted a deletion.
func Submitted(t time.Time) At { return At(t.UnixMilli() << 1) }
func Deleted(t time.Time) At   { return At(t.UnixMilli()<<1 | 1) }

// Millis is when it was, in epoch milliseconds.
func (a At) Millis() int64 { return int64(a) >> 1 }

// IsDeletion tells a deletion from a submission.
func (a At) IsDeletion() bool { return a&1 == 1 }

// Entry is what a record of a lead topic says of the lead that is its key.
type Entry struct {
	At     At
	Replay string // id of the replay in mode all that published it again, else empty
}

// Source is where a Load is read from. Its methods are called by Read alone.
type Source interface {
	// WaitVisible returns once what was committed to the partitions of a topic up to
	// these offsets can be read.
	WaitVisible(ctx context.Context, topic string, committed map[int]int64) error
	// Records gives fn every committed record of the topic that can say something of
	// submissions from t on. The id is valid until fn returns.
	Records(ctx context.Context, topic string, from time.Time, fn func(id []byte, e Entry) error) error
	// Bounds are the offsets of the topic's partitions now. Oldest is told of those
	// whose first offset is above the one known.
	Bounds(ctx context.Context, topic string, known []int64) ([]Bounds, error)
}

// Bounds are the offsets of one partition.
type Bounds struct {
	First, End int64     // of the oldest record that is left; one past the last one
	Oldest     time.Time // record time of the oldest, by our clock; zero where none is left or it was not asked for
}
