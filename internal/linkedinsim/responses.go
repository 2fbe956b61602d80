package linkedinsim

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// findResponses is leadFormResponses?q=owner. It leaves out the rows of a page
// that LinkedIn drops at this point, which is what makes a page short.
func findResponses(c *call) *answer {
	if !c.may(c.owner, leadRoles(c.kind)) {
		return c.noRole()
	}
	_, told := c.params["limitedToTestLeads"]
	if sw := c.w.switches.TestLeads; c.onlyTests || sw == "omitted_excludes" || sw == "false_excludes" && told {
		c.keep = append(c.keep, func(r *row) bool { return r.flags.has(flagTest) == c.onlyTests })
	}
	rows, total := c.w.find(source{c.owner, c.kind}, c.selection)
	shown := slices.DeleteFunc(rows, func(n uint32) bool { return c.w.rows[n].flags.has(flagFiller) })
	return c.page(len(shown), total, func(dst []byte, i int) []byte { return c.appendElement(dst, shown[i]) })
}

// getResponse is leadFormResponses/{id}. What the member may not read looks as
// if it were not there.
func getResponse(c *call) *answer {
	const what = "Lead form response"
	n, found := c.w.single(c.key)
	switch {
	case !found:
		return notFound(what)
	case c.w.rows[n].deleted != 0:
		return unreadable(cmp.Or(c.w.switches.DeletedStatus, http.StatusNotFound), what)
	case !c.may(c.w.rows[n].version.org, leadRoles(c.w.rows[n].kind)):
		return c.noRole()
	}
	return success(c.appendElement(nil, n))
}

// list is the page that the request asks for of what was found.
func (c *call) list(found [][]byte) *answer {
	from := min(c.start, len(found))
	shown := found[from:min(from+c.count, len(found))]
	return c.page(len(shown), len(found), func(dst []byte, i int) []byte { return append(dst, shown[i]...) })
}

// page answers with a page of so many elements, out of so many rows.
func (c *call) page(given, total int, element func(dst []byte, i int) []byte) *answer {
	body := fmt.Appendf(make([]byte, 0, 512+2048*given), `{"paging":{"start":%d,"count":%d,"links":%s`, c.start, c.count, mustJSON(c.links(given, total)))
	// Roles and organizations never have a total.
	if !strings.HasPrefix(c.at.endpoint, "organization") && c.w.switches.Total != "absent" {
		switch c.w.switches.Total {
		case "low":
			total = given
		case "high":
			total += 37
		}
		body = fmt.Appendf(body, `,"total":%d`, total)
	}
	body = append(body, `},"elements":[`...)
	start := len(body)
	for i := range given {
		body = element(comma(body, start), i)
	}
	return success(append(body, "]}"...))
}

// links lead to the pages before and after. A short page has no next link by
// default, even when rows follow.
func (c *call) links(given, total int) []object {
	links := []object{}
	if c.w.switches.Links == "none" {
		return links
	}
	add := func(rel string, start int) {
		href := c.r.URL.EscapedPath() + "?"
		for pair := range strings.SplitSeq(c.raw, "&") {
			if !strings.HasPrefix(pair, "start=") && !strings.HasPrefix(pair, "count=") {
				href += pair + "&"
			}
		}
		links = append(links, object{"rel": rel, "href": fmt.Sprintf("%sstart=%d&count=%d", href, start, c.count), "type": "application/json"})
	}
	if c.start > 0 {
		add("prev", max(0, c.start-c.count))
	}
	if c.start+c.count < total && (given == c.count || c.w.switches.Links != "") {
		add("next", c.start+c.count)
	}
	return links
}
