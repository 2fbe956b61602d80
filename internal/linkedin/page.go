package linkedin

import (
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/go-json-experiment/json/jsontext"
)

// page is one answer of a finder.
type page[T any] struct {
	start, asked int // asked is 0 where any number of rows will do
	total        int // LinkedIn's paging.total; -1 when absent
	count        int // LinkedIn's paging.count; -1 when absent
	rows         []T
	keys         []uint64 // of the rows, in order: what makes a row the same row
	parts        bool     // put together from several answers
}

// errNoElements is the problem of a list without elements.
const errNoElements = "there are no elements in it"

// decodePage reads a finder's answer. row reads one element, which begins at
// the reader's position, and gives its key. The problem is that of an answer
// that is no page, and empty otherwise.
func decodePage[T any](r *reader, p *page[T], row func(r *reader) (T, uint64)) (problem string, err error) {
	p.total, p.count = -1, -1
	found, start := false, -1
	if problem, err := r.object(); problem != "" {
		return problem, err
	}
	for r.open(jsontext.KindBeginObject); r.more(); {
		switch r.name() {
		case "elements":
			if found = r.open(jsontext.KindBeginArray); !found {
				continue
			}
			for r.more() {
				if p.asked > 0 && len(p.rows) == p.asked {
					return fmt.Sprintf("it holds more than the %d elements asked for", p.asked), nil
				}
				v, key := row(r)
				p.rows, p.keys = append(p.rows, v), append(p.keys, key)
			}
		case "paging":
			start, p.total, p.count = decodePaging(r)
		default:
			r.skip()
		}
	}
	switch {
	case !found:
		return errNoElements, nil
	case start >= 0 && start != p.start:
		return fmt.Sprintf("it begins at element %d, and element %d was asked for", start, p.start), nil
	}
	return "", nil
}

// object looks whether the text is the object that an answer should be; else
// there is a problem.
func (r *reader) object() (problem string, err error) {
	switch {
	case r.err != nil:
		return "it is not JSON from end to end", r.err
	case r.kind() != jsontext.KindBeginObject:
		return "it is not a JSON object", nil
	}
	return "", nil
}

// decodePaging reads paging's members; -1 for what is absent.
func decodePaging(r *reader) (start, total, count int) {
	start, total, count = -1, -1, -1
	if !r.open(jsontext.KindBeginObject) {
		return start, total, count
	}
	for r.more() {
		switch r.name() {
		case "start":
			start = wholeNumber(r)
		case "total":
			total = wholeNumber(r)
		case "count":
			count = wholeNumber(r)
		default:
			r.skip()
		}
	}
	return start, total, count
}

// wholeNumber is -1 for anything else.
func wholeNumber(r *reader) int {
	n, what := r.integer()
	if what != "" || n < 0 || n >= 1<<31 {
		return -1
	}
	return int(n)
}

// rowKey is the key of a row by the texts that identify it.
func rowKey(parts ...string) uint64 {
	var d xxhash.Digest
	d.Reset()
	for _, p := range parts {
		_, _ = d.WriteString(p) // a hash takes everything
		_, _ = d.WriteString("\x00")
	}
	return d.Sum64()
}
