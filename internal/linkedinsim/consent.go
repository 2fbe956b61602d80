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
var consentPage = template.Must(template.New("consent").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Simulated LinkedIn: allow access?</title></head>
<body>
<h1>Simulated LinkedIn</h1>
<p>The app <strong>{{.ClientID}}</strong> would like to:</p>
<ul>{{range .Scopes}}<li>{{.}}</li>{{end}}</ul>
<form method="post" action="/oauth/v2/authorization">
<input type="hidden" name="response_type" value="code">
<input type="hidden" name="client_id" value="{{.ClientID}}">
<input type="hidden" name="redirect_uri" value="{{.RedirectURI}}">
<input type="hidden" name="scope" value="{{.Scope}}">
<input type="hidden" name="state" value="{{.State}}">
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

// consentRequest are the parameters of the authorization page.
type consentRequest struct {
	ClientID, RedirectURI, Scope, State string
	Scopes                              []string
}

// authorize is the authorization page and what its buttons lead to.
func (s *Server) authorize(r *http.Request) *answer {
	form, decision := r.URL.Query(), ""
	switch r.Method {
	case http.MethodGet:
	case http.MethodPost:
		posted, ok := readPosted(r)
		if !ok {
			return htmlAnswer(http.StatusBadRequest, refusalPage, "The form could not be read.")
		}
		form, decision = posted, posted.Get("decision")
	default:
		return methodNotAllowed(r.Method)
	}
	req := consentRequest{
		ClientID: form.Get("client_id"), RedirectURI: form.Get("redirect_uri"),
		Scope: form.Get("scope"), State: form.Get("state"), Scopes: strings.Fields(form.Get("scope")),
	}
	problem := ""
	switch {
	case form.Get("response_type") != "code":
		problem = "The response_type must be code."
	case req.ClientID != s.cfg.ClientID:
		problem = "The client_id is not known."
	case !s.cfg.registered(req.RedirectURI):
		problem = "The redirect_uri does not match the registered value."
	case len(req.Scopes) == 0 || strings.Contains(req.Scope, ","):
		problem = "The scope must be one or more scopes separated by spaces."
	}
	if problem != "" { // LinkedIn does not go back to such an app
		return htmlAnswer(http.StatusUnauthorized, refusalPage, problem)
	}
	for _, scope := range req.Scopes {
		if !slices.Contains(s.cfg.Scopes, scope) {
			return req.back(url.Values{
				"error": {"unauthorized_scope_error"}, "error_description": {"Scope " + scope + " is not authorized for your application"},
			})
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.auth.decide(req, decision)
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

// decide shows the page, or does what the member decided on it.
func (a *auth) decide(req consentRequest, decision string) *answer {
	skip := a.w.cfg.AutoConsent || a.w.switches.SkipConsent && a.granted == scopeSet(req.Scopes)
	switch {
	case decision == "approve" || decision == "" && skip:
		text := a.text("code", "AQT", "code", 120)
		a.codes[text] = &code{redirect: req.RedirectURI, scopes: a.grant(req.Scopes), issued: a.w.clock.now()}
		return req.back(url.Values{"code": {text}})
	case decision == "cancel":
		return req.back(url.Values{"error": {"user_cancelled_authorize"}, "error_description": {"The user cancelled the authorization"}})
	case decision == "cancel_login":
		return req.back(url.Values{"error": {"user_cancelled_login"}, "error_description": {"The user cancelled LinkedIn login"}})
	}
	return htmlAnswer(http.StatusOK, consentPage, req)
}

// back sends the browser to the app.
func (c consentRequest) back(arguments url.Values) *answer {
	u, err := url.Parse(c.RedirectURI)
	if err != nil { // was parsed before
		return htmlAnswer(http.StatusUnauthorized, refusalPage, "The redirect_uri is not a URL.")
	}
	query := u.Query()
	maps.Copy(query, arguments)
	if c.State != "" {
		query.Set("state", c.State)
	}
	u.RawQuery = query.Encode()
	return &answer{status: http.StatusFound, header: map[string]string{"Location": u.String(), "Content-Type": htmlType}}
}

func htmlAnswer(status int, page *template.Template, data any) *answer {
	var body bytes.Buffer
	if err := page.Execute(&body, data); err != nil {
		return refusal(http.StatusInternalServerError, "the page could not be made")
	}
	return (&answer{status: status, body: body.Bytes()}).with("Content-Type", htmlType)
}
