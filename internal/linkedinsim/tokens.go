package linkedinsim

import (
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// oauthError is the error body of the token endpoints.
func oauthError(status int, name, description string) *answer {
	r := jsonAnswer(struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{name, description})
	r.status = status
	return r
}

// oauth answers a request under /oauth/v2.
func (s *Server) oauth(at location, r *http.Request) *answer {
	switch {
	case at.key != "" || at.endpoint == endpointUnknown:
		return notFound("Resource")
	case at.endpoint == "authorization":
		return s.authorize(r)
	case r.Method != http.MethodPost:
		return envelope{Status: http.StatusMethodNotAllowed, Message: "Method " + r.Method + " is not supported here"}.answer()
	}
	form, ok := readForm(r)
	if !ok {
		return oauthError(http.StatusBadRequest, "invalid_request", "The body must be application/x-www-form-urlencoded")
	}
	if at.endpoint == "introspectToken" {
		return s.auth.introspect(form)
	}
	return s.auth.exchange(form)
}

func readForm(r *http.Request) (url.Values, bool) {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/x-www-form-urlencoded" {
		return nil, false
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		return nil, false
	}
	form, err := url.ParseQuery(string(body))
	return form, err == nil
}

// required is an error naming the first of the parameters that is missing. The
// credentials count only in the body; LinkedIn takes no Basic authentication.
func required(form url.Values, names ...string) *answer {
	for _, name := range names {
		if form.Get(name) == "" {
			return oauthError(http.StatusBadRequest, "invalid_request", `A required parameter "`+name+`" is missing`)
		}
	}
	return nil
}

// exchange is the token endpoint: a code or a refresh token becomes tokens.
func (a *auth) exchange(form url.Values) *answer {
	names := map[string][]string{
		"authorization_code": {"code", "redirect_uri", "client_id", "client_secret"},
		"refresh_token":      {"refresh_token", "client_id", "client_secret"},
	}
	if refused := required(form, "grant_type"); refused != nil {
		return refused
	}
	wanted, ok := names[form.Get("grant_type")]
	if !ok {
		return oauthError(http.StatusBadRequest, "invalid_request", "The grant_type is not supported")
	}
	if refused := required(form, wanted...); refused != nil {
		return refused
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if form.Get("client_id") != a.world.cfg.ClientID || form.Get("client_secret") != a.secret {
		return oauthError(http.StatusUnauthorized, "invalid_client", "Client authentication failed")
	}
	if form.Get("grant_type") == "refresh_token" {
		return a.refresh(form.Get("refresh_token"))
	}
	return a.redeem(form.Get("code"), form.Get("redirect_uri"))
}

func (a *auth) redeem(text, redirect string) *answer {
	c := a.codes[text]
	if c == nil || c.used {
		return oauthError(http.StatusUnauthorized, "invalid_request", "authorization code not found")
	}
	now := a.world.clock.now()
	if c.redirect != redirect || now.Sub(c.issued) >= codeLife {
		return oauthError(http.StatusBadRequest, "invalid_redirect_uri",
			"The redirect_uri, app or code verifier do not match the authorization code, or the code has expired")
	}
	c.used = true
	return jsonAnswer(a.issue(c.scopes, now, nil, lives{}))
}

// refresh answers every failure alike: expired and revoked cannot be told apart.
func (a *auth) refresh(text string) *answer {
	t := a.tokens[text]
	if t == nil || !t.refresh || t.revoked || !a.world.clock.now().Before(t.expires) {
		return oauthError(http.StatusBadRequest, "invalid_request",
			"The provided authorization grant or refresh token is invalid, expired or revoked")
	}
	return jsonAnswer(a.issue(t.scopes, t.authorized, t, lives{}))
}

// introspection is what introspectToken answers. Times are in epoch seconds.
type introspection struct {
	Active       bool   `json:"active"`
	ClientID     string `json:"client_id,omitempty"`
	AuthorizedAt int64  `json:"authorized_at,omitempty"`
	CreatedAt    int64  `json:"created_at,omitempty"`
	Status       string `json:"status,omitempty"`
	ExpiresAt    int64  `json:"expires_at,omitempty"`
	Scope        string `json:"scope,omitempty"`
	AuthType     string `json:"auth_type,omitempty"`
}

func (a *auth) introspect(form url.Values) *answer {
	if refused := required(form, "client_id", "client_secret", "token"); refused != nil {
		return refused
	}
	cfg, sw := a.world.cfg, a.world.switches.Load()
	if form.Get("client_id") != cfg.ClientID {
		return oauthError(http.StatusBadRequest, "invalid_request", "The client_id is not known")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if form.Get("client_secret") != a.secret {
		return oauthError(http.StatusUnauthorized, "invalid_client", "Client authentication failed")
	}
	t := a.tokens[form.Get("token")]
	if t == nil || t.refresh && !sw.IntrospectRefresh {
		return jsonAnswer(introspection{})
	}
	status := "active"
	switch {
	case t.revoked:
		status = "revoked"
	case !a.world.clock.now().Before(t.expires):
		status = "expired"
	}
	if status != "active" && sw.IntrospectionBare {
		return jsonAnswer(introspection{Status: status})
	}
	return jsonAnswer(introspection{
		Active: status == "active", ClientID: cfg.ClientID, Status: status,
		AuthorizedAt: t.authorized.Unix(), CreatedAt: t.created.Unix(), ExpiresAt: t.expires.Unix(),
		Scope: strings.Join(t.scopes, ","), AuthType: "3L",
	})
}
