package linkedin

import "strings"

// Rest.li 2.0 writes a complex query parameter as records, lists and leaves: the
// syntax characters ( ) : , and List stay literal, every leaf is percent-encoded on its own, its parentheses and colons
// included. url.Values cannot write that: it would escape the syntax too, and
// write a blank as +.
//
// Source: LinkedIn API guide, Protocol Version (Rest.li 2.0.0).

// value is what a query parameter holds: a text, record or mask.
type value interface {
	// write appends the value in Rest.li syntax, percent-encoded.
	write(b *strings.Builder)
}

// text is a leaf.
type text string

// record is a map or union with its members in the order given.
type record []field

// list is a list of leaves.
type list []text

// field is one member of a record.
type field struct {
	key   string
	value value
}

// mask is a projection such as id,form:(name,content). It goes out as it is, so
// it is only ever a constant of this package.
type mask string

// param is one query parameter; its name is a constant of this package.
type param struct {
	name  string
	value value
}

func (t text) write(b *strings.Builder) { writeLeaf(b, string(t)) }

func (m mask) write(b *strings.Builder) { b.WriteString(string(m)) }

func (l list) write(b *strings.Builder) {
	b.WriteString("List(")
	for i, t := range l {
		if i > 0 {
			b.WriteByte(',')
		}
		t.write(b)
	}
	b.WriteByte(')')
}

func (r record) write(b *strings.Builder) {
	b.WriteByte('(')
	for i, f := range r {
		if i > 0 {
			b.WriteByte(',')
		}
		writeLeaf(b, f.key)
		b.WriteByte(':')
		f.value.write(b)
	}
	b.WriteByte(')')
}

// encodeQuery writes parameters as a raw query, to be set as it is.
func encodeQuery(params []param) string {
	var b strings.Builder
	for i, p := range params {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name)
		b.WriteByte('=')
		p.value.write(&b)
	}
	return b.String()
}

// encodeKey writes an entity's key as one segment of a path.
func encodeKey(key string) string {
	var b strings.Builder
	writeLeaf(&b, key)
	return b.String()
}

// writeLeaf percent-encodes everything but the unreserved characters of RFC
// 3986, byte by byte. An empty leaf is written as two quotes; quotes inside a
// leaf are encoded, so the two cannot be confused.
func writeLeaf(b *strings.Builder, s string) {
	if s == "" {
		b.WriteString("''")
		return
	}
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; unreserved(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
}

func unreserved(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == '-' || c == '.' || c == '_' || c == '~'
}
