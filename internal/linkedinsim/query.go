package linkedinsim

import (
	"net/url"
	"strconv"
	"strings"
)

// splitQuery cuts a raw query into its parameters. It refuses, naming the
// parameter at fault, what LinkedIn's parser refuses: a plus sign, a broken
// percent-escape, a parameter twice. syntax tells that a character may not
// stand in a URL at all.
func splitQuery(raw string) (params map[string]string, fault string, syntax bool) {
	params = map[string]string{}
	if raw == "" {
		return params, "", false
	}
	for pair := range strings.SplitSeq(raw, "&") {
		key, value, _ := strings.Cut(pair, "=")
		name, err := url.PathUnescape(key)
		if err != nil || name == "" {
			return nil, "query", false
		}
		for i := range len(pair) {
			switch {
			case pair[i] == '+':
				return nil, name, false
			case !queryByte(pair[i]):
				return nil, name, true
			}
		}
		if _, err := url.PathUnescape(value); err != nil {
			return nil, name, false
		}
		if _, twice := params[name]; twice {
			return nil, name, false
		}
		params[name] = value
	}
	return params, "", false
}

// queryByte reports whether RFC 3986 (section 3.4) lets a byte stand in a query.
func queryByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		strings.IndexByte("-._~%!$&'()*+,;=:@/?", c) >= 0
}

// value is a parameter's value in the URL syntax of Rest.li protocol 2.0.0:
// a string, a record (name:value,…) or a list List(value,…).
type value struct {
	text   string
	fields []field // of a record
	items  []value // of a list
	kind   valueKind
}

type field struct {
	name  string
	value value
}

type valueKind uint8

const (
	stringValue valueKind = iota
	recordValue
	listValue
)

// parseValue reads one value that fills the whole text.
func parseValue(text string) (value, bool) {
	v, rest, ok := nextValue(text, 0)
	return v, ok && rest == ""
}

func nextValue(text string, depth int) (value, string, bool) {
	if depth > maxDepth {
		return value{}, "", false
	}
	if inner, ok := strings.CutPrefix(text, "List("); ok {
		return nextList(inner, depth)
	}
	if inner, ok := strings.CutPrefix(text, "("); ok {
		return nextRecord(inner, depth)
	}
	s, rest, ok := nextString(text)
	return value{text: s}, rest, ok
}

func nextList(text string, depth int) (value, string, bool) {
	v := value{kind: listValue}
	if rest, ok := strings.CutPrefix(text, ")"); ok {
		return v, rest, true
	}
	for {
		item, rest, ok := nextValue(text, depth+1)
		if !ok || rest == "" {
			return value{}, "", false
		}
		v.items = append(v.items, item)
		switch rest[0] {
		case ')':
			return v, rest[1:], true
		case ',':
			text = rest[1:]
		default:
			return value{}, "", false
		}
	}
}

func nextRecord(text string, depth int) (value, string, bool) {
	v := value{kind: recordValue}
	if rest, ok := strings.CutPrefix(text, ")"); ok {
		return v, rest, true
	}
	for {
		name, rest, ok := nextString(text)
		if !ok || !strings.HasPrefix(rest, ":") {
			return value{}, "", false
		}
		member, rest, ok := nextValue(rest[1:], depth+1)
		if !ok || rest == "" {
			return value{}, "", false
		}
		v.fields = append(v.fields, field{name, member})
		switch rest[0] {
		case ')':
			return v, rest[1:], true
		case ',':
			text = rest[1:]
		default:
			return value{}, "", false
		}
	}
}

// nextString reads a string up to the next syntax character. The empty string
// is written ”.
func nextString(text string) (string, string, bool) {
	if rest, ok := strings.CutPrefix(text, "''"); ok {
		return "", rest, true
	}
	end := strings.IndexAny(text, "(),:'")
	if end < 0 {
		end = len(text)
	}
	s, err := url.PathUnescape(text[:end])
	return s, text[end:], err == nil && end > 0
}

// params are a request's parameters while a handler reads them. The first one
// that cannot be read is remembered in bad; the handler asks for it once, at
// the end.
type params struct {
	raw     map[string]string
	read    map[string]bool
	v1      bool // Rest.li protocol 1.0.0, where complex values look otherwise
	lenient bool // Switches.AcceptEncodedUnion
	bad     string
	// doubled: a URN was percent-encoded twice. LinkedIn then finds nothing.
	doubled bool
}

func (p *params) refuse(name string) {
	if p.bad == "" {
		p.bad = name
	}
}

func (p *params) take(name string) (string, bool) {
	p.read[name] = true
	raw, ok := p.raw[name]
	return raw, ok
}

// text is a string parameter, empty when absent.
func (p *params) text(name string) string {
	raw, ok := p.take(name)
	if !ok {
		return ""
	}
	if p.v1 {
		s, err := url.PathUnescape(raw)
		if err != nil {
			p.refuse(name)
		}
		return s
	}
	v, ok := parseValue(raw)
	if !ok || v.kind != stringValue {
		p.refuse(name)
		return ""
	}
	return p.once(v.text)
}

// once notes a URN whose colons are still encoded.
func (p *params) once(s string) string {
	if len(s) > 5 && strings.EqualFold(s[:6], "urn%3A") {
		p.doubled = true
	}
	return s
}

// number is an integer parameter, otherwise when absent.
func (p *params) number(name string, otherwise int) int {
	s := p.text(name)
	if s == "" && p.raw[name] == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		p.refuse(name)
		return otherwise
	}
	return n
}

// boolean is a parameter that is true or false.
func (p *params) boolean(name string) (value, given bool) {
	switch p.text(name) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	if p.raw[name] != "" {
		p.refuse(name)
	}
	return false, false
}

// record is a flat record of strings; nil when absent or unreadable.
func (p *params) record(name string) map[string]string {
	raw, ok := p.take(name)
	if !ok {
		return nil
	}
	if p.lenient && strings.HasPrefix(raw, "%28") {
		return p.encodedRecord(name, raw, "(")
	}
	v, ok := parseValue(raw)
	if !ok {
		p.refuse(name)
		return nil
	}
	return p.members(name, v)
}

// nested is a flat record of strings that is the one member of a record.
func (p *params) nested(name, member string) map[string]string {
	raw, ok := p.take(name)
	if !ok {
		return nil
	}
	if p.lenient && strings.HasPrefix(raw, "%28") {
		return p.encodedRecord(name, raw, "("+member+":(")
	}
	v, ok := parseValue(raw)
	if !ok || v.kind != recordValue || len(v.fields) != 1 || v.fields[0].name != member {
		p.refuse(name)
		return nil
	}
	return p.members(name, v.fields[0].value)
}

// members are those of a record of strings.
func (p *params) members(name string, v value) map[string]string {
	if p.v1 || v.kind != recordValue || len(v.fields) == 0 {
		p.refuse(name)
		return nil
	}
	members := map[string]string{}
	for _, f := range v.fields {
		if _, twice := members[f.name]; twice || f.value.kind != stringValue {
			p.refuse(name)
		}
		members[f.name] = p.once(f.value.text)
	}
	return members
}

// encodedRecord reads a record that was percent-encoded as a whole, from behind
// its opening on.
func (p *params) encodedRecord(name, raw, opening string) map[string]string {
	text, err := url.PathUnescape(raw)
	text, opened := strings.CutPrefix(text, opening)
	text, closed := strings.CutSuffix(text, strings.Repeat(")", strings.Count(opening, "(")))
	if err != nil || !opened || !closed {
		p.refuse(name)
		return nil
	}
	members := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		member, value, ok := strings.Cut(part, ":")
		if !ok {
			p.refuse(name)
		}
		members[member] = p.once(value)
	}
	return members
}

// list is a list of strings.
func (p *params) list(name string) []string {
	raw, ok := p.take(name)
	if !ok {
		return nil
	}
	v, ok := parseValue(raw)
	if !ok || p.v1 || v.kind != listValue {
		p.refuse(name)
		return nil
	}
	var items []string
	for _, item := range v.items {
		if item.kind != stringValue {
			p.refuse(name)
		}
		items = append(items, item.text)
	}
	return items
}

// projection is the fields parameter.
func (p *params) projection() projection {
	raw, ok := p.take("fields")
	if !ok {
		return nil
	}
	fields, ok := parseProjection(raw)
	if !ok {
		p.refuse("fields")
	}
	return fields
}

// unknown is a parameter that the handler did not read, if there is one.
func (p *params) unknown() string {
	first := ""
	for name := range p.raw {
		if !p.read[name] && (first == "" || name < first) {
			first = name
		}
	}
	return first
}
