package linkedin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"leadstream/internal/lead"
)

const responsesPath = "/rest/leadFormResponses"

// Responses gives fn all responses of the source that were submitted in w, page
// by page as they arrive, in LinkedIn's order (newest first, as a rule). When it
// returns nil, fn was given every response that LinkedIn showed throughout the
// call. fn is called in the caller's goroutine, one page at a time; an error of
// fn ends the call and is returned as it is. fn must be idempotent: a list that
// changed while it was read is read again, and its rows are given again.
//
// An element whose time cannot be read is given with whatever window, marked
// Unreadable. One that is not what was asked for (of another time, owner or lead
// type) is left to the question that it belongs to where LinkedIn shows it there;
// else it is given, marked Contradicts. An answer that holds nothing but such
// elements is an *AnswerError.
//
// The texts and Raw of a page's responses share one block of memory: who keeps
// one text for long keeps the page, and should clone it.
//
// With limit > 0 a window whose rows weigh more (lead.Response.Weight) ends early
// with a *TooManyError: after the first page when LinkedIn tells the total, else by
// counting. An empty window costs no request, one in which LinkedIn has nothing
// exactly one.
//
// Errors: *TooManyError, *BudgetError, *APIError, *AnswerError, *TransportError,
// *ScanError, and those of fn and ctx.
func (c *Client) Responses(ctx context.Context, src lead.Source, w lead.Window, limit int, fn func([]lead.Response) error) error {
	if w.Empty() {
		return nil
	}
	f := c.newFilter(src, w, limit, fn)
	s := scan[lead.Response]{
		endpoint: EndpointResponses,
		fetch: func(ctx context.Context, start, count int) (*page[lead.Response], error) {
			return c.responsePage(ctx, responsesRequest(src, w, start, count), src, start, count)
		},
		long: func(ctx context.Context, start int, said error) (*page[lead.Response], error) {
			return c.longRow(ctx, src, w, start, said)
		},
		give: f.give,
		more: func(ctx context.Context, total int) error { return c.doubtEnd(ctx, f, total) },
	}
	if err := s.run(ctx, c); err != nil {
		return err
	}
	return c.settle(underWay(ctx), f)
}

// responsesRequest asks for one page. The range asked for begins a millisecond
// early: whether LinkedIn's bounds count or not, it holds the whole window.
func responsesRequest(src lead.Source, w lead.Window, start, count int) request {
	from, to := askedRange(w)
	return request{endpoint: EndpointResponses, path: responsesPath, who: src.String(), params: []param{
		{"q", text("owner")},
		{"owner", record{{ownerUnion(src.Owner), text(src.Owner)}}},
		{"leadType", record{{"leadType", text(src.Type)}}},
		{"submittedAtTimeRange", record{{"start", number(from)}, {"end", number(to)}}},
		{"start", number(int64(start))},
		{"count", number(int64(count))},
	}}
}

// askedRange is the range that is asked for to read a window, in epoch
// milliseconds.
func askedRange(w lead.Window) (from, to int64) {
	return max(w.From.UnixMilli()-1, 0), w.To.Add(time.Millisecond - 1).UnixMilli()
}

// responsePage reads the page that q asks for.
func (c *Client) responsePage(ctx context.Context, q request, src lead.Source, start, count int) (*page[lead.Response], error) {
	var p *page[lead.Response]
	err := c.do(ctx, q, func(body []byte) (problem string, err error) {
		d := responses{source: src, fetched: time.Now().UTC()}
		p = &page[lead.Response]{start: start, asked: count, rows: make([]lead.Response, 0, count), keys: make([]uint64, 0, count)}
		return decodePage(newReader(body), p, d.decode)
	})
	if err != nil {
		return nil, err
	}
	if count > leastPage && lead.Weigh(p.rows) > heavyPage {
		return nil, &AnswerError{Endpoint: q.endpoint, Status: http.StatusOK, Problem: "its rows take too much memory at once", tooLong: true}
	}
	return p, nil
}

// heavyPage is the weight of a page above which fewer rows are asked for: several
// pages are in memory at once.
const heavyPage = 1000

// ownerUnion is the member of the owner union that an owner's URN belongs in.
func ownerUnion(urn string) string {
	if strings.HasPrefix(urn, "urn:li:sponsoredAccount:") {
		return "sponsoredAccount"
	}
	return "organization"
}

func number(n int64) text { return text(strconv.FormatInt(n, 10)) }

// Response reads one response by its id, or by its URN. One that was deleted,
// or is not ours to read, is an *APIError of kind Suspend. One that is too long is
// given as Unreadable.
func (c *Client) Response(ctx context.Context, id string) (lead.Response, error) {
	id = strings.TrimPrefix(id, responsePrefix)
	out, err := c.oneResponse(ctx, responseRequest(id), id)
	if isTooLong(err) {
		q := responseRequest(id)
		q.params = []param{{"fields", whichLead}}
		if out, err = c.oneResponse(ctx, q, id); err == nil {
			tooLong(&out)
		}
	}
	if err != nil {
		return lead.Response{}, fmt.Errorf("reading response %s: %w", id, err)
	}
	c.judge(&out)
	return out, nil
}

// judge marks a response that was submitted at no time at which a lead can have been.
func (c *Client) judge(r *lead.Response) {
	if t := r.SubmittedAt; !t.IsZero() && !c.conceivable(lead.Window{}).Contains(t) {
		contradict(r, noTimeOfALead)
	}
}

// Kept reads an element that was kept as it came, held to the same as one that LinkedIn shows
// now. See Parse.
func (c *Client) Kept(element []byte) lead.Response {
	r := Parse(element)
	c.judge(&r)
	return r
}

func (c *Client) oneResponse(ctx context.Context, q request, id string) (out lead.Response, err error) {
	err = c.do(ctx, q, func(body []byte) (string, error) {
		d := responses{fetched: time.Now().UTC()}
		r := newReader(body)
		if problem, err := r.object(); problem != "" {
			return problem, err
		}
		if out, _ = d.decode(r); out.ID != "" && out.ID != id {
			return "it is not the response asked for", nil
		}
		return "", nil
	})
	return out, err
}

// Parse reads an element of leadFormResponses that was kept as it came. It
// never fails: what cannot be read is told by the Response itself, which shares
// the element's memory.
func Parse(element []byte) lead.Response {
	d := responses{fetched: time.Now().UTC()}
	r := newReader(element)
	out, _ := d.decode(r)
	if r.end() != nil {
		out.Raw, out.Unreadable = element, "the element is not JSON from end to end"
	}
	return out
}

const responsePrefix = "urn:li:leadGenFormResponse:"

func responseRequest(id string) request {
	id = strings.TrimPrefix(id, responsePrefix)
	return request{endpoint: EndpointResponses, path: responsesPath + "/" + encodeKey(id)}
}

// Me asks for something that every token may be refused but no dead one is: nil
// says that LinkedIn accepts the token, whether or not it may read the member's
// profile.
func (c *Client) Me(ctx context.Context) error {
	err := c.do(ctx, request{endpoint: EndpointMe, path: "/v2/me"}, ignore)
	if e := (*APIError)(nil); errors.As(err, &e) && e.Denied() {
		return nil
	}
	if err != nil {
		return fmt.Errorf("asking for the member: %w", err)
	}
	return nil
}
