package linkedin

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
)

// reader walks a JSON text value by value. A value of another shape than asked
// for is skipped and reported, so that one broken member never hides the next.
//
// Syntax is jsontext's business: it checks the whole text first, and the walk
// relies on that. Together that takes a fifth of the time of encoding/json into
// structs and 30 allocations a page instead of 5,300, since texts are not copied
// (BenchmarkDecodePage); walking by jsontext's tokens takes an eighth longer and
// has to expect an error at every step. Unions whose members LinkedIn may extend
// would be awkward as structs anyway.
//
// A text that is no JSON has no values: every question about it is answered as
// at its end, and end reports it.
type reader struct {
	body []byte
	at   int  // what comes next
	own  bool // texts are copies, for what is kept longer than the body
	err  error
}

var errSyntax = errors.New("a JSON syntax error, or more than one value")

// newReader reads body, which must not change while the reader or anything it
// gave is in use. Bytes that are not UTF-8 are replaced by U+FFFD.
func newReader(body []byte) *reader {
	if !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	}
	r := &reader{body: body}
	// Duplicate names are not looked for: it takes a table per object. A lone
	// surrogate in a string is no reason to lose a page.
	if !jsontext.Value(body).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
		r.at, r.err = len(body), errSyntax
	}
	return r
}

// end is the error of a text that is not one JSON value from end to end.
func (r *reader) end() error { return r.err }

// kind is that of the next value, KindInvalid at the end of the text. It passes
// what stands between two values, where valid JSON leaves no doubt.
func (r *reader) kind() jsontext.Kind {
	for ; r.at < len(r.body); r.at++ {
		switch c := r.body[r.at]; c {
		case ' ', '\t', '\r', '\n', ',', ':':
		case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			return jsontext.KindNumber
		default:
			return jsontext.Kind(c) // a kind is its first byte
		}
	}
	return jsontext.KindInvalid
}

// open enters an object ('{') or array ('['). Anything else is skipped: false.
func (r *reader) open(kind jsontext.Kind) bool {
	if r.kind() != kind {
		r.skip()
		return false
	}
	r.at++
	return true
}

// more reports whether the object or array goes on; at its end it leaves it.
func (r *reader) more() bool {
	switch r.kind() {
	case jsontext.KindEndObject, jsontext.KindEndArray:
		r.at++
		return false
	case jsontext.KindInvalid:
		return false
	default:
		return true
	}
}

// start is the position of the next value.
func (r *reader) start() int {
	r.kind()
	return r.at
}

// since is what was read from a position on, part of the body.
func (r *reader) since(start int) []byte { return r.body[start:r.at:r.at] }

// raw is the next value as sent, part of the body.
func (r *reader) raw() []byte {
	start := r.start()
	r.skip()
	return r.since(start)
}

// skip passes the next value.
func (r *reader) skip() {
	switch r.kind() {
	case jsontext.KindString:
		r.quoted()
	case jsontext.KindBeginObject, jsontext.KindBeginArray:
		r.skipNested()
	default: // up to what ends a number, true, false or null
		for r.at < len(r.body) && !ends[r.body[r.at]] {
			r.at++
		}
	}
}

var ends = [256]bool{' ': true, '\t': true, '\r': true, '\n': true, ',': true, ':': true, '}': true, ']': true}

// quoted passes a string and gives what stands between its quotes, and whether
// that holds escapes. Most are short: a plain loop beats bytes.IndexByte.
func (r *reader) quoted() (inner []byte, escaped bool) {
	start := r.at + 1
	for i := start; i < len(r.body); i++ {
		switch r.body[i] {
		case '"':
			r.at = i + 1
			return r.body[start:i:i], escaped
		case '\\':
			escaped = true
			i++ // whatever it escapes, it is no end
		}
	}
	r.at = len(r.body)
	return nil, false
}

func (r *reader) skipNested() {
	for depth := 0; r.at < len(r.body); {
		switch r.body[r.at] {
		case '"':
			r.quoted()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if r.at++; depth == 0 {
			return
		}
	}
}

// name is the name of an object's next member, to be used at once.
func (r *reader) name() string {
	if r.kind() != jsontext.KindString {
		return "" // at the end of the text
	}
	return r.string()
}

// text reads a string. Anything else is skipped: what names its kind then, and
// is empty for a string.
func (r *reader) text() (s, what string) {
	if k := r.kind(); k != jsontext.KindString {
		r.skip()
		return "", kindName(k)
	}
	return r.string(), ""
}

// digits reads an id, which LinkedIn writes as a number or as a string: both are
// taken as text.
func (r *reader) digits() (s, what string) {
	switch k := r.kind(); k {
	case jsontext.KindString:
		return r.string(), ""
	case jsontext.KindNumber:
		return r.share(r.raw()), ""
	default:
		r.skip()
		return "", kindName(k)
	}
}

// integer reads a whole number, also written as a string or as 1.5e3.
func (r *reader) integer() (n int64, what string) {
	s, what := r.digits()
	if what != "" {
		return 0, what
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, ""
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, "not a whole number"
	}
	return int64(f), ""
}

// boolean reads true or false.
func (r *reader) boolean() (b bool, what string) {
	k := r.kind()
	r.skip()
	if k != jsontext.KindTrue && k != jsontext.KindFalse {
		return false, kindName(k)
	}
	return k == jsontext.KindTrue, ""
}

// urn reads a union or a bare string: the first string in it that begins so.
// what is empty for any string or object, whether it held one or not.
func (r *reader) urn(prefix string) (s, what string) {
	switch k := r.kind(); k {
	case jsontext.KindString:
		if s = r.string(); !strings.HasPrefix(s, prefix) {
			s = ""
		}
	case jsontext.KindBeginObject:
		for r.open(jsontext.KindBeginObject); r.more(); {
			r.name()
			if v, not := r.text(); not == "" && s == "" && strings.HasPrefix(v, prefix) {
				s = v
			}
		}
	default:
		r.skip()
		what = kindName(k)
	}
	return s, what
}

// string is the text of the JSON string that comes next. It is part of the body
// where it holds no escapes.
func (r *reader) string() string {
	start := r.at
	inner, escaped := r.quoted()
	if !escaped {
		return r.share(inner)
	}
	// The error can only be a lone surrogate, which is U+FFFD in the text.
	s, _ := jsontext.AppendUnquote(make([]byte, 0, len(inner)), r.since(start))
	return alias(s)
}

func (r *reader) share(b []byte) string {
	if r.own {
		return string(b)
	}
	return alias(b)
}

// alias is b as a string, without a copy: b must never change again. A page's
// texts share its body with Response.Raw, which nobody may write to either.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// kindName says what a value is, without quoting it.
func kindName(k jsontext.Kind) string {
	switch k {
	case jsontext.KindNull:
		return "null"
	case jsontext.KindTrue, jsontext.KindFalse:
		return "a boolean"
	case jsontext.KindString:
		return "a string"
	case jsontext.KindNumber:
		return "a number"
	case jsontext.KindBeginObject:
		return "an object"
	case jsontext.KindBeginArray:
		return "a list"
	}
	return "broken"
}
