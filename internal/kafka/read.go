package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"leadstream/internal/fault"
)

// From says where a read begins. The zero value is the beginning.
type From struct {
	// Time: at the first record, by offset, whose time is at or after it. Every
	// record with such a time stands there or behind, also when times are out
	// of order; records with earlier times may stand behind it too.
	Time time.Time
	// Offset: at this offset of each partition; used when Time is zero.
	Offset int64
	// Tail: so many offsets before the end of each partition, where above 0; used
	// when Time is zero.
	Tail int64
}

// CorruptError: a partition holds bytes that are not a record batch, or one
// that is not read for what it takes. Its kind is Suspend: reading it again gives
// the same.
type CorruptError struct {
	Topic     string
	Partition int
	Offset    int64 // of the batch
	Err       error
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("reading topic %q, partition %d, offset %d: %v; %s", e.Topic, e.Partition, e.Offset, e.Err, e.Todo())
}

// Todo is what a person can do about it.
func (e *CorruptError) Todo() string {
	return fmt.Sprintf("see who else writes to the topic; kafka-delete-records takes away what stands there, with all that stands before it, up to offset %d of partition %d", e.Offset+1, e.Partition)
}

func (e *CorruptError) Unwrap() error { return e.Err }

// Fault is Suspend.
func (e *CorruptError) Fault() fault.Kind { return fault.Suspend }

// Read hands the committed records of every partition of a topic to fn, up to
// the high watermark at the time of the call. Partitions are read in turn; the
// records of a transaction come when its commit marker is met, so that records
// come in the order in which they were committed and, within a transaction, in
// that of their offsets. Records of aborted transactions, and of those whose
// marker is not there yet, do not come; an open transaction of somebody else
// hides nothing of ours, unlike for a read_committed consumer, which stops at
// it.
//
// The records of one open transaction per producer are kept in memory, as
// compressed as they are in the topic; what is much is read a second time once it is
// committed. Errors: ErrTopicMissing, *TopicError
// without the permission to read, *CorruptError, *UnreachableError; an error
// of fn ends the read and is returned as it is. It may be called for several
// topics at once.
func (rd *Reader) Read(ctx context.Context, topic string, from From, fn func(*Record) error) error {
	bounds, err := rd.Offsets(ctx, topic)
	if err != nil {
		return err
	}
	start := make([]int64, len(bounds))
	for i := range start {
		if start[i] = from.Offset; from.Tail > 0 {
			start[i] = max(bounds[i].End-from.Tail, 0)
		}
	}
	if !from.Time.IsZero() {
		err := rd.retry(ctx, "asking for the offsets of topic "+topic, func(ctx context.Context) error {
			start, err = rd.offsetsAt(ctx, topic, max(0, from.Time.UnixMilli()))
			return err
		})
		if err != nil {
			return err
		}
	}
	d, err := newDecoder()
	if err != nil {
		return fmt.Errorf("preparing to read topic %s: %w", topic, err)
	}
	defer d.zstd.Close()
	r := &topicRead{reader: rd, topic: topic, decoder: d, fn: fn}
	for partition, b := range bounds {
		if partition >= len(start) || start[partition] < 0 {
			continue // nothing at or after the time
		}
		if _, err := r.partition(ctx, partition, max(start[partition], b.First), b.End); err != nil {
			return err
		}
	}
	return nil
}

// topicRead is one call of Read.
type topicRead struct {
	reader  *Reader
	topic   string
	decoder *decoder
	fn      func(*Record) error // nil: only what is decided is of interest
	at      *partitionReader    // the partition being read
	buffer  []byte              // of fetch answers
	spare   [][]byte            // memory of batches that were kept, to be used again
	only    *int64              // the producer whose committed batches are read, where not everybody's are
}

// keep copies bytes out of the buffer of fetch answers.
func (r *topicRead) keep(b []byte) []byte {
	var into []byte
	if n := len(r.spare); n > 0 {
		into, r.spare = r.spare[n-1], r.spare[:n-1]
	}
	return append(into[:0], b...)
}

// partition reads one partition from offset next to the high watermark end. It
// gives what belongs to transactions whose markers are not there yet.
func (r *topicRead) partition(ctx context.Context, partition int, next, end int64) (open map[int64][]batch, err error) {
	p := &partitionReader{topicRead: r, partition: partition, next: next, from: next, end: end, open: map[int64][]batch{}}
	r.at = p
	pause := fault.NewBackoff(time.Millisecond, time.Second)
	progress := time.Now()
	for p.next < p.end {
		before := p.next
		err := p.step(ctx)
		switch {
		case err == nil && p.next > before:
			pause.Reset()
			progress = time.Now()
			continue
		case err == nil:
			err = &codeError{op: fmt.Sprintf("reading offset %d of %s-%d", p.next, r.topic, partition), code: codeLeaderNotAvailable,
				reason: "records below the high watermark do not come"}
		case !retriable(err):
			return nil, err
		}
		if time.Since(progress) > patience {
			return nil, settled("reading topic "+r.topic, err)
		}
		if pause.Wait(ctx, 0) != nil {
			return nil, fmt.Errorf("reading topic %s: %w", r.topic, context.Cause(ctx))
		}
	}
	return p.open, nil
}

// partitionReader is where a read of one partition stands.
type partitionReader struct {
	*topicRead
	partition int
	next      int64 // offset to fetch
	from      int64 // records below it are not asked for
	end       int64 // the high watermark when the read began
	open      map[int64][]batch
	kept      int // bytes of them
	idle      int // answers in a row without a batch though some are to come
}

// step makes one request and takes in what it brings.
func (p *partitionReader) step(ctx context.Context) error {
	leader, err := p.reader.leader(ctx, TopicPartition{p.topic, p.partition})
	if err != nil {
		return err
	}
	msg, err := p.reader.askBroker(ctx, leader, &fetchRequest{
		clientID: p.reader.pool.dialer.clientID, topic: p.topic,
		partition: int32(p.partition), offset: p.next, buffer: p.buffer,
	})
	if _, large := errors.AsType[*tooLargeError](err); large {
		return &CorruptError{Topic: p.topic, Partition: p.partition, Offset: p.next, Err: errOversize}
	}
	if err != nil {
		p.reader.forget(p.topic)
		return err
	}
	res := msg.(*fetchResponse)
	p.buffer = res.buffer
	if res.code == codeOffsetOutOfRange {
		return p.catchUp(ctx)
	}
	if err := p.reader.readRefusal(p.topic, res.code, "reading"); err != nil {
		return err
	}
	before := p.next
	if err := p.take(ctx, res.records); err != nil {
		return err
	}
	if p.next > before {
		p.idle = 0
		return nil
	}
	// Nothing came although the broker waited. Where its high watermark covers
	// ours, compaction or retention took the rest; a new leader whose high
	// watermark lags behind is waited for.
	if p.idle++; p.idle > 1 && res.highWatermark >= p.end {
		p.next = p.end
	}
	return nil
}

// catchUp goes on at the oldest record that is left, when the one to be read
// next has been deleted by retention.
func (p *partitionReader) catchUp(ctx context.Context) error {
	first, err := p.reader.offsetsAt(ctx, p.topic, earliestOffset)
	if err != nil {
		return err
	}
	if p.partition < len(first) && first[p.partition] > p.next {
		p.next = first[p.partition]
		return nil
	}
	// The log ends below where it ended before: the topic was made anew.
	return &codeError{op: "reading topic " + p.topic, code: codeUnknownLeaderEpoch, reason: "the topic has been truncated"}
}

// take handles the batches of one answer.
func (p *partitionReader) take(ctx context.Context, data []byte) error {
	for p.next < p.end {
		b, rest, err := nextBatch(data)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && b.base >= p.end {
			p.next = p.end // what stood before it is gone; itself it came after the call
			return nil
		}
		at := p.next
		if err == nil {
			at = b.base
			err = p.batch(ctx, &b)
		}
		if _, told := errors.AsType[*CorruptError](err); told {
			return err
		}
		if errors.Is(err, errMalformed) || errors.Is(err, errOversize) || errors.Is(err, errHeaders) {
			return &CorruptError{Topic: p.topic, Partition: p.partition, Offset: at, Err: err}
		}
		if err != nil {
			return err
		}
		p.next = max(p.next, b.last+1)
		data = rest
	}
	return nil
}

// batch delivers, keeps or drops the records of one batch.
func (p *partitionReader) batch(ctx context.Context, b *batch) error {
	switch {
	case b.last < p.from:
		return nil
	case p.only != nil:
		if *p.only == b.producerID && b.transactional() && !b.control() {
			return p.deliver(b)
		}
		return nil
	case b.control():
		committed, ok, err := p.decoder.committed(b)
		if err != nil || !ok {
			return err
		}
		return p.close(ctx, b, committed)
	case b.transactional():
		p.hold(b)
		return nil
	default:
		return p.deliver(b)
	}
}

const (
	// maxKept bounds what is kept of open transactions. Ours are half of it at most.
	maxKept = 16 << 20
	// keptOverhead is about what keeping a batch takes beside its payload.
	keptOverhead = 200
)

// hold keeps a batch of an open transaction. Of a producer of which too much would
// be kept only the place is: what it has written since is read again if it commits.
func (p *partitionReader) hold(b *batch) {
	open := p.open[b.producerID]
	size := len(b.payload) + keptOverhead
	switch {
	case len(open) > 0 && open[0].unkept:
		return
	case p.fn == nil, p.kept+size > maxKept:
		first := *b
		if len(open) > 0 {
			first = open[0]
		}
		p.release(open)
		first.payload, first.unkept = nil, true
		open = []batch{first}
	default:
		held := *b
		held.payload = p.keep(b.payload)
		p.kept += size
		open = append(open, held)
	}
	p.open[b.producerID] = open
}

// release gives the memory of kept batches back.
func (p *partitionReader) release(held []batch) {
	for i := range held {
		if !held[i].unkept {
			p.kept -= len(held[i].payload) + keptOverhead
			p.spare = append(p.spare, held[i].payload)
		}
	}
}

// close delivers or drops what was kept of a transaction whose marker came.
func (p *partitionReader) close(ctx context.Context, marker *batch, committed bool) error {
	held := p.open[marker.producerID]
	delete(p.open, marker.producerID)
	defer p.release(held)
	if !committed || len(held) == 0 || p.fn == nil {
		return nil
	}
	if held[0].unkept {
		return p.again(ctx, held[0].base, marker)
	}
	for i := range held {
		if err := p.deliver(&held[i]); err != nil {
			return err
		}
	}
	return nil
}

// again delivers what the producer of a commit marker has written since an offset.
func (p *partitionReader) again(ctx context.Context, since int64, marker *batch) error {
	r := &topicRead{reader: p.reader, topic: p.topic, decoder: p.decoder, fn: p.fn, only: &marker.producerID}
	p.spare = nil // its memory is needed now
	_, err := r.partition(ctx, p.partition, since, marker.base)
	return err
}

// awaitsMarker reports whether something at or before an offset that was read waits
// for its marker.
func (p *partitionReader) awaitsMarker(offset int64) bool {
	for _, batches := range p.open {
		if batches[0].base <= offset {
			return true
		}
	}
	return false
}

func (p *partitionReader) deliver(b *batch) error {
	if p.fn == nil {
		return nil
	}
	return p.decoder.each(b, p.from, func(r *Record) error {
		r.Topic, r.Partition = p.topic, p.partition
		return p.fn(r)
	})
}

// errEnough ends a read that has seen what it was for.
var errEnough = errors.New("enough was read")

// Oldest is the time of the oldest record that each partition of a topic still
// holds and shows, in order of partitions; zero for one without any. Errors as
// of Read.
func (rd *Reader) Oldest(ctx context.Context, topic string) ([]time.Time, error) {
	bounds, err := rd.Offsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	d, err := newDecoder()
	if err != nil {
		return nil, fmt.Errorf("preparing to read topic %s: %w", topic, err)
	}
	defer d.zstd.Close()
	oldest := make([]time.Time, len(bounds))
	for partition, b := range bounds {
		r := &topicRead{reader: rd, topic: topic, decoder: d, fn: func(record *Record) error {
			oldest[partition] = record.Time
			return errEnough
		}}
		if _, err := r.partition(ctx, partition, b.First, b.End); err != nil && !errors.Is(err, errEnough) {
			return nil, err
		}
	}
	return oldest, nil
}

// MarkersVisible reports whether what stands at these offsets, by partition, belongs to
// no transaction that is still open to readers: its marker stands behind it, or
// there never was one. An acknowledged commit is decided, but its markers take a
// moment, in which others may write behind it. The topic must reach beyond the
// offsets. It reads from each of them to the end. Errors as of Read.
func (rd *Reader) MarkersVisible(ctx context.Context, topic string, offsets map[int]int64) (bool, error) {
	bounds, err := rd.Offsets(ctx, topic)
	if err != nil {
		return false, err
	}
	d, err := newDecoder()
	if err != nil {
		return false, fmt.Errorf("preparing to read topic %s: %w", topic, err)
	}
	defer d.zstd.Close()
	r := &topicRead{reader: rd, topic: topic, decoder: d}
	for partition, offset := range offsets {
		if partition >= len(bounds) {
			return false, nil
		}
		open, err := r.partition(ctx, partition, max(offset, bounds[partition].First), bounds[partition].End)
		if err != nil {
			return false, err
		}
		for _, batches := range open {
			if batches[0].base <= offset {
				return false, nil
			}
		}
	}
	return true, nil
}
