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
func splitQuery(raw string) (params map[string]string, bad string, syntax bool) {
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
			if pair[i] == '+' || !queryByte(pair[i]) {
				return nil, name, pair[i] != '+'
			}
		}
		_, err = url.PathUnescape(value)
		if _, twice := params[name]; twice || err != nil {
			return nil, name, false
		}
		params[name] = value
	}
	return params, "", false
}

// queryByte reports whether RFC 3986 (section 3.4) lets a byte stand in a query.
func queryByte(c byte) bool {
	return alphanumeric(c) || strings.IndexByte("-._~%!$&'()*+,;=:@/?", c) >= 0
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
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

const maxDepth = 16 // of complex values and of projections

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
		return nextMembers(value{kind: listValue}, inner, depth)
	}
	if inner, ok := strings.CutPrefix(text, "("); ok {
		return nextMembers(value{kind: recordValue}, inner, depth)
	}
	s, rest, ok := nextString(text)
	return value{text: s}, rest, ok
}

// nextMembers reads the items of a list or the fields of a record, behind its
// opening bracket.
func nextMembers(v value, text string, depth int) (value, string, bool) {
	if rest, ok := strings.CutPrefix(text, ")"); ok {
		return v, rest, true
	}
	for {
		name := ""
		if v.kind == recordValue {
			var ok bool
			if name, text, ok = nextString(text); !ok || !strings.HasPrefix(text, ":") {
				return value{}, "", false
			}
			text = text[1:]
		}
		item, rest, ok := nextValue(text, depth+1)
		if !ok || rest == "" {
			return value{}, "", false
		}
		if v.kind == recordValue {
			v.fields = append(v.fields, field{name, item})
		} else {
			v.items = append(v.items, item)
		}
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

// text reads a string.
func (c *call) text(raw string) (string, bool) {
	if c.v1 {
		s, err := url.PathUnescape(raw)
		return s, err == nil
	}
	v, ok := parseValue(raw)
	return c.once(v.text), ok && v.kind == stringValue
}

// once notes a URN whose colons are still encoded.
func (c *call) once(s string) string {
	c.doubled = c.doubled || len(s) > 5 && strings.EqualFold(s[:6], "urn%3A")
	return s
}

// number reads a number that is not negative.
func (c *call) number(to *int, raw string) bool {
	if c.v1 && raw == "" {
		return true
	}
	s, ok := c.text(raw)
	n, err := strconv.Atoi(s)
	*to = n
	return ok && err == nil && n >= 0
}

// boolean reads true or false.
func (c *call) boolean(to *bool, raw string) bool {
	if c.v1 && raw == "" {
		return true
	}
	s, ok := c.text(raw)
	*to = s == "true"
	return ok && (s == "true" || s == "false")
}

// record reads a record of strings, which is never empty. With a wrapper it is
// the one member, of that name, of another record.
func (c *call) record(raw, wrapper string) (map[string]string, bool) {
	if c.w.switches.AcceptEncodedUnion && strings.HasPrefix(raw, "%28") {
		return c.encodedRecord(raw, wrapper)
	}
	v, ok := parseValue(raw)
	if wrapper != "" {
		if !ok || len(v.fields) != 1 || v.fields[0].name != wrapper {
			return nil, false
		}
		v = v.fields[0].value
	}
	ok = ok && !c.v1 && len(v.fields) > 0
	members := map[string]string{}
	for _, f := range v.fields {
		_, twice := members[f.name]
		ok = ok && !twice && f.value.kind == stringValue
		members[f.name] = c.once(f.value.text)
	}
	return members, ok
}

// encodedRecord reads a record that was percent-encoded as a whole.
func (c *call) encodedRecord(raw, wrapper string) (map[string]string, bool) {
	open, end := "(", ")"
	if wrapper != "" {
		open, end = "("+wrapper+":(", "))"
	}
	text, err := url.PathUnescape(raw)
	text, opened := strings.CutPrefix(text, open)
	text, closed := strings.CutSuffix(text, end)
	ok := err == nil && opened && closed
	members := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		member, value, found := strings.Cut(part, ":")
		ok = ok && found
		members[member] = c.once(value)
	}
	return members, ok
}

// strings reads a list of strings.
func (c *call) strings(raw string) (items []string, ok bool) {
	v, ok := parseValue(raw)
	for _, item := range v.items {
		ok = ok && item.kind == stringValue
		items = append(items, item.text)
	}
	return items, ok && !c.v1 && v.kind == listValue
}
