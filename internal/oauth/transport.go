package oauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/fault"
)

// refusalLimit is how much of a 401 is read.
const refusalLimit = 64 << 10

// lagWaits are the pauses before a fresh token is tried again. Together they take
// freshFor, so that LinkedIn knows a token that it refuses after them.
var lagWaits = [...]time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second}

// Transport adds the access token to every request that goes through base (nil is
// http.DefaultTransport) and handles a 401 itself. A fresh token is tried again for
// some seconds. Else LinkedIn is asked about the token, it is renewed once, and the
// request is sent again. When that does not help, the error is one of AccessToken's,
// so that the error of http.Client wraps, for example, a *ConsentNeededError. A 401 is
// returned only for a request whose body cannot be sent twice (no GetBody).
//
// The token never follows a redirect.
func (s *Session) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{session: s, base: base}
}

type transport struct {
	session *Session
	base    http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Response != nil { // made by following a redirect
		return t.base.RoundTrip(req)
	}
	token, err := t.session.usable(req.Context())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("authorizing the request: %w", err), closeBody(req))
	}
	resp, err := t.send(req, token, req.Body)
	switch {
	case err != nil:
		return nil, err
	case unauthorized(resp) && replayable(req):
		return t.answer(req, token, resp)
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		t.session.wake(req.Context()) // a role or a scope is missing: the heartbeat finds out about scopes
	}
	return resp, nil
}

// unauthorized reports a 401 about the token. One about a missing role or scope,
// which LinkedIn sometimes answers instead of 403, is left to the caller.
func unauthorized(resp *http.Response) bool {
	if resp.StatusCode != http.StatusUnauthorized {
		return false
	}
	code, service := reasonOf401(resp)
	return code != "ACCESS_DENIED" && service != 100
}

// tokenExpired reports a 401 that says that the token has expired, which no lag
// explains.
func tokenExpired(resp *http.Response) bool {
	code, service := reasonOf401(resp)
	return code == "EXPIRED_ACCESS_TOKEN" || service == 65602
}

// reasonOf401 is the code and the serviceErrorCode in the body of a refusal, if any.
// The body can still be read. Source: LinkedIn API guide, Error Handling.
func reasonOf401(resp *http.Response) (code string, service int) {
	head, err := io.ReadAll(io.LimitReader(resp.Body, refusalLimit))
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), resp.Body), resp.Body}
	var refusal struct {
		Code    string `json:"code"`
		Service int    `json:"serviceErrorCode"`
	}
	if err != nil || json.Unmarshal(head, &refusal) != nil {
		return "", 0
	}
	return refusal.Code, refusal.Service
}

// answer handles a 401 and consumes it. The heartbeat looks at the outcome.
func (t *transport) answer(req *http.Request, token Token, resp *http.Response) (*http.Response, error) {
	resp, err := t.outwaitLag(req, token, resp)
	if err != nil || !unauthorized(resp) {
		return resp, err
	}
	resp, err = t.again(req, token, resp)
	if needed := (*ConsentNeededError)(nil); errors.As(err, &needed) && needed.Reason != NoToken {
		t.session.apply(apiRejected{token})
	}
	if !errors.As(err, new(*AppRefusedError)) { // which has woken the heartbeat already
		t.session.wake(req.Context())
	}
	return resp, err
}

// again sends a request once more, with another token than the one refused.
func (t *transport) again(req *http.Request, token Token, resp *http.Response) (*http.Response, error) {
	discard(resp)
	next, err := t.session.replace(req.Context(), token)
	if err != nil {
		return nil, fmt.Errorf("replacing the access token that LinkedIn refused: %w", err)
	}
	resp, err = t.resend(req, next)
	if err == nil && unauthorized(resp) {
		resp, err = t.outwaitLag(req, next, resp)
	}
	if err != nil || !unauthorized(resp) {
		return resp, err
	}
	discard(resp)
	return nil, fmt.Errorf("using the renewed access token: %w", &ConsentNeededError{Reason: AccessRefused})
}

// outwaitLag tries a fresh token again for as long as parts of LinkedIn may not know
// it, and gives the last answer. It stops when another token takes its place.
func (t *transport) outwaitLag(req *http.Request, token Token, resp *http.Response) (*http.Response, error) {
	if tokenExpired(resp) || !t.session.view().of(token).fresh() {
		return resp, nil
	}
	for _, wait := range lagWaits {
		discard(resp)
		t.session.log.Debug("a fresh access token was refused, trying it again", zap.Duration("retry_in", wait))
		if err := fault.Sleep(req.Context(), wait); err != nil {
			return nil, fmt.Errorf("waiting for LinkedIn to know the fresh access token: %w", err)
		}
		if c, err := t.session.current(req.Context()); err != nil || c.token.Access != token.Access {
			return resp, nil //nolint:nilerr // the caller handles the 401
		}
		var err error
		if resp, err = t.resend(req, token); err != nil || !unauthorized(resp) {
			return resp, err
		}
	}
	return resp, nil
}

func (t *transport) resend(req *http.Request, token Token) (*http.Response, error) {
	if req.GetBody == nil {
		return t.send(req, token, nil)
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, fmt.Errorf("sending the request again: %w", err)
	}
	return t.send(req, token, body)
}

func (t *transport) send(req *http.Request, token Token, body io.ReadCloser) (*http.Response, error) {
	out := req.Clone(req.Context()) // a RoundTripper must not change the caller's request
	out.Body = body
	out.Header.Set("Authorization", "Bearer "+token.Access)
	resp, err := t.base.RoundTrip(out)
	// One request of the heartbeat says too little of the others.
	if err == nil && accepted(resp.StatusCode) && out.Context().Value(byHeartbeat{}) == nil {
		t.session.apply(apiAccepted{})
	}
	return resp, err
}

// accepted reports that LinkedIn accepted the token, whatever it says of the
// request. When it fails or asks for a pause, it may not have looked at the token.
func accepted(status int) bool {
	return status != http.StatusUnauthorized && status != http.StatusTooManyRequests && status < http.StatusInternalServerError
}

func replayable(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

// discard reads the rest of an answer, so that its connection is used again.
func discard(resp *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, refusalLimit)) // the answer is of no interest
	_ = resp.Body.Close()
}

func closeBody(req *http.Request) error {
	if req.Body == nil {
		return nil
	}
	return req.Body.Close()
}

// replace gives a token in the place of one that LinkedIn's API refused.
func (s *Session) replace(ctx context.Context, refused Token) (Token, error) {
	return s.once(ctx, answering401, func(ctx context.Context) (Token, error) {
		ctx, cancel := context.WithTimeout(ctx, CloseTime)
		defer cancel()
		c, err := s.reload(ctx)
		if err != nil || c.token.Access != refused.Access {
			return c.token, err
		}
		if err := s.examine(ctx, refused); err != nil {
			return Token{}, err
		}
		return s.refresh(ctx, refused)
	})
}

// examine asks LinkedIn about a token that its API refused. It returns an error
// when renewing would be wrong: LinkedIn does not accept the app, or the token is
// not known to be dead and was renewed for that just before.
func (s *Session) examine(ctx context.Context, refused Token) error {
	c := s.view()
	if held := c.introspection.holds(c.now); held != nil {
		return held
	}
	in, err := s.introspect(ctx, refused.Access)
	before := s.answered(ctx, introspected{access: refused.Access, answer: in, err: err, of401: true})
	switch {
	case errors.As(err, new(*AppRefusedError)):
		return err
	case err == nil && !in.Active, before.mayForce():
		return nil
	case err != nil:
		return err
	}
	return &ConsentNeededError{Reason: AccessRefused}
}
