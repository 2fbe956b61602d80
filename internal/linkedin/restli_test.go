package linkedin

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestEncodesAsLinkedInDocuments takes its cases from LinkedIn's pages on the
// protocol version and the Lead Sync API.
func TestEncodesAsLinkedInDocuments(t *testing.T) {
	tests := []struct {
		param param
		want  string
	}{
		{param{"owner", record{{"organization", text("urn:li:organization:9000123")}}},
			"owner=(organization:urn%3Ali%3Aorganization%3A9000123)"},
		{param{"leadType", record{{"leadType", text("EVENT")}}}, "leadType=(leadType:EVENT)"},
		{param{"submittedAtTimeRange", record{{"start", number(1792800000000)}, {"end", number(1793012400000)}}},
			"submittedAtTimeRange=(start:1792800000000,end:1793012400000)"},
		{param{"organizer", text("urn:li:organization:9000123")}, "organizer=urn%3Ali%3Aorganization%3A9000123"},
		{param{"timeBasedFilter", record{{"lifeCycleState", text("UPCOMING")}}}, "timeBasedFilter=(lifeCycleState:UPCOMING)"},
		{param{"versionedLeadGenFormUrn", text("urn:li:versionedLeadGenForm:(urn:li:leadGenForm:7130000000000000001,1)")},
			"versionedLeadGenFormUrn=urn%3Ali%3AversionedLeadGenForm%3A%28urn%3Ali%3AleadGenForm%3A7130000000000000001%2C1%29"},
		{param{"fields", mask("id,submittedAt,formResponse,form:(name,id,content)")},
			"fields=id,submittedAt,formResponse,form:(name,id,content)"},
		{param{"x", text("")}, "x=''"},
		{param{"x", text("''")}, "x=%27%27"},
		{param{"x", text("a b+c|d%3Aé")}, "x=a%20b%2Bc%7Cd%253A%C3%A9"},
	}
	for _, tt := range tests {
		if got := encodeQuery([]param{tt.param}); got != tt.want {
			t.Errorf("encoded\n got %s\nwant %s", got, tt.want)
		}
	}
	if got, want := encodeKey("urn:li:x:(1,2)"), "urn%3Ali%3Ax%3A%281%2C2%29"; got != want {
		t.Errorf("path key = %s, want %s", got, want)
	}
}

// TestAnEncodedRequestStaysAsItIs: net/http must send the query and the path's
// keys byte for byte.
func TestAnEncodedRequestStaysAsItIs(t *testing.T) {
	c := newTestClient(t, nil, Options{})
	q := request{path: "/rest/x/" + encodeKey("a:(b)"), params: []param{{"owner", record{{"organization", text("urn:li:organization:1")}}}}}
	req, err := c.build(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := req.URL.RequestURI(), "/rest/x/a%3A%28b%29?owner=(organization:urn%3Ali%3Aorganization%3A1)"; got != want {
		t.Errorf("request = %s, want %s", got, want)
	}
}

// decodeValue is a decoder of Rest.li values written for the test alone.
func decodeValue(s string) (v any, rest string, err error) {
	if strings.HasPrefix(s, "(") {
		out := [][2]any{}
		for s = s[1:]; ; s = s[1:] {
			if len(out) == 0 && strings.HasPrefix(s, ")") {
				return out, s[1:], nil
			}
			var k, e any
			if k, s, err = decodeValue(s); err != nil || !strings.HasPrefix(s, ":") {
				return nil, s, fmt.Errorf("key before %q: %w", s, err)
			}
			if e, s, err = decodeValue(s[1:]); err != nil {
				return nil, s, err
			}
			if out = append(out, [2]any{k, e}); strings.HasPrefix(s, ")") {
				return out, s[1:], nil
			} else if !strings.HasPrefix(s, ",") {
				return nil, s, fmt.Errorf("record goes on with %q", s)
			}
		}
	}
	end := strings.IndexAny(s, "():,")
	if end < 0 {
		end = len(s)
	}
	if s[:end] == "''" {
		return "", s[end:], nil
	}
	leaf, err := url.PathUnescape(s[:end])
	return leaf, s[end:], err
}

// plain is a value as the test's decoder gives it.
func plain(v value) any {
	switch v := v.(type) {
	case text:
		return string(v)
	case record:
		out := [][2]any{}
		for _, f := range v {
			out = append(out, [2]any{f.key, plain(f.value)})
		}
		return out
	}
	return nil
}

// grow makes a value out of the fuzzer's bytes.
func grow(seed []byte, depth int) (value, []byte) {
	if len(seed) == 0 {
		return text(""), nil
	}
	n, seed := int(seed[0]), seed[1:]
	if depth > 3 || n%4 < 2 {
		end := min(n/4, len(seed))
		return text(seed[:end]), seed[end:]
	}
	out := record{}
	for range n / 4 % 4 {
		var k, v value
		k, seed = grow(seed, 9)
		v, seed = grow(seed, depth+1)
		out = append(out, field{string(k.(text)), v})
	}
	return out, seed
}

func FuzzEncodedValuesDecodeToTheSame(f *testing.F) {
	f.Add([]byte("\x10urn:li:organization:1"))
	f.Add([]byte("\x0f\x10key(\x10'':,)|+"))
	f.Add([]byte("\x0e\x00\x02\x03\xff\xfe"))
	f.Fuzz(func(t *testing.T, seed []byte) {
		v, _ := grow(seed, 0)
		encoded := encodeQuery([]param{{"p", v}})
		for i := range len(encoded) {
			if c := encoded[i]; c >= utf8.RuneSelf || !unreserved(c) && !strings.ContainsRune("=%():,'", rune(c)) {
				t.Fatalf("byte %q in %s", c, encoded)
			}
		}
		got, rest, err := decodeValue(strings.TrimPrefix(encoded, "p="))
		if err != nil || rest != "" {
			t.Fatalf("%s does not decode: %v, left %q", encoded, err, rest)
		}
		if want := plain(v); !reflect.DeepEqual(got, want) {
			t.Fatalf("%s decodes to %#v, want %#v", encoded, got, want)
		}
	})
}
