package oauth

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Introspection is LinkedIn's answer about an access token. Source: Token
// introspection. It does not say which fields the answer about an expired or revoked
// token has, so any but Active may be missing.
type Introspection struct {
	Active bool
	// Status is active, expired or revoked. It is empty for a token that LinkedIn does
	// not know or that belongs to another app.
	Status    string
	Scopes    []string
	Scoped    bool      // whether the answer named the scopes
	ExpiresAt time.Time // in whole seconds
}

// Reason is why an inactive token is of no use.
func (i Introspection) Reason() Reason {
	switch i.Status {
	case "expired":
		return AccessExpired
	case "revoked":
		return AccessRevoked
	}
	return AccessUnknown
}

// introspect asks LinkedIn about an access token. It needs no scope, and tells expired
// from revoked. The error is an *AppRefusedError for a wrong client id or secret. Any
// other is one to retry and says nothing about the token.
func (s *Session) introspect(ctx context.Context, access string) (Introspection, error) {
	form := url.Values{
		"client_id": {s.opts.ClientID}, "client_secret": {s.opts.ClientSecret}, "token": {access},
	}
	address := strings.TrimSuffix(s.oauth.Endpoint.TokenURL, "/accessToken") + "/introspectToken"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return Introspection{}, fmt.Errorf("introspecting the token: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := s.http.Do(req)
	if err != nil {
		return Introspection{}, fmt.Errorf("introspecting the token: %w", err)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	_ = resp.Body.Close() // the body was read
	if err != nil {
		return Introspection{}, fmt.Errorf("introspecting the token: reading the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return Introspection{}, fmt.Errorf("introspecting the token: %w", introspectionError(resp, body))
	}
	in, ok := parseIntrospection(body)
	if !ok {
		return Introspection{}, fmt.Errorf("introspecting the token: %w", &AnswerError{
			Endpoint: "introspectToken", Status: resp.StatusCode, Code: "without a readable `active`",
		})
	}
	return in, nil
}

// introspectionError classifies a refusal: 400 and 401 with an error of LinkedIn in the
// body are about the client id and the secret.
func introspectionError(resp *http.Response, body []byte) error {
	var answer struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil {
		answer.Error = ""
	}
	code := clean(answer.Error)
	if (resp.StatusCode == http.StatusBadRequest || resp.StatusCode == http.StatusUnauthorized) && code != "" {
		return &AppRefusedError{Status: resp.StatusCode, Code: code}
	}
	return &AnswerError{Endpoint: "introspectToken", Status: resp.StatusCode, Code: code, After: retryAfter(resp)}
}

// parseIntrospection reads each field by itself, so that one of an unexpected type hides
// no other. It is false when the answer does not say whether the token is active.
func parseIntrospection(body []byte) (Introspection, bool) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return Introspection{}, false
	}
	var in Introspection
	known := read(fields["active"], &in.Active)
	read(fields["status"], &in.Status)
	var scope string
	if read(fields["scope"], &scope) && scope != "" {
		in.Scopes, in.Scoped = splitScopes(scope), true
	}
	in.ExpiresAt = seconds(fields["expires_at"])
	if !known {
		in.Active = in.Status == "active"
	}
	return in, known || in.Status != ""
}

// read decodes one field and reports whether it held something of that type.
func read(raw json.RawMessage, into any) bool {
	return len(raw) > 0 && string(raw) != "null" && json.Unmarshal(raw, into) == nil
}

// seconds reads a time in epoch seconds, as a number or as text. It is the zero time
// when raw is neither.
func seconds(raw json.RawMessage) time.Time {
	n, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
	if err != nil || n <= 0 || n > 1<<40 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// splitScopes splits at blanks and commas: LinkedIn documents the first for tokens and
// the second for introspection, and mixes them in practice.
func splitScopes(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' })
}

// missingScopes are those of want that granted lacks. A scope for writing
// (rw_x) includes the one for reading (r_x).
func missingScopes(want, granted []string) []string {
	have := map[string]bool{}
	for _, g := range granted {
		have[g] = true
		if rest, ok := strings.CutPrefix(g, "rw_"); ok {
			have["r_"+rest] = true
		}
	}
	var missing []string
	for _, w := range want {
		if !have[w] {
			missing = append(missing, w)
		}
	}
	return missing
}

// retryAfter is the wait that the answer asks for in seconds (RFC 9110
// §10.2.3), 0 when none.
func retryAfter(resp *http.Response) time.Duration {
	n, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || n < 0 || n > 24*3600 {
		return 0
	}
	return time.Duration(n) * time.Second
}
