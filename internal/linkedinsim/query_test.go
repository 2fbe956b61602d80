package linkedinsim

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestQueryIsCutStrictly(t *testing.T) {
	tests := []struct {
		raw    string
		want   map[string]string
		fault  string
		syntax bool
	}{
		{raw: "", want: map[string]string{}},
		{raw: "q=owner&start=0", want: map[string]string{"q": "owner", "start": "0"}},
		{raw: "a=(b:c%3A,d:List(e,f))", want: map[string]string{"a": "(b:c%3A,d:List(e,f))"}},
		{raw: "q=a+b", fault: "q"},
		{raw: "q=a|b", fault: "q", syntax: true},
		{raw: "q=a\"b", fault: "q", syntax: true},
		{raw: "q=ä", fault: "q", syntax: true},
		{raw: "q=%zz", fault: "q"},
		{raw: "q=%4", fault: "q"},
		{raw: "%=1", fault: "query"},
		{raw: "q=1&q=2", fault: "q"},
		{raw: "q=1&&start=0", fault: "query"},
	}
	for _, tt := range tests {
		got, fault, syntax := splitQuery(tt.raw)
		if fault != tt.fault || syntax != tt.syntax || fault == "" && !reflect.DeepEqual(got, tt.want) {
			t.Errorf("splitQuery(%q) = %v, %q, %v, want %v, %q, %v", tt.raw, got, fault, syntax, tt.want, tt.fault, tt.syntax)
		}
	}
}

func TestValuesAreReadAsRestliWritesThem(t *testing.T) {
	str := func(s string) value { return value{text: s} }
	tests := []struct {
		text string
		want value
		ok   bool
	}{
		{"owner", str("owner"), true},
		{"''", str(""), true},
		{"urn%3Ali%3Aorganization%3A9000123", str("urn:li:organization:9000123"), true},
		{"a%2Bb%20c", str("a+b c"), true},
		{"(leadType:EVENT)", value{kind: recordValue, fields: []field{{"leadType", str("EVENT")}}}, true},
		{"(value:(organization:urn%3Ax))", value{kind: recordValue, fields: []field{{"value", value{kind: recordValue, fields: []field{{"organization", str("urn:x")}}}}}}, true},
		{"List(1,2)", value{kind: listValue, items: []value{str("1"), str("2")}}, true},
		{"List()", value{kind: listValue}, true},
		{"()", value{kind: recordValue}, true},
		{"List((a:1),List())", value{kind: listValue, items: []value{{kind: recordValue, fields: []field{{"a", str("1")}}}, {kind: listValue}}}, true},
		{text: ""}, {text: "urn:li:organization:1"}, {text: "(organization:urn:li:organization:1)"},
		{text: "(a:1"}, {text: "(a)"}, {text: "(:1)"}, {text: "(a:)"}, {text: "List(1"}, {text: "List(,)"}, {text: "a,b"}, {text: "it's"},
		{text: "(a:1)x"}, {text: "a%zz"}, {text: strings.Repeat("(a:", 40) + "1" + strings.Repeat(")", 40)},
	}
	for _, tt := range tests {
		got, ok := parseValue(tt.text)
		if ok != tt.ok || ok && !reflect.DeepEqual(got, tt.want) {
			t.Errorf("parseValue(%q) = %+v, %v, want %+v, %v", tt.text, got, ok, tt.want, tt.ok)
		}
	}
}

// write is the value in Rest.li's URL syntax: an encoder that shares nothing
// with the parser.
func (v value) write() string {
	switch v.kind {
	case recordValue:
		var parts []string
		for _, f := range v.fields {
			parts = append(parts, escape(f.name)+":"+f.value.write())
		}
		return "(" + strings.Join(parts, ",") + ")"
	case listValue:
		var parts []string
		for _, item := range v.items {
			parts = append(parts, item.write())
		}
		return "List(" + strings.Join(parts, ",") + ")"
	default: // stringValue
		return escape(v.text)
	}
}

func escape(s string) string {
	if s == "" {
		return "''"
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// String is the projection in a fixed order.
func (p projection) String() string {
	var b strings.Builder
	for i, name := range slices.Sorted(maps.Keys(p)) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(name)
		if len(p[name]) > 0 {
			b.WriteString(":(" + p[name].String() + ")")
		}
	}
	return b.String()
}

// FuzzQuery: whatever parses, written anew, parses to the same value; and what
// is written can stand in a query.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"q=owner&owner=(organization:urn%3Ali%3Aorganization%3A9000123)&start=0", "ids=List(1,2)", "a=''", "a=(b:List(),c:(d:e))", "fields=id,form:(name)",
		"q=a+b", "q=%", "=", "&", "a=List(", "a=(''" + ":1)",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		params, fault, _ := splitQuery(raw)
		if (params == nil) != (fault != "") {
			t.Fatalf("splitQuery(%q) = %v, %q: either parameters or a fault", raw, params, fault)
		}
		for _, text := range params {
			if v, ok := parseValue(text); ok {
				again, ok := parseValue(v.write())
				if !ok || !reflect.DeepEqual(v, again) {
					t.Fatalf("%q is %+v, written %q is %+v", text, v, v.write(), again)
				}
				if _, fault, _ := splitQuery("x=" + v.write()); fault != "" {
					t.Fatalf("%q cannot stand in a query", v.write())
				}
			}
			if p, ok := parseProjection(text); ok {
				again, ok := parseProjection(p.String())
				if !ok || !reflect.DeepEqual(p, again) {
					t.Fatalf("projection %q is %v, written %q is %v", text, p, p.String(), again)
				}
			}
		}
	})
}

func TestProjectionCutsObjects(t *testing.T) {
	const object = `{"id":7130000000000000001,"name":"x","content":{"questions":[{"name":"a","questionId":1},{"name":"b","questionId":2}],"headline":{"localized":{"en_US":"h"}}}}`
	tests := []struct {
		fields, want string
		ok           bool
	}{
		{"id", `{"id":7130000000000000001}`, true},
		{"id,content:(questions:(name))", `{"id":7130000000000000001,"content":{"questions":[{"name":"a"},{"name":"b"}]}}`, true},
		{"content:(headline:(localized:($*)))", `{"content":{"headline":{"localized":{"en_US":"h"}}}}`, true},
		{"nothing", `{}`, true},
		{fields: ""}, {fields: "id,"}, {fields: "id:name"}, {fields: "form:(id"}, {fields: "id%2Cname"}, {fields: "form:()"},
	}
	for _, tt := range tests {
		p, ok := parseProjection(tt.fields)
		if ok != tt.ok {
			t.Errorf("parseProjection(%q) ok = %v, want %v", tt.fields, ok, tt.ok)
		} else if ok {
			wantJSON(t, tt.fields, p.apply([]byte(object)), []byte(tt.want))
		}
	}
}
