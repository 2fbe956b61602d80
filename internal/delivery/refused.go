package delivery

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"leadstream/internal/fault"
)

const (
	// A topic that refuses its tombstones is left alone for refusedFirst, then for twice
	// as long each time, up to refusedMost.
	refusedFirst = 200 * time.Millisecond
	refusedMost  = 30 * time.Second
)

// Refusal is why a topic does not take its tombstones, and how often they were
// tried.
type Refusal struct {
	Err   error
	Tries int

	until time.Time // not to be tried again before
}

// RefusedError says which topics do not take the tombstones of deleted leads. Each
// is tried again, less and less often; until then its refusal stands.
type RefusedError struct {
	Topics map[string]Refusal
}

// Error names the topics and their reasons.
func (e *RefusedError) Error() string {
	var texts []string
	for _, err := range e.Unwrap() {
		texts = append(texts, err.Error())
	}
	return strings.Join(texts, "; ")
}

// Unwrap are the refusals, in the order of their topics.
func (e *RefusedError) Unwrap() []error {
	var all []error
	for _, topic := range slices.Sorted(maps.Keys(e.Topics)) {
		all = append(all, e.Topics[topic].Err)
	}
	return all
}

// refuses notes that a topic did not take its tombstones.
func (d *Deletions) refuses(topic string, err error) {
	r := d.refusals[topic]
	wait := max(min(refusedFirst<<min(r.Tries, 10), refusedMost), fault.DelayOf(err))
	d.refusals[topic] = Refusal{
		Err:   fmt.Errorf("removing deleted leads from topic %s: %w", topic, err),
		Tries: r.Tries + 1,
		until: time.Now().Add(wait),
	}
}

// rests reports whether a topic that refused its tombstones is left alone.
func (d *Deletions) rests(topic string) bool { return time.Now().Before(d.refusals[topic].until) }

// refused is an error of the topics that did not take their tombstones yet, nil
// when there is none.
func (d *Deletions) refused() error {
	if len(d.refusals) == 0 {
		return nil
	}
	return &RefusedError{Topics: maps.Clone(d.refusals)}
}
