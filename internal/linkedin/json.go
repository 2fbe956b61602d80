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
// for is skipped and reported, so that one broken member never hides the next;
// only broken JSON ends the reading, and is kept until failed is asked.
//
// It stands on jsontext's token decoder, which checks the syntax in the same
// pass: on a page of 100 leads that is ten times as fast as encoding/json into
// structs, with a twentieth of the allocations (see the benchmarks beside it).
// The answers of a union whose members LinkedIn may extend are awkward as
// structs anyway.
type reader struct {
	body []byte
	dec  *jsontext.Decoder
	err  error
	own  bool // texts are copies, for what is kept longer than the body
}

// newReader reads body, which must not change while the reader or anything it
// gave is in use. Bytes that are not UTF-8 are replaced by U+FFFD.
func newReader(body []byte) *reader {
	if !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	}
	return &reader{
		body: body,
		// Duplicate names are not looked for: it takes a table per object. A lone
		// surrogate in a string is no reason to lose a page.
		dec: jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)),
	}
}

// failed is the error of broken JSON.
func (r *reader) failed() error { return r.err }

// end reports what follows the value, which must be nothing.
func (r *reader) end() error {
	if r.err == nil && len(bytes.TrimLeft(r.dec.UnreadBuffer(), " \t\r\n")) > 0 {
		r.err = errTrailing
	}
	return r.err
}

var errTrailing = errors.New("there is more behind the JSON value")

// kind is that of the next value.
func (r *reader) kind() jsontext.Kind {
	if r.err != nil {
		return jsontext.KindInvalid
	}
	return r.dec.PeekKind()
}

// open enters an object ('{') or array ('['). Anything else is skipped: false.
func (r *reader) open(kind jsontext.Kind) bool {
	if r.kind() != kind {
		r.skip()
		return false
	}
	_, r.err = r.dec.ReadToken()
	return r.err == nil
}

// more reports whether the object or array goes on; at its end it leaves it.
func (r *reader) more() bool {
	switch k := r.kind(); k {
	case jsontext.KindEndObject, jsontext.KindEndArray:
		_, r.err = r.dec.ReadToken()
		return false
	case jsontext.KindInvalid:
		r.skip() // for its error
		return false
	}
	return r.err == nil
}

// raw is the next value as sent, part of the body.
func (r *reader) raw() []byte {
	if r.err != nil {
		return nil
	}
	v, err := r.dec.ReadValue()
	if err != nil {
		r.err = err
		return nil
	}
	end := int(r.dec.InputOffset()) // right behind the value
	return r.body[end-len(v) : end : end]
}

// offset is the position right behind the last token; start the one of the next.
func (r *reader) offset() int { return int(r.dec.InputOffset()) }

func (r *reader) start() int {
	r.kind()
	at := r.offset()
	for at < len(r.body) && strings.IndexByte(" \t\r\n,:", r.body[at]) >= 0 {
		at++
	}
	return at
}

func (r *reader) skip() {
	if r.err == nil {
		r.err = r.dec.SkipValue()
	}
}

// name is the name of an object's next member, to be used at once.
func (r *reader) name() string { return r.unquote(r.raw()) }

// text reads a string. Anything else is skipped: what names its kind then, and
// is empty for a string.
func (r *reader) text() (s, what string) {
	if k := r.kind(); k != jsontext.KindString {
		r.skip()
		return "", kindName(k)
	}
	return r.unquote(r.raw()), ""
}

// digits reads an id, which LinkedIn writes as a number or as a string: both are
// taken as text.
func (r *reader) digits() (s, what string) {
	switch k := r.kind(); k {
	case jsontext.KindString:
		return r.unquote(r.raw()), ""
	case jsontext.KindNumber:
		return r.string(r.raw()), ""
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
		if s = r.unquote(r.raw()); !strings.HasPrefix(s, prefix) {
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

// unquote is the text of a JSON string. It is part of the body where the string
// holds no escapes.
func (r *reader) unquote(quoted []byte) string {
	if len(quoted) < 2 {
		return "" // the reading has failed
	}
	if bytes.IndexByte(quoted, '\\') < 0 {
		return r.string(quoted[1 : len(quoted)-1])
	}
	// The error can only be a lone surrogate, which is U+FFFD in the text.
	s, _ := jsontext.AppendUnquote(make([]byte, 0, len(quoted)), quoted)
	return alias(s)
}

func (r *reader) string(b []byte) string {
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
