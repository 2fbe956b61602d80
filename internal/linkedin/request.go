package linkedin

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/fault"
)

// request is one question to the API.
type request struct {
	endpoint string // label
	path     string // below APIURL, encoded
	params   []param
	who      string // whose turn it takes where the day's requests are spread: the path's when empty
	method   string // of Rest.li, where it has to be said
	// version is the LinkedIn-Version to ask with: the client's when empty.
	version string
	// change is set where something is asked to be done; its answer may be empty.
	change *change
}

// change is what a request that is not a question asks for.
type change struct {
	method string
	body   []byte // JSON; may be empty
	// created is the id of what was created, from the answer.
	created string
}

// headerID carries the id of what was created. Source: LinkedIn API guide,
// Protocol Version.
const headerID = "X-Restli-Id"

const (
	tries = 3
	// maxHeld is how often a request is held back, while others are refused or one
	// looks whether they still are, before it is given up for the moment.
	maxHeld = 10
	// patience is the longest Retry-After that is waited for in place.
	patience = 30 * time.Second
	// maxQuery is the longest raw query LinkedIn takes; a longer one goes as the
	// body of a POST. Source: LinkedIn API guide, Query Tunneling.
	maxQuery = 4 << 10
	// maxRefusal is how much of a refusal's body is read.
	maxRefusal = 64 << 10
	// maxHead is how much is kept of the beginning of an answer that is too long.
	maxHead = 64 << 10
	// largeAnswer is the size above which an answer counts as large, and
	// largeAtOnce how many of those are in memory at once.
	largeAnswer = 1 << 20
	largeAtOnce = 4
	headerUUID  = "X-Li-Uuid"
)

// do asks until there is an answer that parse accepts, a refusal that repeating
// cannot fix, or three tries have failed for the moment. parse gets the whole
// body of a 2xx; a problem it reports counts as such a failure. It may be
// called again, and must then start anew. Where the day's requests are spread it
// waits for its turn first.
func (c *Client) do(ctx context.Context, q request, parse func(body []byte) (problem string, err error)) error {
	turned, err := c.await(ctx, q)
	if err != nil {
		return err
	}
	wait := fault.NewBackoff(500*time.Millisecond, 5*time.Second)
	for held := 0; ; turned = false { // the turn was that of one request
		err := c.try(ctx, q, turned, parse)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		least, again := repeatable(err)
		if again && held < maxHeld && isHeld(err) { // none was made
			held++
			if err := fault.Sleep(ctx, least); err != nil {
				return err
			}
			continue
		}
		if !again || wait.Attempts()+1 >= tries {
			return err
		}
		if err := wait.Wait(ctx, least); err != nil {
			return err
		}
	}
}

// isHeld reports a refusal of our own, of a request that was not made.
func isHeld(err error) bool {
	var e *APIError
	return errors.As(err, &e) && e.held
}

// repeatable reports whether the same request may well succeed in a moment, and
// after what wait at least. The rest is for the caller to schedule.
func repeatable(err error) (least time.Duration, ok bool) {
	var budget *BudgetError
	if errors.As(err, &budget) || fault.KindOf(err) != fault.Retry || isTooLong(err) {
		return 0, false
	}
	least = fault.DelayOf(err)
	return least, least <= patience
}

// try asks once, in one of the slots, and has the body of a successful answer
// parsed. turned says that the request has waited for its turn.
func (c *Client) try(ctx context.Context, q request, turned bool, parse func([]byte) (string, error)) error {
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	free := sync.OnceFunc(func() { <-c.slots })
	defer free()
	if err := c.limits.admit(ctx, q.endpoint, turned); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	req, err := c.build(ctx, q)
	if err != nil {
		return fmt.Errorf("building a request to LinkedIn's %s: %w", q.endpoint, err)
	}
	sent := time.Now()
	res, err := c.http.Do(req)
	if err != nil {
		return c.lost(q, sent, err)
	}
	defer func() { _ = res.Body.Close() }() // read to its end or given up on
	c.tell(res, sent)
	body, err := c.read(ctx, res)
	defer body.done()
	c.count(q, res, sent)
	free()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return c.refused(q, res, sent, body.text)
	}
	return c.heed(q, res, body.text, err, parse)
}

// heed has a successful answer parsed, once some answer has told LinkedIn's time. failed is why it was not read to its end;
// nil when it was. What is wrong with it is an *AnswerError.
func (c *Client) heed(q request, res *http.Response, text []byte, failed error, parse func([]byte) (string, error)) error {
	if _, known := c.clock.now(); !known {
		return &TimelessError{Endpoint: q.endpoint, Date: res.Header.Get("Date")}
	}
	answer := &AnswerError{Endpoint: q.endpoint, Status: res.StatusCode, RequestID: res.Header.Get(headerUUID)}
	switch {
	case failed != nil:
		answer.Problem, answer.Err = "it could not be read to its end", failed
	case q.change != nil:
		q.change.created = res.Header.Get(headerID)
		answer.Problem, answer.Err = parse(text)
	case len(text) == 0:
		answer.Problem = "it is empty"
	case int64(len(text)) > c.opts.MaxAnswerBytes:
		answer.Problem, answer.tooLong = fmt.Sprintf("it is longer than %d bytes", c.opts.MaxAnswerBytes), true
		answer.head = bytes.Clone(text[:min(len(text), maxHead)])
	default:
		answer.Problem, answer.Err = parse(text)
	}
	if answer.Problem == "" && answer.Err == nil {
		return nil
	}
	c.debug(q, answer.Status, answer.RequestID, answer.Problem)
	return answer
}

// build makes the HTTP request. The query is set as it is encoded.
func (c *Client) build(ctx context.Context, q request) (*http.Request, error) {
	query := encodeQuery(q.params)
	method, target, body := http.MethodGet, c.opts.APIURL+q.path, io.Reader(nil)
	switch {
	case q.change != nil:
		method, body = q.change.method, bytes.NewReader(q.change.body)
	case len(query) > maxQuery:
		method, body = http.MethodPost, strings.NewReader(query)
	case query != "":
		target += "?" + query
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	switch {
	case q.change != nil && len(q.change.body) == 0:
	case q.change != nil:
		req.Header.Set("Content-Type", "application/json")
	case body != nil:
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("X-HTTP-Method-Override", http.MethodGet)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-Restli-Protocol-Version", "2.0.0")
	if q.method != "" {
		req.Header.Set("X-Restli-Method", q.method)
	}
	version := cmp.Or(q.version, c.opts.Version)
	if version != NoVersion && strings.HasPrefix(q.path, "/rest/") { // the only part with versions
		req.Header.Set("Linkedin-Version", version)
	}
	return req, nil
}

// body is what was read of an answer; done is to be called once it is parsed.
type body struct {
	text []byte
	done func()
}

// read takes the body, up to one byte more than it may have. A large one waits for
// one of a few places, and keeps it until it is parsed: however many requests are
// under way, and whatever comes, memory stays bounded.
func (c *Client) read(ctx context.Context, res *http.Response) (body, error) {
	most := int64(maxRefusal)
	if res.StatusCode < 300 {
		most = c.opts.MaxAnswerBytes + 1
	}
	size := res.ContentLength
	if size < 0 {
		size = c.answerBytes.Load() // pages are much alike
	}
	b := body{text: make([]byte, 0, min(size+512, most, largeAnswer)), done: func() {}}
	limited := io.LimitReader(res.Body, most)
	for large := false; ; {
		if len(b.text) >= largeAnswer && !large {
			select {
			case c.large <- struct{}{}:
				large, b.done = true, sync.OnceFunc(func() { <-c.large })
			case <-ctx.Done():
				return b, ctx.Err()
			}
		}
		if len(b.text) == cap(b.text) {
			b.text = append(b.text, 0)[:len(b.text)]
		}
		n, err := limited.Read(b.text[len(b.text):cap(b.text)])
		b.text = b.text[:len(b.text)+n]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return b, err
		}
	}
	if res.ContentLength < 0 {
		c.answerBytes.Store(max(int64(len(b.text)), size*7/8))
	}
	return b, nil
}

// tell sets our idea of LinkedIn's clock by an answer that has just begun.
// Refusals do not count: they may come from something in between, with a clock
// of its own.
func (c *Client) tell(res *http.Response, sent time.Time) {
	if date, err := http.ParseTime(res.Header.Get("Date")); err == nil && res.StatusCode < 300 {
		c.clock.observe(date, sent)
	}
}

// count keeps the outcome and the duration of an answer.
func (c *Client) count(q request, res *http.Response, sent time.Time) {
	c.metrics.requests.WithLabelValues(q.endpoint, strconv.Itoa(res.StatusCode)).Inc()
	c.metrics.throttled.WithLabelValues(q.endpoint) // at 0 until it happens
	c.metrics.seconds.WithLabelValues(q.endpoint).Observe(time.Since(sent).Seconds())
	if res.StatusCode != http.StatusTooManyRequests {
		c.limits.answered(q.endpoint)
	}
}

// lost is the error of a request without an answer.
func (c *Client) lost(q request, sent time.Time, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // the address says nothing that the endpoint does not
	}
	c.metrics.requests.WithLabelValues(q.endpoint, "error").Inc()
	c.metrics.seconds.WithLabelValues(q.endpoint).Observe(time.Since(sent).Seconds())
	c.limits.lost(q.endpoint)
	c.log.Debug("request to LinkedIn got no answer", zap.String("endpoint", q.endpoint), zap.Error(err))
	return &TransportError{Endpoint: q.endpoint, Err: err}
}

// refused is the error of an answer that is not a success.
func (c *Client) refused(q request, res *http.Response, sent time.Time, body []byte) error {
	e := decodeRefusal(body)
	e.Endpoint, e.Status, e.RequestID = q.endpoint, res.StatusCode, res.Header.Get(headerUUID)
	e.After = retryAfter(res.Header)
	c.debug(q, e.Status, e.RequestID, e.Code)
	if e.Status != http.StatusTooManyRequests {
		e.After = min(e.After, throttleMost)
		return e
	}
	c.metrics.throttled.WithLabelValues(q.endpoint).Inc()
	after, err := c.limits.throttled(q.endpoint, sent, e.After, e.daily)
	if err != nil {
		c.log.Debug("daily limit of LinkedIn's API is used up", zap.String("endpoint", q.endpoint), zap.Error(err)) // who asked says so
		return err
	}
	e.After = after
	return e
}

func (c *Client) debug(q request, status int, requestID, problem string) {
	c.log.Debug("request to LinkedIn failed", zap.String("endpoint", q.endpoint),
		zap.Int("status", status), zap.String("problem", problem), zap.String("x_li_uuid", requestID))
}

// retryAfter reads the header's two forms, seconds and a date (RFC 9110 §10.2.3). A
// date is one of the answer's own clock, where that tells it.
func retryAfter(h http.Header) time.Duration {
	asked := h.Get("Retry-After")
	if n, err := strconv.Atoi(asked); err == nil {
		return min(time.Duration(max(n, 0)), 24*60*60) * time.Second
	}
	at, err := http.ParseTime(asked)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(at.Sub(now), 0), 24*time.Hour)
}
