package linkedinsim

import (
	"encoding/json"
	"strconv"
	"strings"
)

const defaultCount = 10 // API guide, pagination

// span is which part of a list a request asks for.
type span struct{ start, count int }

// span reads start and count; count may be at most limit.
func (c *call) span(limit int) span {
	s := span{c.query.number("start", 0), c.query.number("count", defaultCount)}
	if s.count > limit || s.count == 0 {
		c.query.refuse("count")
	}
	return s
}

// cut is the part of list that s asks for.
func cut[T any](list []T, s span) []T {
	from := min(s.start, len(list))
	return list[from:min(from+s.count, len(list))]
}

// pageHead appends the beginning of a page up to its elements. given is how
// many elements follow, total how many rows the list has; hasTotal is false for
// a resource that never says it.
func (c *call) pageHead(dst []byte, s span, given, total int, hasTotal bool) []byte {
	dst = append(strconv.AppendInt(append(dst, `{"paging":{"start":`...), int64(s.start), 10), `,"count":`...)
	dst = append(strconv.AppendInt(dst, int64(s.count), 10), `,"links":[`...)
	dst = c.links(dst, s, given, total)
	dst = append(dst, ']')
	if hasTotal && c.sw.Total != "absent" {
		switch c.sw.Total {
		case "low":
			total = given
		case "high":
			total += 37
		}
		dst = strconv.AppendInt(append(dst, `,"total":`...), int64(total), 10)
	}
	return append(dst, `},"elements":[`...)
}

// links appends the links to the pages before and after. A short page has no
// next link by default, even when rows follow.
func (c *call) links(dst []byte, s span, given, total int) []byte {
	if c.sw.Links == "none" {
		return dst
	}
	more := s.start+s.count < total
	if c.sw.Links == "" {
		more = more && given == s.count
	}
	if s.start > 0 {
		dst = append(dst, c.link("prev", max(0, s.start-s.count), s.count)...)
		if more {
			dst = append(dst, ',')
		}
	}
	if more {
		dst = append(dst, c.link("next", s.start+s.count, s.count)...)
	}
	return dst
}

func (c *call) link(rel string, start, count int) []byte {
	var href strings.Builder
	href.WriteString(c.r.URL.EscapedPath() + "?")
	for pair := range strings.SplitSeq(c.raw, "&") {
		if !strings.HasPrefix(pair, "start=") && !strings.HasPrefix(pair, "count=") {
			href.WriteString(pair + "&")
		}
	}
	href.WriteString("start=" + strconv.Itoa(start) + "&count=" + strconv.Itoa(count))
	return mustJSON(struct {
		Rel  string `json:"rel"`
		Href string `json:"href"`
		Type string `json:"type"`
	}{rel, href.String(), "application/json"})
}

// page is the reply of a finder over elements that are rendered already.
func (c *call) page(elements []json.RawMessage, s span, hasTotal bool) *answer {
	if c.query.bad != "" {
		return badParam(c.query.bad)
	}
	shown := cut(elements, s)
	body := c.pageHead(nil, s, len(shown), len(elements), hasTotal)
	for i, e := range shown {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, e...)
	}
	return &answer{status: 200, body: append(body, "]}"...)}
}

// batch is the reply to a BATCH_GET: what was found, and a status for the rest.
func batch(found map[string]json.RawMessage, missing map[string]int) *answer {
	statuses, errors := map[string]int{}, map[string]any{}
	for id, status := range missing {
		statuses[id] = status
		errors[id] = json.RawMessage(refusal(status, "The entity").body)
	}
	return jsonAnswer(map[string]any{"results": found, "statuses": statuses, "errors": errors})
}
