package linkedinsim

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const codeLife = 30 * time.Minute // authorization code flow

// oauthError is the error body of the token endpoints.
func oauthError(status int, name, description string) *answer {
	return &answer{status: status, body: mustJSON(object{"error": name, "error_description": description})}
}

func invalidRequest(description string) *answer {
	return oauthError(http.StatusBadRequest, "invalid_request", description)
}

// tokenEndpoint is an endpoint that takes a form. handle is called with the
// world's lock held, for writing.
type tokenEndpoint struct {
	needs  []string // parameters
	handle func(a *auth, form url.Values) *answer
}

var (
	introspectEndpoint = tokenEndpoint{[]string{"client_id", "client_secret", "token"}, (*auth).introspect}
	// grantTypes are the exchanges of the endpoint accessToken.
	grantTypes = map[string]tokenEndpoint{
		"authorization_code": {[]string{"code", "redirect_uri", "client_id", "client_secret"}, (*auth).redeem},
		"refresh_token":      {[]string{"refresh_token", "client_id", "client_secret"}, (*auth).refresh},
	}
)

// oauth answers a request under /oauth/v2.
func (s *Server) oauth(at location, r *http.Request) *answer {
	switch {
	case at.key != "" || at.endpoint == endpointUnknown:
		return notFound("Resource")
	case at.endpoint == "authorization":
		return s.authorize(r)
	case r.Method != http.MethodPost:
		return methodNotAllowed(r.Method)
	}
	form, ok := readPosted(r)
	if !ok {
		return invalidRequest("The body must be application/x-www-form-urlencoded")
	}
	endpoint, needs := introspectEndpoint, []string{}
	if at.endpoint == "accessToken" {
		endpoint, ok = grantTypes[form.Get("grant_type")]
		needs = append(needs, "grant_type")
	}
	for _, name := range append(needs, endpoint.needs...) { // in the body: LinkedIn takes no Basic authentication
		if form.Get(name) == "" {
			return invalidRequest(`A required parameter "` + name + `" is missing`)
		}
	}
	if !ok {
		return invalidRequest("The grant_type is not supported")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return endpoint.handle(s.auth, form)
}

func readPosted(r *http.Request) (url.Values, bool) {
	if !hasType(r.Header, formType) {
		return nil, false
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		return nil, false
	}
	form, err := url.ParseQuery(string(body))
	return form, err == nil
}

func (a *auth) knows(form url.Values) bool {
	return form.Get("client_id") == a.w.cfg.ClientID && form.Get("client_secret") == a.secret
}

func invalidClient() *answer {
	return oauthError(http.StatusUnauthorized, "invalid_client", "Client authentication failed")
}

// redeem makes tokens of a code.
func (a *auth) redeem(form url.Values) *answer {
	c, now := a.tokens[form.Get("code")], a.w.clock.now()
	switch {
	case !a.knows(form):
		return invalidClient()
	case c == nil || c.kind != codeToken || c.revoked:
		return oauthError(http.StatusUnauthorized, "invalid_request", "authorization code not found")
	case c.redirect != form.Get("redirect_uri") || !now.Before(c.expires):
		return oauthError(http.StatusBadRequest, "invalid_redirect_uri",
			"The redirect_uri, app or code verifier do not match the authorization code, or the code has expired")
	}
	c.revoked = true
	return jsonAnswer(a.issue(TokenSpec{Scopes: c.scopes}, now, nil))
}

// refresh answers every failure alike: expired and revoked cannot be told apart.
func (a *auth) refresh(form url.Values) *answer {
	t := a.tokens[form.Get("refresh_token")]
	switch {
	case !a.knows(form):
		return invalidClient()
	case t == nil || t.kind != refreshToken || a.status(t) != "active":
		return invalidRequest("The provided authorization grant or refresh token is invalid, expired or revoked")
	}
	return jsonAnswer(a.issue(TokenSpec{Scopes: t.scopes}, t.authorized, t))
}

// status is a token's state as introspection names it.
func (a *auth) status(t *token) string {
	switch {
	case t.revoked:
		return "revoked"
	case !a.w.clock.now().Before(t.expires):
		return "expired"
	}
	return "active"
}

// introspect tells of a token; times are in epoch seconds.
func (a *auth) introspect(form url.Values) *answer {
	t := a.tokens[form.Get("token")]
	switch {
	case form.Get("client_id") != a.w.cfg.ClientID:
		return invalidRequest("The client_id is not known")
	case !a.knows(form):
		return invalidClient()
	case t == nil || t.kind == codeToken || t.kind == refreshToken && !a.w.switches.IntrospectRefresh:
		return jsonAnswer(object{"active": false})
	}
	status := a.status(t)
	about := object{"active": status == "active", "status": status}
	if status == "active" || !a.w.switches.IntrospectionBare {
		about["client_id"], about["scope"], about["auth_type"] = a.w.cfg.ClientID, strings.Join(t.scopes, ","), "3L"
		about["authorized_at"], about["created_at"], about["expires_at"] = t.authorized.Unix(), t.created.Unix(), t.expires.Unix()
	}
	return jsonAnswer(about)
}
