package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// node is a part of an answer, of whatever shape it came in: what is not as expected
// counts as absent. Nothing of it is shown but what tells how LinkedIn writes.
type node struct{ value any }

// at is the member below these names.
func (n node) at(names ...string) node {
	for _, name := range names {
		members, _ := n.value.(map[string]any)
		n = node{members[name]}
	}
	return n
}

func (n node) there() bool { return n.value != nil }

func (n node) isTrue() bool { return n.value == true }

func (n node) text() string {
	text, _ := n.value.(string)
	return text
}

// digits is an id or a number, which LinkedIn writes as a number or as a string.
func (n node) digits() string {
	if number, ok := n.value.(json.Number); ok {
		return number.String()
	}
	return n.text()
}

// whole is a whole number; -1 for anything else.
func (n node) whole() int {
	number, err := strconv.ParseFloat(n.digits(), 64)
	if err != nil || number < 0 || number >= 1<<31 || number != float64(int(number)) {
		return -1
	}
	return int(number)
}

func (n node) list() (list []node) {
	elements, _ := n.value.([]any)
	for _, e := range elements {
		list = append(list, node{e})
	}
	return list
}

func (n node) id() string { return n.at("id").digits() }

// millis is when a lead was submitted; 0 when that cannot be read.
func (n node) millis() int64 {
	number, err := strconv.ParseFloat(n.at("submittedAt").digits(), 64)
	if err != nil {
		return 0
	}
	return int64(number)
}

// form is the form that a lead answered; none when that cannot be read.
func (n node) form() lead.FormRef {
	ref, _ := lead.ParseFormURN(n.at("versionedLeadGenFormUrn").text()) // the lead is of no use for it
	return ref
}

// event is the URN of a lead's event, and the member that holds it.
func (n node) event() (key, urn string) {
	members, _ := n.at("associatedEntity").value.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if text, ok := members[name].(string); ok && strings.HasPrefix(text, "urn:li:event:") {
			key, urn = name, text
		}
	}
	return key, urn
}

// page is a page of a finder.
type page struct {
	total, count int // of its paging; -1 where they are absent
	elements     []node
}

// has reports whether a lead is on the page.
func (p *page) has(one node) bool {
	return slices.ContainsFunc(p.elements, func(r node) bool { return r.id() == one.id() && r.millis() == one.millis() })
}

// mostElements is above the largest page that a probe asks for.
const mostElements = 1000

// decode reads JSON; numbers stay as they were written.
func decode(text []byte) (node, error) {
	var n node
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err := d.Decode(&n.value)
	return n, err
}

// decodePage reads a page; problem says that it is none.
func decodePage(body []byte) (p *page, problem string) {
	var answer struct {
		Paging   json.RawMessage
		Elements []json.RawMessage
	}
	err := json.Unmarshal(body, &answer)
	switch {
	case err != nil && !fault.Has[*json.UnmarshalTypeError](err):
		return nil, "it is not JSON from end to end"
	case !strings.HasPrefix(strings.TrimSpace(string(body[:min(len(body), 64)])), "{"):
		return nil, "it is not a JSON object"
	case answer.Elements == nil:
		return nil, "there are no elements in it"
	case len(answer.Elements) > mostElements:
		return nil, fmt.Sprintf("it holds more elements than any page that is asked for: %d", len(answer.Elements))
	}
	paging, _ := decode(answer.Paging) // without one, nothing of it is there
	p = &page{total: paging.at("total").whole(), count: paging.at("count").whole()}
	for _, text := range answer.Elements {
		one, _ := decode(text) // JSON, since all of it is
		p.elements = append(p.elements, one)
	}
	return p, ""
}
