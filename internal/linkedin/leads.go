package linkedin

import (
	"context"
	"errors"
	"fmt"
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
// Unreadable. The texts and Raw of a page's responses share one block of
// memory: who keeps one text for long keeps the page, and should clone it.
//
// With limit > 0 a window that holds more rows ends early with a *TooManyError:
// after the first page when LinkedIn tells the total, else by counting. An empty
// window costs no request, one in which LinkedIn has nothing exactly one.
//
// Errors: *TooManyError, *BudgetError, *APIError, *AnswerError, *TransportError,
// *ScanError, and those of fn and ctx.
func (c *Client) Responses(ctx context.Context, src lead.Source, w lead.Window, limit int, fn func([]lead.Response) error) error {
	if w.Empty() {
		return nil
	}
	f := &filter{source: src, window: w, limit: limit, fn: fn}
	s := scan[lead.Response]{
		endpoint: EndpointResponses,
		fetch: func(ctx context.Context, start, count int) (*page[lead.Response], error) {
			return c.responsePage(ctx, src, w, start, count)
		},
		give: f.give,
	}
	return s.run(ctx, c)
}

// responsePage reads one page. The range asked for begins a millisecond early:
// whether LinkedIn's bounds count or not, it holds the whole window.
func (c *Client) responsePage(ctx context.Context, src lead.Source, w lead.Window, start, count int) (*page[lead.Response], error) {
	from := max(w.From.UnixMilli()-1, 0)
	to := w.To.Add(time.Millisecond - 1).UnixMilli()
	q := request{endpoint: EndpointResponses, path: responsesPath, who: src.String(), params: []param{
		{"q", text("owner")},
		{"owner", record{{ownerUnion(src.Owner), text(src.Owner)}}},
		{"leadType", record{{"leadType", text(src.Type)}}},
		{"submittedAtTimeRange", record{{"start", number(from)}, {"end", number(to)}}},
		{"start", number(int64(start))},
		{"count", number(int64(count))},
	}}
	var p *page[lead.Response]
	err := c.do(ctx, q, func(body []byte) (problem string, err error) {
		d := responses{source: src, fetched: time.Now().UTC()}
		p = &page[lead.Response]{start: start, asked: count, rows: make([]lead.Response, 0, count), keys: make([]uint64, 0, count)}
		return decodePage(newReader(body), p, d.decode)
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// ownerUnion is the member of the owner union that an owner's URN belongs in.
func ownerUnion(urn string) string {
	if strings.HasPrefix(urn, "urn:li:sponsoredAccount:") {
		return "sponsoredAccount"
	}
	return "organization"
}

func number(n int64) text { return text(strconv.FormatInt(n, 10)) }

// filter passes the rows of a window on and counts them.
type filter struct {
	source lead.Source
	window lead.Window
	limit  int
	fn     func([]lead.Response) error

	seen           int // rows of the window, in this reading
	oldest, newest time.Time
}

// give passes a page's rows on, and ends the reading when there are too many.
func (f *filter) give(start, total int, rows []lead.Response) error {
	if start == 0 {
		f.seen, f.oldest, f.newest = 0, time.Time{}, time.Time{}
	}
	full := len(rows)
	rows = f.inside(rows)
	f.seen += len(rows)
	if len(rows) > 0 {
		if err := f.fn(rows); err != nil {
			return err
		}
	}
	// A first page that is all but empty tells more than the total above it.
	told := start == 0 && total > f.limit && full >= leastPage
	if f.limit > 0 && (told || f.seen > f.limit) {
		return &TooManyError{Source: f.source, Window: f.window, AtLeast: f.seen, Estimate: f.estimate(total)}
	}
	return nil
}

// inside are the rows of the window, and those that tell no time.
func (f *filter) inside(rows []lead.Response) []lead.Response {
	kept := rows[:0]
	for _, r := range rows {
		if t := r.SubmittedAt; !t.IsZero() {
			if !f.window.Contains(t) {
				continue
			}
			if f.oldest.IsZero() || t.Before(f.oldest) {
				f.oldest = t
			}
			if t.After(f.newest) {
				f.newest = t
			}
		}
		kept = append(kept, r)
	}
	return kept
}

// estimate is how many rows the window holds.
func (f *filter) estimate(total int) int {
	if total > f.seen {
		return total
	}
	span := max(f.newest.Sub(f.oldest), time.Millisecond)
	return max(f.seen, int(min(float64(f.seen)*float64(f.window.Length())/float64(span), 1e8)))
}

// Response reads one response by its id, or by its URN. One that was deleted,
// or is not ours to read, is an *APIError of kind Suspend.
func (c *Client) Response(ctx context.Context, id string) (lead.Response, error) {
	var out lead.Response
	err := c.do(ctx, responseRequest(id), func(body []byte) (string, error) {
		d := responses{fetched: time.Now().UTC()}
		r := newReader(body)
		if problem, err := r.object(); problem != "" {
			return problem, err
		}
		out, _ = d.decode(r)
		return "", nil
	})
	if err != nil {
		return lead.Response{}, fmt.Errorf("reading response %s: %w", id, err)
	}
	return out, nil
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

func responseRequest(id string) request {
	id = strings.TrimPrefix(id, "urn:li:leadGenFormResponse:")
	return request{endpoint: EndpointResponses, path: responsesPath + "/" + encodeKey(id)}
}

// Me asks for something that every token may be refused but no dead one is: nil
// says that LinkedIn accepts the token, whether or not it may read the member's
// profile.
func (c *Client) Me(ctx context.Context) error {
	err := c.do(ctx, request{endpoint: EndpointMe, path: "/v2/me"}, ignore)
	if e := (*APIError)(nil); errors.As(err, &e) && e.denied() {
		return nil
	}
	if err != nil {
		return fmt.Errorf("asking for the member: %w", err)
	}
	return nil
}
