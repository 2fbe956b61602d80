package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Tailer reads what comes to a topic, piece by piece, each committed record
// once: also those of a transaction that was open when it read on, however many
// others have written behind it since. It is not safe for concurrent use.
type Tailer struct {
	client           *Client
	topic            string
	existed          bool    // although nothing was read of it
	places           []place // by partition
	detectRecreation bool
	keepProgress     bool
}

// place is how far a partition was read.
type place struct {
	next int64 // everything before it was handed out, or was of no committed transaction
	end  int64 // the high watermark that was read up to
	// ahead are the offsets from next on that were handed out: what stands
	// between them was not decided yet.
	ahead map[int64]struct{}
	mark  Mark   // the last that was handed out
	key   []byte // of that record
}

// Mark tells a partition from that of another topic of the same name: the record
// at the offset has the time, to the millisecond. The zero value is none.
type Mark struct {
	Offset int64
	Time   time.Time
}

// Tailer makes a tailer that begins with the first record of the topic.
func (c *Client) Tailer(topic string) *Tailer { return &Tailer{client: c, topic: topic} }

// DetectRecreation has a topic taken for another one also when it has grown to where the one
// before ended, which Offsets do not tell: when the last record that was handed
// out is not there any more. Where compaction may take that record the topic is
// read from its beginning for it.
func (f *Tailer) DetectRecreation() *Tailer {
	f.detectRecreation = true
	return f
}

// KeepProgress has a call that ends with an error count as far as it came: the next one
// goes on from there, and anew is told with the error. It is for records that stand
// outside transactions; of one whose marker was just met, some may be left out.
func (f *Tailer) KeepProgress() *Tailer {
	f.keepProgress = true
	return f
}

// MustExist says that the topic exists: that it is missing is not believed of one
// broker.
func (f *Tailer) MustExist() { f.existed = true }

// Next hands fn the committed records that came since the last call, as Read
// does, and reports whether the topic is another one than before, which is read
// from its beginning. A topic that does not exist has no records. After an error
// the same records are handed out again, unless KeepProgress was asked for.
func (f *Tailer) Next(ctx context.Context, fn func(*Record) error) (anew bool, err error) {
	bounds, err := f.client.Reader.Offsets(ctx, f.topic)
	if errors.Is(err, ErrTopicMissing) {
		return f.missing(ctx)
	}
	if err != nil {
		return false, err
	}
	d, err := newDecoder()
	if err != nil {
		return false, fmt.Errorf("preparing to read topic %s: %w", f.topic, err)
	}
	defer d.zstd.Close()
	if anew = f.another(bounds); !anew {
		if anew, err = f.replaced(ctx, bounds, d); err != nil {
			return false, err
		}
	}
	places := make([]place, len(bounds))
	for partition, b := range bounds {
		if partition < len(f.places) && !anew {
			places[partition] = f.places[partition]
		}
		if places[partition].end >= b.End {
			continue
		}
		r := &topicRead{reader: f.client.Reader, topic: f.topic, decoder: d}
		if places[partition], err = r.follow(ctx, partition, places[partition], b, fn); err != nil {
			if !f.keepProgress {
				return false, err
			}
			if !anew && partition < len(f.places) { // those behind it stay where they are
				copy(places[partition+1:], f.places[partition+1:])
			}
			f.places = places
			return anew, err
		}
	}
	f.places = places
	return anew, nil
}

// missing takes in that a broker does not know the topic.
func (f *Tailer) missing(ctx context.Context) (anew bool, err error) {
	if len(f.places) > 0 || f.existed {
		gone, err := f.client.Admin.Gone(ctx, f.topic)
		if err != nil {
			return false, err
		}
		if len(gone) == 0 {
			return false, &UnreachableError{Op: "reading topic " + f.topic, Err: &codeError{op: "describing it", code: codeUnknownTopic, reason: "not every broker knows it yet"}}
		}
	}
	anew, f.places, f.existed = len(f.places) > 0, nil, false
	return anew, nil
}

// replaced reports whether a record that was handed out last is not there any more.
func (f *Tailer) replaced(ctx context.Context, bounds []Offsets, d *decoder) (bool, error) {
	if !f.detectRecreation {
		return false, nil
	}
	for partition, at := range f.places {
		if at.mark.Time.IsZero() {
			continue
		}
		there := false
		r := &topicRead{reader: f.client.Reader, topic: f.topic, decoder: d, fn: func(record *Record) error {
			if record.Offset != at.mark.Offset {
				return nil
			}
			there = record.Time.Equal(at.mark.Time) && bytes.Equal(record.Key, at.key)
			return errEnough
		}}
		_, err := r.partition(ctx, partition, max(at.mark.Offset, bounds[partition].First), at.end)
		if err != nil && !errors.Is(err, errEnough) {
			return false, err
		}
		if !there {
			return true, nil
		}
	}
	return false, nil
}

// follow hands out what came to a partition since it was left at a place, and
// gives the place where it is left now, also after an error.
func (r *topicRead) follow(ctx context.Context, partition int, at place, b Offsets, fn func(*Record) error) (place, error) {
	left := place{end: b.End, mark: at.mark, key: slices.Clone(at.key)}
	r.fn = func(record *Record) error {
		if r.at.awaitsMarker(record.Offset) {
			if left.ahead == nil {
				left.ahead = map[int64]struct{}{}
			}
			left.ahead[record.Offset] = struct{}{}
		}
		if _, again := at.ahead[record.Offset]; again {
			return nil
		}
		if left.mark.Time.IsZero() || record.Offset > left.mark.Offset {
			left.mark, left.key = Mark{record.Offset, record.Time}, append(left.key[:0], record.Key...)
		}
		return fn(record)
	}
	_, err := r.partition(ctx, partition, max(at.next, b.First), b.End)
	if left.next = r.at.next; err == nil {
		left.next = b.End
	} else {
		left.end = left.next
	}
	for _, batches := range r.at.open {
		left.next = min(left.next, batches[0].base)
	}
	maps.DeleteFunc(left.ahead, func(offset int64, _ struct{}) bool { return offset < left.next })
	return left, err
}

// Skip moves to the end of the topic: only what is written later is handed out.
func (f *Tailer) Skip(ctx context.Context) error {
	bounds, err := f.client.Reader.Offsets(ctx, f.topic)
	if err != nil && !errors.Is(err, ErrTopicMissing) {
		return err
	}
	f.places = nil
	for _, b := range bounds {
		f.places = append(f.places, place{next: b.End, end: b.End})
	}
	return nil
}

// Since moves to the first record of that time or later, or to the end of the
// topic where there is none: only what stands from there on is handed out.
func (f *Tailer) Since(ctx context.Context, t time.Time) error {
	f.places = nil
	bounds, err := f.client.Reader.Offsets(ctx, f.topic)
	if errors.Is(err, ErrTopicMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	var at []int64
	err = f.client.retry(ctx, "asking for the offsets of topic "+f.topic, func(ctx context.Context) (err error) {
		at, err = f.client.Reader.offsetsAt(ctx, f.topic, max(0, t.UnixMilli()))
		return err
	})
	if err != nil {
		return err
	}
	for partition, b := range bounds {
		from := b.End
		if partition < len(at) && at[partition] >= 0 {
			from = min(from, at[partition])
		}
		f.places = append(f.places, place{next: from, end: from})
	}
	return nil
}

// Position is the offset by partition before which every committed record was
// handed out.
func (f *Tailer) Position() []int64 {
	var next []int64
	for _, at := range f.places {
		next = append(next, at.next)
	}
	return next
}

// Marks are the last records by partition that were handed out.
func (f *Tailer) Marks() []Mark {
	var marks []Mark
	for _, at := range f.places {
		marks = append(marks, at.mark)
	}
	return marks
}

// another reports whether the topic is not the one that was read before.
func (f *Tailer) another(bounds []Offsets) bool {
	if len(bounds) < len(f.places) {
		return true
	}
	for partition, at := range f.places {
		if bounds[partition].End < at.end {
			return true
		}
	}
	return false
}
