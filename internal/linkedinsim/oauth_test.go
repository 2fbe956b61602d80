package linkedinsim

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

const callback = "http://localhost:8480/oauth/callback"

func authorizeURL(change map[string]string) string {
	v := url.Values{
		"response_type": {"code"}, "client_id": {DefaultClientID}, "redirect_uri": {callback},
		"scope": {strings.Join(DefaultScopes(), " ")}, "state": {"a state"},
	}
	for name, value := range change {
		v.Set(name, value)
	}
	return "/oauth/v2/authorization?" + v.Encode()
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

// decide opens the consent page and presses a button; it returns where the
// browser is sent.
func (c *client) decide(change map[string]string, decision string) *url.URL {
	c.t.Helper()
	status, page := c.get(authorizeURL(change))
	form := url.Values{"decision": {decision}}
	for _, m := range hidden.FindAllStringSubmatch(string(page), -1) {
		form.Set(m[1], strings.ReplaceAll(strings.ReplaceAll(m[2], "&#43;", "+"), "&amp;", "&"))
	}
	if status != http.StatusOK || len(form) != 6 || !strings.Contains(string(page), `value="`+decision+`"`) {
		c.t.Fatalf("consent page is %d %s, want a form with %s", status, page, decision)
	}
	r := c.do(http.MethodPost, "/oauth/v2/authorization", form.Encode(), map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
	if status, body := read(c.t, r); status != http.StatusFound {
		c.t.Fatalf("decision %s = %d %s, want 302", decision, status, body)
	}
	target, err := r.Location()
	if err != nil {
		c.t.Fatal(err)
	}
	return target
}

const credentials = "&client_id=" + DefaultClientID + "&client_secret=" + DefaultClientSecret

func (c *client) redeem(code string) (int, []byte) {
	c.t.Helper()
	return c.postForm("/oauth/v2/accessToken", "grant_type=authorization_code&code="+code+"&redirect_uri="+url.QueryEscape(callback)+credentials)
}

func (c *client) refresh(token string) (int, []byte) {
	c.t.Helper()
	return c.postForm("/oauth/v2/accessToken", "grant_type=refresh_token&refresh_token="+token+credentials)
}

// login consents and returns the tokens.
func (c *client) login(scope string) Token {
	c.t.Helper()
	status, body := c.redeem(c.decide(map[string]string{"scope": scope}, "approve").Query().Get("code"))
	if status != http.StatusOK {
		c.t.Fatalf("exchange = %d %s, want 200", status, body)
	}
	var token Token
	decodeJSON(c.t, body, &token)
	return token
}

func emptyWorld(t *testing.T, cfg Config) *client {
	t.Helper()
	cfg.Organizations = 1
	c := newClient(t, cfg)
	c.server.auth = newAuth(c.server.World) // forget the token of newClient
	return c
}

func TestConsentGivesAWorkingToken(t *testing.T) {
	c := emptyWorld(t, Config{})
	back := c.decide(map[string]string{"redirect_uri": callback + "?keep=1"}, "approve")
	if back.Query().Get("state") != "a state" || back.Query().Get("keep") != "1" || !strings.HasPrefix(back.String(), callback) {
		t.Errorf("browser is sent to %s, want the callback with state and its own arguments", back)
	}
	token := c.login(strings.Join(DefaultScopes(), " "))
	if token.ExpiresIn != 5184000 || token.RefreshTokenExpiresIn != 31536000 || token.Scope != strings.Join(DefaultScopes(), ",") || token.TokenType != "Bearer" {
		t.Errorf("token = %+v", token)
	}
	c.token = token.AccessToken
	c.wantStatus("/rest/organizationAcls?q=roleAssignee", http.StatusOK)
}

func TestRefusedConsentGoesBackWithTheError(t *testing.T) {
	c := emptyWorld(t, Config{})
	for decision, want := range map[string]string{"cancel": "user_cancelled_authorize", "cancel_login": "user_cancelled_login"} {
		q := c.decide(nil, decision).Query()
		if q.Get("error") != want || q.Get("state") != "a state" || q.Get("error_description") == "" || q.Get("code") != "" {
			t.Errorf("%s goes back with %v, want %s", decision, q, want)
		}
	}
	r := c.do(http.MethodGet, authorizeURL(map[string]string{"scope": "r_unknown"}), "", nil)
	if location, err := r.Location(); err != nil || location.Query().Get("error") != "unauthorized_scope_error" {
		t.Errorf("unknown scope goes to %v, %v, want unauthorized_scope_error", location, err)
	}
}

func TestWrongAppIsShownAPage(t *testing.T) {
	c := emptyWorld(t, Config{RedirectURLs: []string{callback}})
	c.wantStatus(authorizeURL(nil), http.StatusOK)
	c.wantStatus(authorizeURL(map[string]string{"redirect_uri": callback + "?more=1"}), http.StatusOK)
	for name, value := range map[string]string{
		"client_id": "other", "redirect_uri": "http://localhost:8480/other", "response_type": "token", "scope": "r_events,r_ads",
	} {
		r := c.do(http.MethodGet, authorizeURL(map[string]string{name: value}), "", nil)
		if status, body := read(t, r); status != http.StatusUnauthorized || !strings.Contains(string(body), "<html") || r.Header.Get("Location") != "" {
			t.Errorf("%s=%s: %d %s, want a page with 401", name, value, status, body)
		}
	}
	free := emptyWorld(t, Config{})
	for redirect, want := range map[string]int{
		"https://app.example.com/cb": 200, "http://127.0.0.1:1/cb": 200, "http://[::1]:1/cb": 200,
		"http://app.example.com/cb": 401, "https://app.example.com/cb#x": 401, "/cb": 401,
	} {
		free.wantStatus(authorizeURL(map[string]string{"redirect_uri": redirect}), want)
	}
}

func TestCodesWorkOnceAndHalfAnHour(t *testing.T) {
	c := emptyWorld(t, Config{})
	code := c.decide(nil, "approve").Query().Get("code")
	if status, body := c.postForm("/oauth/v2/accessToken", "grant_type=authorization_code&code="+code+"&redirect_uri=https%3A%2F%2Fx.example"+credentials); status != 400 || !strings.Contains(string(body), "invalid_redirect_uri") {
		t.Errorf("other redirect: %d %s, want 400 invalid_redirect_uri", status, body)
	}
	if status, body := c.redeem(code); status != http.StatusOK {
		t.Errorf("first exchange = %d %s, want 200", status, body)
	}
	if status, body := c.redeem(code); status != 401 || !strings.Contains(string(body), `"authorization code not found"`) {
		t.Errorf("second exchange = %d %s, want 401", status, body)
	}
	code = c.decide(nil, "approve").Query().Get("code")
	c.clock.now = c.clock.now.Add(30 * time.Minute)
	if status, body := c.redeem(code); status != 400 || !strings.Contains(string(body), "invalid_redirect_uri") {
		t.Errorf("exchange after 30 minutes = %d %s, want 400 invalid_redirect_uri", status, body)
	}
}

func TestTokenEndpointNamesWhatIsWrong(t *testing.T) {
	c := emptyWorld(t, Config{})
	tests := []struct {
		body, want string
		status     int
	}{
		{"", "grant_type", 400},
		{"grant_type=password", "invalid_request", 400},
		{"grant_type=refresh_token" + credentials, "refresh_token", 400},
		{"grant_type=refresh_token&refresh_token=x&client_secret=y", "client_id", 400}, // as when sent by Basic authentication
		{"grant_type=refresh_token&refresh_token=x&client_id=y&client_secret=z", "invalid_client", 401},
		{"grant_type=refresh_token&refresh_token=x&client_id=" + DefaultClientID + "&client_secret=z", "invalid_client", 401},
		{"grant_type=refresh_token&refresh_token=x" + credentials, "invalid_request", 400},
	}
	for _, tt := range tests {
		if status, body := c.postForm("/oauth/v2/accessToken", tt.body); status != tt.status || !strings.Contains(string(body), tt.want) {
			t.Errorf("%q = %d %s, want %d with %q", tt.body, status, body, tt.status, tt.want)
		}
	}
	status, _ := read(t, c.do(http.MethodPost, "/oauth/v2/accessToken", "{}", map[string]string{"Content-Type": "application/json"}))
	if status != http.StatusBadRequest {
		t.Errorf("JSON body = %d, want 400", status)
	}
	c.wantStatus("/oauth/v2/accessToken", http.StatusMethodNotAllowed)
}

func TestRefreshDoesNotProlongTheRefreshToken(t *testing.T) {
	c := emptyWorld(t, Config{})
	first := c.login("r_events")
	for _, tt := range []struct{ day, access, refresh int }{{59, 60, 306}, {360, 5, 5}} {
		c.clock.now = testStart.Add(time.Duration(tt.day) * day)
		_, body := c.refresh(first.RefreshToken)
		var next Token
		decodeJSON(t, body, &next)
		if next.ExpiresIn != int64(tt.access)*86400 || next.RefreshTokenExpiresIn != int64(tt.refresh)*86400 || next.RefreshToken != first.RefreshToken || next.AccessToken == first.AccessToken {
			t.Errorf("on day %d: access %d s, refresh %d s, want %d and %d days", tt.day, next.ExpiresIn, next.RefreshTokenExpiresIn, tt.access, tt.refresh)
		}
	}
	c.clock.now = testStart.Add(365 * day)
	if status, _ := c.refresh(first.RefreshToken); status != http.StatusBadRequest {
		t.Errorf("refresh after a year = %d, want 400", status)
	}
}

func TestRefreshFollowsItsSwitches(t *testing.T) {
	tests := []struct {
		sw       Switches
		renewed  func(old, new Token) bool
		oldStays bool
	}{
		{Switches{RefreshAnswer: "rotated"}, func(old, new Token) bool { return new.RefreshToken != "" && new.RefreshToken != old.RefreshToken }, false},
		{Switches{RefreshAnswer: "absent"}, func(_, new Token) bool { return new.RefreshToken == "" && new.RefreshTokenExpiresIn == 0 }, true},
		{Switches{RefreshLifeInMinutes: true}, func(_, new Token) bool { return new.RefreshTokenExpiresIn == 525600 }, true},
		{Switches{SpacesInScope: true}, func(_, new Token) bool { return new.Scope == "r_ads r_events" }, true},
	}
	for _, tt := range tests {
		c := emptyWorld(t, Config{Switches: tt.sw})
		old := c.login("r_ads r_events")
		_, body := c.refresh(old.RefreshToken)
		var renewed Token
		decodeJSON(t, body, &renewed)
		if !tt.renewed(old, renewed) {
			t.Errorf("%+v: refresh answers %s", tt.sw, body)
		}
		if status, _ := c.refresh(old.RefreshToken); (status == http.StatusOK) != tt.oldStays {
			t.Errorf("%+v: the old refresh token answers %d", tt.sw, status)
		}
	}
	c := emptyWorld(t, Config{Switches: Switches{BearerOnly: true}})
	if token := c.login("r_events"); token.RefreshToken != "" || token.RefreshTokenExpiresIn != 0 || token.AccessToken == "" {
		t.Errorf("bearer only: %+v, want no refresh token", token)
	}
}

func TestOtherScopesRevokeEarlierTokens(t *testing.T) {
	c := emptyWorld(t, Config{})
	a, b := c.login("r_events r_organization_admin"), c.login("r_organization_admin r_events")
	const target = "/rest/organizationAcls?q=roleAssignee"
	for _, token := range []Token{a, b} {
		c.token = token.AccessToken
		c.wantStatus(target, http.StatusOK)
	}
	c.login("r_events")
	for _, token := range []Token{a, b} {
		c.token = token.AccessToken
		if body := string(c.wantStatus(target, http.StatusUnauthorized)); !strings.Contains(body, "REVOKED_ACCESS_TOKEN") {
			t.Errorf("after consent to other scopes: %s", body)
		}
		if status, _ := c.refresh(token.RefreshToken); status != http.StatusBadRequest {
			t.Errorf("refresh after consent to other scopes = %d, want 400", status)
		}
	}
}

func TestFreshTokensLag(t *testing.T) {
	c := emptyWorld(t, Config{Switches: Switches{FreshTokenLag: 5 * time.Second}})
	c.token = c.login("r_organization_admin").AccessToken
	const target = "/rest/organizationAcls?q=roleAssignee"
	c.wantStatus(target, http.StatusUnauthorized)
	if state := c.introspect(c.token); state.Status != "active" {
		t.Errorf("introspection of a fresh token is %q, want active", state.Status)
	}
	c.clock.now = c.clock.now.Add(5 * time.Second)
	c.wantStatus(target, http.StatusOK)
}

// introspection is what introspectToken answers.
type introspection struct {
	Active       bool   `json:"active"`
	ClientID     string `json:"client_id"`
	AuthorizedAt int64  `json:"authorized_at"`
	CreatedAt    int64  `json:"created_at"`
	Status       string `json:"status"`
	ExpiresAt    int64  `json:"expires_at"`
	Scope        string `json:"scope"`
	AuthType     string `json:"auth_type"`
}

func (c *client) introspect(token string) introspection {
	c.t.Helper()
	status, body := c.postForm("/oauth/v2/introspectToken", "token="+token+credentials)
	var state introspection
	decodeJSON(c.t, body, &state)
	if status != http.StatusOK {
		c.t.Errorf("introspectToken = %d %s, want 200", status, body)
	}
	return state
}

func TestIntrospectionTellsTheStateOfAToken(t *testing.T) {
	for _, bare := range []bool{false, true} {
		c := emptyWorld(t, Config{Switches: Switches{IntrospectionBare: bare}})
		expired := c.login("r_events")
		c.server.ExpireTokens()
		revoked := c.login("r_events")
		c.server.RevokeTokens()
		for token, want := range map[string]string{expired.AccessToken: "expired", revoked.AccessToken: "revoked", expired.RefreshToken: "", "AQXforeign": ""} {
			state := c.introspect(token)
			if state.Active || state.Status != want || (state.ClientID != "") != (want != "" && !bare) {
				t.Errorf("bare %v: introspection = %+v, want status %q", bare, state, want)
			}
		}
	}
	c := emptyWorld(t, Config{Switches: Switches{IntrospectRefresh: true}})
	if state := c.introspect(c.login("r_events").RefreshToken); !state.Active {
		t.Errorf("introspection of a refresh token = %+v, want it active", state)
	}
	for body, want := range map[string]int{"token=x&client_secret=y&client_id=other": 400, credentials[1:]: 400, "token=x&client_secret=y&client_id=" + DefaultClientID: 401} {
		if status, _ := c.postForm("/oauth/v2/introspectToken", body); status != want {
			t.Errorf("introspectToken %q = %d, want %d", body, status, want)
		}
	}
}

func TestConsentCanBeSkipped(t *testing.T) {
	auto := emptyWorld(t, Config{AutoConsent: true})
	auto.wantStatus(authorizeURL(nil), http.StatusFound)
	again := emptyWorld(t, Config{Switches: Switches{SkipConsent: true}})
	again.wantStatus(authorizeURL(nil), http.StatusOK)
	again.decide(nil, "approve")
	again.wantStatus(authorizeURL(nil), http.StatusFound)
	again.wantStatus(authorizeURL(map[string]string{"scope": "r_events"}), http.StatusOK)
}

func TestConsentPageQuotesWhatItShows(t *testing.T) {
	c := emptyWorld(t, Config{})
	body := string(c.wantStatus(authorizeURL(map[string]string{"state": `"><script>alert(1)</script>`}), http.StatusOK))
	if strings.Contains(body, "<script>") {
		t.Errorf("the page holds the state as markup: %s", body)
	}
}
