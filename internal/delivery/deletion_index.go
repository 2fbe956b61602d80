package delivery

import (
	"cmp"
	"fmt"
	"time"

	"leadstream/internal/fault"
	"leadstream/internal/kafka"
)

// Deletion says that a lead was deleted: every submission of the response up to
// then is to be gone from its topic, and not to come back.
type Deletion struct {
	ID   string // of the response
	Form string // id; empty when it is not known
	At   time.Time
	// Partition is that of the topic which a tombstone is for, nil where the id belongs.
	Partition *int
}

// UnreadableDeletionError says that an entry of the deletions does not say when
// the lead was deleted. Until it does, or is lifted, no submission of the lead
// from before the entry goes out, and none is removed.
type UnreadableDeletionError struct {
	Topic     string
	Partition int
	Offset    int64
	Key       string // id of the response
	More      int    // how many other entries cannot be read either
}

func (e *UnreadableDeletionError) Error() string {
	more := ""
	if e.More > 0 {
		more = fmt.Sprintf(" (nor that of %d more entries)", e.More)
	}
	return fmt.Sprintf("topic %s, partition %d, offset %d: the value of the entry %q is no time in the form of 2006-01-02T15:04:05.000Z (RFC 3339)%s; %s",
		e.Topic, e.Partition, e.Offset, e.Key, more, e.Todo())
}

// Todo is what a person can do about it.
func (e *UnreadableDeletionError) Todo() string {
	return "write another record with this key whose value is the time of the deletion, or one without a value to lift it; it is noticed at once where LinkedIn's notifications are received, else at the next start"
}

// About is the entry.
func (e *UnreadableDeletionError) About() string {
	return fmt.Sprintf("%d/%d+%d", e.Partition, e.Offset, e.More)
}

// Fault waits for a person; nothing else does.
func (e *UnreadableDeletionError) Fault() fault.Kind { return fault.Pause }

// deletionEntry is a record of the deletions.
type deletionEntry struct {
	Deletion
	partition  int
	offset     int64
	time       time.Time // of the record
	lifted     bool      // the deletion is taken back
	unreadable bool      // when it was is not known
	anew       bool      // what was said of the id before does not count, whatever this says
}

func readDeletion(r *kafka.Record) deletionEntry {
	e := deletionEntry{Deletion: Deletion{ID: string(r.Key)}, partition: r.Partition, offset: r.Offset, time: r.Time, lifted: r.Value == nil}
	for _, h := range r.Headers {
		if h.Key == HeaderForm {
			e.Form = string(h.Value)
		}
	}
	if !e.lifted { // RFC3339 reads fractions of a second, too
		at, err := time.Parse(time.RFC3339, string(r.Value))
		e.At, e.unreadable = at.UTC(), err != nil
	}
	return e
}

// deletionIndex is what the deletions say once their entries are taken in one after
// another: an entry without a value takes back what was said of its id before.
type deletionIndex struct {
	at         map[string]int64 // id to the newest deletion, epoch milliseconds
	unreadable map[string]deletionEntry
}

func newDeletionIndex() deletionIndex {
	return deletionIndex{at: map[string]int64{}, unreadable: map[string]deletionEntry{}}
}

func (l *deletionIndex) clear() {
	clear(l.at)
	clear(l.unreadable)
}

// enter takes in an entry. Of an unreadable one the lead is taken for deleted at
// the time of the record, like one with a tombstone by hand; whatever the next
// entry of the same id says counts instead.
func (l *deletionIndex) enter(e deletionEntry) {
	if _, doubtful := l.unreadable[e.ID]; doubtful || e.lifted || e.anew {
		delete(l.unreadable, e.ID)
		delete(l.at, e.ID)
	}
	switch {
	case e.lifted:
	case e.unreadable:
		l.unreadable[e.ID] = e
		l.at[e.ID] = max(l.at[e.ID], e.time.UnixMilli())
	default:
		l.record(e.Deletion)
	}
}

// record enters a deletion.
func (l *deletionIndex) record(d Deletion) {
	at := d.At.UnixMilli()
	if known, ok := l.at[d.ID]; !ok || at > known {
		l.at[d.ID] = at
	}
}

// since reports whether submissions of id at that moment are kept out.
func (l *deletionIndex) since(id string, millis int64) bool {
	at, ok := l.at[id]
	return ok && at >= millis
}

// sure reports whether the topic says so beyond doubt.
func (l *deletionIndex) sure(id string, millis int64) bool {
	_, doubtful := l.unreadable[id]
	return !doubtful && l.since(id, millis)
}

// problem is the error of the entries that cannot be read: it names the first.
func (l *deletionIndex) problem(topic string) error {
	var first *deletionEntry
	for _, e := range l.unreadable {
		if first == nil || cmp.Or(cmp.Compare(e.partition, first.partition), cmp.Compare(e.offset, first.offset)) < 0 {
			first = &e
		}
	}
	if first == nil {
		return nil
	}
	return &UnreadableDeletionError{Topic: topic, Partition: first.partition, Offset: first.offset, Key: first.ID, More: len(l.unreadable) - 1}
}

// After are those of the responses, given with when each was submitted, that
// are known to be deleted since.
func (d *Deletions) After(submitted map[string]time.Time) []string {
	var ids []string
	for id, at := range submitted {
		if d.index.since(id, at.UnixMilli()) {
			ids = append(ids, id)
		}
	}
	return ids
}
