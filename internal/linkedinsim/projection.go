package linkedinsim

import (
	"bytes"
	"encoding/json"
	"strings"
)

// projection is the value of the fields parameter: which members of an object
// come back. An empty projection means all of them.
type projection map[string]projection

// parseProjection reads name,name:(name,…),… in its literal form.
func parseProjection(text string) (projection, bool) {
	p, rest, ok := parseFields(text, 0)
	return p, ok && rest == ""
}

func parseFields(text string, depth int) (projection, string, bool) {
	p := projection{}
	for depth < maxDepth {
		end := 0
		for end < len(text) && fieldByte(text[end]) {
			end++
		}
		if end == 0 {
			return nil, "", false
		}
		name := text[:end]
		text = text[end:]
		p[name] = projection{}
		if inner, ok := strings.CutPrefix(text, ":("); ok {
			sub, rest, ok := parseFields(inner, depth+1)
			if !ok || !strings.HasPrefix(rest, ")") {
				return nil, "", false
			}
			p[name], text = sub, rest[1:]
		}
		if !strings.HasPrefix(text, ",") {
			return p, text, true
		}
		text = text[1:]
	}
	return nil, "", false
}

func fieldByte(c byte) bool { return alphanumeric(c) || c == '_' || c == '$' || c == '*' }

// apply cuts one JSON value down to the projection. What is not JSON stays.
func (p projection) apply(text []byte) []byte {
	if len(p) == 0 {
		return text
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // ids have 19 digits
	var v any
	if d.Decode(&v) != nil {
		return text
	}
	return mustJSON(p.cut(v))
}

func (p projection) cut(v any) any {
	if len(p) == 0 {
		return v
	}
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = p.cut(v[i])
		}
	case object:
		for name := range v {
			sub, ok := p[name]
			if !ok {
				sub, ok = p["$*"]
			}
			if v[name] = sub.cut(v[name]); !ok {
				delete(v, name)
			}
		}
	}
	return v
}
