package kafka

import (
	"encoding/binary"
	"io"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// shape walks over an answer the way kafka-go decodes it, without keeping any of
// it. kafka-go allocates as many elements as an array claims to have and as many
// bytes as a string claims to have before it reads them: it may only be given
// answers that are as long as they claim.
type shape func(*fields)

// decodedLimit bounds what kafka-go may allocate for one answer. Small elements
// take several times as much in memory as on the wire.
const decodedLimit = 64 << 20

// shapes are the shapes of the messages of kafka-go that were met.
var shapes sync.Map // shapeKey to shape

type shapeKey struct {
	message reflect.Type
	version int16
}

// shapeOf is the shape of one version of a message of kafka-go, with the tags of
// its header where the version has them.
func shapeOf(message reflect.Type, version int16) shape {
	key := shapeKey{message, version}
	if known, ok := shapes.Load(key); ok {
		return known.(shape)
	}
	flexible := isFlexible(message, version)
	body := structShape(message, version, flexible)
	s := shape(func(f *fields) {
		if flexible {
			skipTags(f)
		}
		body(f)
	})
	shapes.Store(key, s)
	return s
}

// fits reports whether data is a whole answer of that shape that may be decoded.
func (s shape) fits(data []byte) bool {
	f := &fields{data: data}
	s(f)
	return !f.bad && f.claimed <= decodedLimit
}

// isFlexible reports whether kafka-go takes the version for one with compact
// lengths and tags: it marks such messages by a field whose tag says so.
func isFlexible(message reflect.Type, version int16) bool {
	for i := range message.NumField() {
		for part := range strings.SplitSeq(message.Field(i).Tag.Get("kafka"), "|") {
			if v := readVersions(part); v.tagged && v.lowest <= version {
				return true
			}
		}
	}
	return false
}

// fieldVersions is for which versions of a message a field is there.
type fieldVersions struct {
	lowest, highest int16
	tagged          bool
}

// readVersions reads one alternative of a struct tag of kafka-go, such as
// "min=v6,max=v7,compact".
func readVersions(part string) fieldVersions {
	v := fieldVersions{lowest: -1, highest: -1}
	number := func(s string) int16 {
		n, _ := strconv.ParseInt(strings.TrimPrefix(s, "v"), 10, 16) // kafka-go itself panics where it is none
		return int16(n)
	}
	for option := range strings.SplitSeq(part, ",") {
		switch name, value, _ := strings.Cut(option, "="); name {
		case "min":
			v.lowest = number(value)
		case "max":
			v.highest = number(value)
		case "tag":
			v.tagged = true
		}
	}
	return v
}

func structShape(t reflect.Type, version int16, flexible bool) shape {
	var parts []shape
	for i := range t.NumField() {
		field := t.Field(i)
		for part := range strings.SplitSeq(field.Tag.Get("kafka"), "|") {
			if v := readVersions(part); v.lowest <= version && version <= v.highest && !v.tagged {
				parts = append(parts, shapeOfField(field.Type, version, flexible))
				break
			}
		}
	}
	return func(f *fields) {
		for _, part := range parts {
			part(f)
		}
		if flexible {
			skipTags(f)
		}
	}
}

var readsItself = reflect.TypeFor[io.ReaderFrom]()

func shapeOfField(t reflect.Type, version int16, flexible bool) shape {
	if reflect.PointerTo(t).Implements(readsItself) {
		return noRecords
	}
	switch t.Kind() {
	case reflect.Struct:
		return structShape(t, version, flexible)
	case reflect.String:
		return func(f *fields) { f.claim(len(f.take(f.textLength(flexible)))) }
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return func(f *fields) { f.claim(len(f.take(f.length(flexible)))) }
		}
		return arrayShape(t.Elem(), version, flexible)
	default: // a number or a truth value
		size := int(t.Size())
		return func(f *fields) { f.take(size) }
	}
}

func arrayShape(elem reflect.Type, version int16, flexible bool) shape {
	one, size := shapeOfField(elem, version, flexible), int(elem.Size())
	return func(f *fields) {
		n := f.length(flexible)
		for f.claim(n * size); n > 0 && !f.bad; n-- {
			one(f)
		}
	}
}

// noRecords takes a set of records that is empty: records are read by decoders of
// this package alone.
func noRecords(f *fields) {
	if f.count() > 0 {
		f.fail()
	}
}

// skipTags passes over the optional fields of a flexible message. None is known.
func skipTags(f *fields) {
	for n := f.uvarint(); n > 0 && !f.bad; n-- {
		if id := f.uvarint(); id > 1<<30 { // kafka-go would take some of these for its marks
			f.fail()
		}
		f.take(f.within(f.uvarint()))
	}
}

// length reads the length of an array or of bytes; null counts as none.
func (f *fields) length(compact bool) int {
	if compact {
		return f.compact()
	}
	return f.count()
}

// textLength reads the length of a string; null counts as none.
func (f *fields) textLength(compact bool) int {
	if compact {
		return f.compact()
	}
	return max(int(f.int16()), 0)
}

func (f *fields) uvarint() uint64 {
	n, size := binary.Uvarint(f.data)
	if size <= 0 {
		f.fail()
		return 0
	}
	f.take(size)
	return n
}

// within is n if as many bytes are left, else it fails.
func (f *fields) within(n uint64) int {
	if n > uint64(len(f.data)) {
		f.fail()
		return 0
	}
	return int(n)
}

// claim counts what will be allocated for what was read.
func (f *fields) claim(n int) {
	if f.claimed += n; f.claimed > decodedLimit {
		f.fail()
	}
}
