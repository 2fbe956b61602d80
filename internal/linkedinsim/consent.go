package linkedinsim

import (
	"bytes"
	"html/template"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// consentPage asks the member. Each button posts the form back with a decision.
var consentPage = template.Must(template.New("consent").Funcs(template.FuncMap{
	"scopes": func(form url.Values) []string { return strings.Fields(form.Get("scope")) },
}).Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Simulated LinkedIn: allow access?</title></head>
<body>
<h1>Simulated LinkedIn</h1>
<p>The app <strong>{{.Get "client_id"}}</strong> would like to:</p>
<ul>{{range scopes .}}<li>{{.}}</li>{{end}}</ul>
<form method="post" action="/oauth/v2/authorization">
<input type="hidden" name="response_type" value="code">
<input type="hidden" name="client_id" value="{{.Get "client_id"}}">
<input type="hidden" name="redirect_uri" value="{{.Get "redirect_uri"}}">
<input type="hidden" name="scope" value="{{.Get "scope"}}">
<input type="hidden" name="state" value="{{.Get "state"}}">
<button type="submit" name="decision" value="approve" id="approve">Allow</button>
<button type="submit" name="decision" value="cancel" id="cancel">Cancel</button>
<button type="submit" name="decision" value="cancel_login" id="cancel-login">Do not sign in</button>
</form>
</body>
</html>
`))

var refusalPage = template.Must(template.New("refusal").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Simulated LinkedIn: bad request</title></head>
<body><h1>Bummer, something went wrong.</h1><p>{{.}}</p></body>
</html>
`))

// authorize is the authorization page and what its buttons lead to.
func (s *Server) authorize(r *http.Request) *answer {
	form := r.URL.Query()
	switch r.Method {
	case http.MethodGet:
		form.Del("decision") // is made on the page
	case http.MethodPost:
		posted, ok := readPosted(r)
		if !ok {
			return htmlAnswer(http.StatusBadRequest, refusalPage, "The form could not be read.")
		}
		form = posted
	default:
		return methodNotAllowed(r.Method)
	}
	scopes, problem := strings.Fields(form.Get("scope")), ""
	switch {
	case form.Get("response_type") != "code":
		problem = "The response_type must be code."
	case form.Get("client_id") != s.cfg.ClientID:
		problem = "The client_id is not known."
	case !s.cfg.registered(form.Get("redirect_uri")):
		problem = "The redirect_uri does not match the registered value."
	case len(scopes) == 0 || strings.Contains(form.Get("scope"), ","):
		problem = "The scope must be one or more scopes separated by spaces."
	}
	if problem != "" { // LinkedIn does not go back to such an app
		return htmlAnswer(http.StatusUnauthorized, refusalPage, problem)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	decision := form.Get("decision")
	if decision == "" && (s.cfg.AutoConsent || s.switches.SkipConsent && s.auth.granted == scopeSet(scopes)) {
		decision = "approve"
	}
	result := url.Values{}
	if i := slices.IndexFunc(scopes, func(scope string) bool { return !slices.Contains(s.cfg.Scopes, scope) }); i >= 0 {
		result = url.Values{"error": {"unauthorized_scope_error"}, "error_description": {"Scope " + scopes[i] + " is not authorized for your application"}}
	} else if decision == "approve" {
		code := s.auth.add(token{kind: codeToken, redirect: form.Get("redirect_uri"), scopes: s.auth.grant(scopes), expires: s.clock.now().Add(codeLife)}, 120)
		result.Set("code", code.value)
	} else if description, cancelled := cancellations[decision]; cancelled {
		result = url.Values{"error": {"user_" + description[0]}, "error_description": {"The user cancelled " + description[1]}}
	} else {
		return htmlAnswer(http.StatusOK, consentPage, form)
	}
	u, _ := url.Parse(form.Get("redirect_uri")) // is registered, so it is one
	query := u.Query()
	maps.Copy(query, result)
	if state := form.Get("state"); state != "" {
		query.Set("state", state)
	}
	u.RawQuery = query.Encode()
	return (&answer{status: http.StatusFound}).with("Location", u.String()).with("Content-Type", htmlType)
}

// cancellations are what the app is told of the decisions not to consent.
var cancellations = map[string][2]string{
	"cancel":       {"cancelled_authorize", "the authorization"},
	"cancel_login": {"cancelled_login", "LinkedIn login"},
}

// registered compares a redirect URL with those of the app; query arguments do
// not count.
func (c *Config) registered(text string) bool {
	u, err := url.Parse(text)
	if err != nil || !u.IsAbs() || u.Host == "" || strings.Contains(text, "#") {
		return false
	}
	if len(c.RedirectURLs) == 0 {
		addr, err := netip.ParseAddr(u.Hostname())
		return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && addr.IsLoopback())
	}
	return slices.ContainsFunc(c.RedirectURLs, func(known string) bool {
		k, err := url.Parse(known)
		return err == nil && k.Scheme == u.Scheme && k.Host == u.Host && k.Path == u.Path
	})
}

func htmlAnswer(status int, page *template.Template, data any) *answer {
	var body bytes.Buffer
	_ = page.Execute(&body, data) // into memory, of texts alone
	return (&answer{status: status, body: body.Bytes()}).with("Content-Type", htmlType)
}
