package linkedin

import (
	"github.com/cespare/xxhash/v2"
	"github.com/go-json-experiment/json/jsontext"
)

// page is one answer of a finder.
type page[T any] struct {
	start, asked int
	total        int // LinkedIn's paging.total; -1 when absent
	count        int // LinkedIn's paging.count; -1 when absent
	rows         []T
	keys         []uint64 // of the rows, in order: what makes a row the same row
}

// errNoElements is the problem of a list without elements.
const errNoElements = "there are no elements in it"

// decodePage reads a finder's answer. row reads one element, which begins at
// the reader's position, and gives its key. The problem is that of an answer
// that is no page, and empty otherwise.
func decodePage[T any](r *reader, p *page[T], row func(r *reader) (T, uint64)) (problem string, err error) {
	p.total, p.count = -1, -1
	found := false
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
				v, key := row(r)
				p.rows, p.keys = append(p.rows, v), append(p.keys, key)
			}
		case "paging":
			p.total, p.count = decodePaging(r)
		default:
			r.skip()
		}
	}
	if !found {
		return errNoElements, nil
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

// decodePaging reads paging's total and count; -1 for what is absent.
func decodePaging(r *reader) (total, count int) {
	total, count = -1, -1
	if !r.open(jsontext.KindBeginObject) {
		return total, count
	}
	for r.more() {
		switch r.name() {
		case "total":
			total = wholeNumber(r)
		case "count":
			count = wholeNumber(r)
		default:
			r.skip()
		}
	}
	return total, count
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
