package linkedinsim

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// What can happen to tokens and access, brought about over the control API
// alone, as a test of a running connector does it.

const ownRoles = "/rest/organizationAcls?q=roleAssignee"

// issue issues tokens over HTTP and uses the access token from then on.
func (c *client) issue(spec string) Token {
	c.t.Helper()
	var token Token
	decodeJSON(c.t, c.control(http.MethodPost, "/sim/tokens", spec, http.StatusOK), &token)
	c.token = token.AccessToken
	return token
}

func (c *client) fault(body string) {
	c.t.Helper()
	c.control(http.MethodPost, "/sim/faults", body, http.StatusOK)
}

func (c *client) switches(body string) {
	c.t.Helper()
	c.control(http.MethodPost, "/sim/switches", body, http.StatusOK)
}

// wantRefusal gets target and fails unless it is refused in this way.
func (c *client) wantRefusal(what, target string, status int, code string) {
	c.t.Helper()
	if got, body := c.get(target); got != status || !strings.Contains(string(body), `"`+code+`"`) {
		c.t.Errorf("%s: GET %s = %d %.200s, want %d %s", what, target, got, body, status, code)
	}
}

// wantRefresh refreshes and fails unless the answer has the status.
func (c *client) wantRefresh(what, token string, want int) Token {
	c.t.Helper()
	status, body := c.refresh(token)
	if status != want {
		c.t.Errorf("%s: refresh = %d %s, want %d", what, status, body, want)
	}
	var renewed Token
	if status == http.StatusOK {
		decodeJSON(c.t, body, &renewed)
	}
	return renewed
}

func TestLivesOfTokensAreSetPerIssue(t *testing.T) {
	c := emptyWorld(t, Config{})
	token := c.issue(`{"accessLife":"90s","refreshLife":"10m"}`)
	if token.ExpiresIn != 90 || token.RefreshTokenExpiresIn != 600 {
		t.Fatalf("token = %+v, want 90 and 600 seconds", token)
	}
	c.wantStatus(ownRoles, http.StatusOK)
	c.control(http.MethodPost, "/sim/clock", `{"shift":"90s"}`, http.StatusOK)
	c.wantRefusal("after its life", ownRoles, 401, "EXPIRED_ACCESS_TOKEN")
	if state := c.introspect(token.AccessToken); state.Status != "expired" {
		t.Errorf("introspection says %q, want expired", state.Status)
	}
	renewed := c.wantRefresh("while it lives", token.RefreshToken, 200)
	if renewed.ExpiresIn != 510 { // capped by the refresh token
		t.Errorf("renewed = %+v, want 510 seconds", renewed)
	}
	c.control(http.MethodPost, "/sim/clock", `{"shift":"510s"}`, http.StatusOK)
	c.wantRefresh("after its life", token.RefreshToken, 400)
	for _, spec := range []string{`{"accessLife":"10ms"}`, `{"refreshLife":"-1h"}`, `{"accessLife":60}`, `{"life":"60s"}`} {
		c.control(http.MethodPost, "/sim/tokens", spec, http.StatusBadRequest)
	}
}

// A client that kept its tokens goes on with them in another run of the simulator.
func TestTokensOfAnotherRunAreIssuedAgain(t *testing.T) {
	c := emptyWorld(t, Config{})
	token := c.issue(`{"accessToken":"AQX-kept","refreshToken":"AQW-kept","accessLife":"90s"}`)
	if token.AccessToken != "AQX-kept" || token.RefreshToken != "AQW-kept" || token.ExpiresIn != 90 {
		t.Errorf("token = %+v, want those that were asked for", token)
	}
	c.wantStatus(ownRoles, http.StatusOK)
	if state := c.introspect(token.AccessToken); state.Status != "active" {
		t.Errorf("introspection says %q, want active", state.Status)
	}
	renewed := c.wantRefresh("with the one that was kept", token.RefreshToken, 200)
	if other := c.issue(`{}`); other.AccessToken == token.AccessToken || other.AccessToken == renewed.AccessToken {
		t.Errorf("token = %+v, want another one", other)
	}
}

func TestLivesOfTokensAreSetBySwitch(t *testing.T) {
	c := emptyWorld(t, Config{AccessLife: 30 * day})
	if token := c.login("r_events"); token.ExpiresIn != 30*86400 {
		t.Errorf("token = %+v, want the 30 days of the configuration", token)
	}
	c.switches(`{"accessLife":"5s","refreshLife":"20s"}`)
	token := c.login("r_events")
	if token.ExpiresIn != 5 || token.RefreshTokenExpiresIn != 20 {
		t.Errorf("token = %+v, want 5 and 20 seconds", token)
	}
	if renewed := c.wantRefresh("within", token.RefreshToken, 200); renewed.ExpiresIn != 5 || renewed.RefreshTokenExpiresIn != 20 {
		t.Errorf("renewed = %+v, want 5 and 20 seconds", renewed)
	}
	c.control(http.MethodPost, "/sim/switches", `{"accessLife":"5ms"}`, http.StatusBadRequest)
}

func TestTokensDieInEveryWay(t *testing.T) {
	tests := []struct {
		name, target, body string
		code               string // of the API; empty while the access token is good
		status             string // by introspection
		refresh            int
	}{
		{"nothing", "/sim/faults", `[]`, "", "active", 200},
		{"access expires early", "/sim/faults", `{"kind":"expire_token"}`, "EXPIRED_ACCESS_TOKEN", "expired", 200},
		{"access revoked", "/sim/faults", `{"kind":"revoke_token"}`, "REVOKED_ACCESS_TOKEN", "revoked", 200},
		{"member takes the consent back", "/sim/faults", `[{"kind":"revoke_token"},{"kind":"revoke_refresh_token"}]`, "REVOKED_ACCESS_TOKEN", "revoked", 400},
		{"consent with other scopes", "/sim/tokens", `{"scopes":["r_events"]}`, "REVOKED_ACCESS_TOKEN", "revoked", 400},
		{"consent with the same scopes", "/sim/tokens", `{}`, "", "active", 200},
		{"refresh expires", "/sim/faults", `{"kind":"expire_refresh_token"}`, "", "active", 400},
		{"refresh revoked", "/sim/faults", `{"kind":"revoke_refresh_token"}`, "", "active", 400},
		{"both expire", "/sim/faults", `[{"kind":"expire_token"},{"kind":"expire_refresh_token"}]`, "EXPIRED_ACCESS_TOKEN", "expired", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := emptyWorld(t, Config{})
			token := c.issue(`{}`)
			c.control(http.MethodPost, tt.target, tt.body, http.StatusOK)
			if tt.code == "" {
				c.wantStatus(ownRoles, http.StatusOK)
			} else {
				c.wantRefusal(tt.name, ownRoles, 401, tt.code)
			}
			if state := c.introspect(token.AccessToken); state.Status != tt.status || state.Active != (tt.status == "active") {
				t.Errorf("introspection = %+v, want %s", state, tt.status)
			}
			c.wantRefresh(tt.name, token.RefreshToken, tt.refresh)
		})
	}
}

func TestRefreshAnswersInThreeWays(t *testing.T) {
	c := emptyWorld(t, Config{})
	for _, tt := range []struct {
		switches string
		check    func(old, renewed Token) bool
	}{
		{`{}`, func(old, renewed Token) bool { return renewed.RefreshToken == old.RefreshToken }},
		{`{"refreshAnswer":"absent"}`, func(_, renewed Token) bool { return renewed.RefreshToken == "" }},
		{`{"refreshAnswer":"rotated"}`, func(old, renewed Token) bool {
			return renewed.RefreshToken != "" && renewed.RefreshToken != old.RefreshToken
		}},
	} {
		token := c.issue(`{}`)
		c.switches(tt.switches)
		if renewed := c.wantRefresh(tt.switches, token.RefreshToken, 200); !tt.check(token, renewed) {
			t.Errorf("%s: the refresh gives %+v", tt.switches, renewed)
		}
	}
	token := c.issue(`{}`)
	c.wantRefresh("first", token.RefreshToken, 200)
	c.wantRefresh("the old one after the rotation", token.RefreshToken, 400)
}

func TestConsentCanGrantLess(t *testing.T) {
	c := emptyWorld(t, Config{})
	c.switches(`{"withheldScopes":"r_events r_organization_admin"}`)
	token := c.login(strings.Join(DefaultScopes(), " "))
	if c.token = token.AccessToken; token.Scope != "r_marketing_leadgen_automation" {
		t.Errorf("scope = %q, want the one that is not withheld", token.Scope)
	}
	c.wantRefusal("withheld", ownRoles, 403, "ACCESS_DENIED")
	c.wantStatus(smallFinder, http.StatusOK)
	if state := c.introspect(token.AccessToken); state.Scope != token.Scope {
		t.Errorf("introspection says %q, want %q", state.Scope, token.Scope)
	}
	if renewed := c.wantRefresh("less", token.RefreshToken, 200); renewed.Scope != token.Scope {
		t.Errorf("the refresh grants %q, want %q", renewed.Scope, token.Scope)
	}
	c.switches(`{}`)
	whole := c.login(strings.Join(DefaultScopes(), " "))
	c.wantRefusal("the lesser token after a whole consent", smallFinder, 401, "REVOKED_ACCESS_TOKEN")
	c.token = whole.AccessToken
	c.wantStatus(ownRoles, http.StatusOK)
}

func TestSecretCanBeChangedAtLinkedIn(t *testing.T) {
	c := emptyWorld(t, Config{})
	token := c.issue(`{}`)
	code := c.decide(nil, "approve").Query().Get("code")
	c.fault(`{"kind":"change_secret","secret":"sim-client-secret-0002"}`)
	exchange := "grant_type=authorization_code&code=" + code + "&redirect_uri=" + url.QueryEscape(callback)
	refresh := "grant_type=refresh_token&refresh_token=" + token.RefreshToken
	ask := "token=" + token.AccessToken
	for _, secret := range []string{DefaultClientSecret, "sim-client-secret-0002"} {
		want := map[string]int{DefaultClientSecret: 401}[secret]
		for request, target := range map[string]string{exchange: "accessToken", refresh: "accessToken", ask: "introspectToken"} {
			status, body := c.postForm("/oauth/v2/"+target, request+"&client_id="+DefaultClientID+"&client_secret="+secret)
			if want == 401 && (status != 401 || !strings.Contains(string(body), "invalid_client")) || want == 0 && status != 200 {
				t.Errorf("%s with secret %s = %d %s", request[:20], secret, status, body)
			}
		}
	}
	c.wantStatus(ownRoles, http.StatusOK) // tokens live on
	if d := c.server.Describe(); d.ClientSecret != "sim-client-secret-0002" {
		t.Errorf("the description names secret %s", d.ClientSecret)
	}
	c.control(http.MethodPost, "/sim/faults", `{"kind":"change_secret"}`, http.StatusBadRequest)
}

// TestTokenEndpointsFailEachAlone: 5xx, and a page where JSON belongs.
func TestTokenEndpointsFailEachAlone(t *testing.T) {
	c := emptyWorld(t, Config{})
	token := c.issue(`{}`)
	ask := map[string]func() (int, []byte){
		"accessToken": func() (int, []byte) { return c.refresh(token.RefreshToken) },
		"introspectToken": func() (int, []byte) {
			return c.postForm("/oauth/v2/introspectToken", "token="+token.AccessToken+credentials)
		},
	}
	for endpoint, other := range map[string]string{"accessToken": "introspectToken", "introspectToken": "accessToken"} {
		for _, tt := range []struct {
			fault  string
			status int
		}{
			{`"kind":"status","status":500`, 500}, {`"kind":"status","status":503`, 503},
			{`"kind":"html"`, 200}, {`"kind":"html","status":502`, 502},
		} {
			c.fault(`{"endpoint":"` + endpoint + `",` + tt.fault + `}`)
			if status, body := ask[other](); status != 200 || !strings.HasPrefix(string(body), "{") {
				t.Errorf("%s on %s: %s = %d %s, want it unharmed", tt.fault, endpoint, other, status, body)
			}
			c.wantStatus(ownRoles, http.StatusOK)
			status, body := ask[endpoint]()
			if page := strings.HasPrefix(string(body), "<!DOCTYPE"); status != tt.status || page != strings.Contains(tt.fault, "html") {
				t.Errorf("%s on %s = %d %s", tt.fault, endpoint, status, body)
			}
			if status, _ := ask[endpoint](); status != 200 {
				t.Errorf("after %s, %s = %d, want 200", tt.fault, endpoint, status)
			}
		}
	}
}

// TestTokenCheckCanFailInside: the API answers 500 and the token is good.
func TestTokenCheckCanFailInside(t *testing.T) {
	c := emptyWorld(t, Config{})
	token := c.issue(`{}`)
	c.fault(`{"kind":"status","status":500,"endpoint":"organizationAcls","body":"{\"status\":500,\"message\":\"Internal error while verifying the access token\"}"}`)
	if status, body := c.get(ownRoles); status != 500 || !strings.Contains(string(body), "verifying") {
		t.Errorf("GET = %d %s, want 500", status, body)
	}
	if state := c.introspect(token.AccessToken); !state.Active {
		t.Errorf("introspection = %+v, want the token active", state)
	}
	c.wantStatus(ownRoles, http.StatusOK)
}

func TestFreshTokensLagForSeconds(t *testing.T) {
	c := emptyWorld(t, Config{})
	c.switches(`{"freshTokenLag":"7s"}`)
	token := c.issue(`{}`)
	for _, step := range []struct {
		wait time.Duration
		code int
	}{{0, 401}, {6 * time.Second, 401}, {time.Second, 200}} {
		c.clock.now = c.clock.now.Add(step.wait)
		if status, body := c.get(ownRoles); status != step.code || status == 401 && !strings.Contains(string(body), "65601") {
			t.Errorf("after %v more: %d %s, want %d", step.wait, status, body, step.code)
		}
	}
	renewed := c.wantRefresh("renewed", token.RefreshToken, 200)
	c.wantStatus(ownRoles, http.StatusOK) // the one before is good
	c.token = renewed.AccessToken
	c.wantRefusal("renewed", ownRoles, 401, "REVOKED_ACCESS_TOKEN")
}

func TestRolesComeAndGoPerOrganization(t *testing.T) {
	other := strings.ReplaceAll(smallFinder, "9000123", "9000456")
	for status, switches := range map[int]string{403: `{}`, 401: `{"roleMissingStatus":401}`} {
		c := newClient(t, Config{Organizations: 2, Events: 2, Forms: 2, Leads: 10, Seed: 1})
		c.switches(switches)
		c.fault(`{"kind":"lose_role","owner":"9000123"}`)
		for _, target := range []string{
			smallFinder, "/rest/leadForms/7130000000000000001", "/rest/events/7200000000000000123", criteria(""), "/rest/organizations/9000123",
			"/rest/leadForms?q=owner&owner=(organization:urn%3Ali%3Aorganization%3A9000123)",
			"/rest/events?q=eventsByOrganizer&organizer=urn%3Ali%3Aorganization%3A9000123",
		} {
			c.wantRefusal("without role", target, status, "ACCESS_DENIED")
		}
		c.wantStatus(other, http.StatusOK)
		if rows := string(c.wantStatus(ownRoles, http.StatusOK)); strings.Count(rows, `"REVOKED"`) != 1 || !strings.Contains(rows, `"APPROVED"`) {
			t.Errorf("the member's rows are %s, want one of them REVOKED", rows)
		}
		if p := c.page(ownRoles + "&state=APPROVED"); strings.Contains(fmt.Sprintf("%s", p.Elements), firstOwner) {
			t.Errorf("the approved rows are %s, want none of %s", p.Elements, firstOwner)
		}
		c.fault(`{"kind":"grant_role","owner":"9000123","role":"CONTENT_ADMINISTRATOR"}`)
		c.wantStatus(smallFinder, http.StatusOK)
	}
	c := smallWorld(t)
	c.switches(`{"roleMissingStatus":401}`)
	c.issue(`{"scopes":["r_organization_admin"]}`)
	c.wantRefusal("a missing scope stays 403", smallFinder, 403, "ACCESS_DENIED")
	c.control(http.MethodPost, "/sim/switches", `{"roleMissingStatus":404}`, http.StatusBadRequest)
}

func TestMissingScopeIs403(t *testing.T) {
	c := smallWorld(t)
	for scope, refused := range map[string][]string{
		"r_marketing_leadgen_automation": {"/rest/events/7200000000000000123", ownRoles},
		"r_events":                       {smallFinder, "/rest/leadForms/7130000000000000001", criteria("")},
		"r_organization_admin":           {smallFinder, "/rest/events/7200000000000000123"},
	} {
		c.issue(`{"scopes":["` + scope + `"]}`)
		for _, target := range refused {
			c.wantRefusal("with "+scope, target, 403, "ACCESS_DENIED")
		}
	}
}

// TestClockMovesFarWhileTokensLiveOn: with keepTokens LinkedIn's clock shows
// another time and nothing else has changed.
func TestClockMovesFarWhileTokensLiveOn(t *testing.T) {
	for _, shift := range []string{"3h", "-3h", "2400h", "-2400h", "43800h", "-43800h"} {
		c := smallWorld(t)
		token := c.issue(`{}`)
		code := c.decide(map[string]string{"scope": strings.Join(DefaultScopes(), " ")}, "approve").Query().Get("code")
		c.control(http.MethodPost, "/sim/clock", `{"shift":"`+shift+`","keepTokens":true}`, http.StatusOK)
		d, err := time.ParseDuration(shift)
		if err != nil {
			t.Fatal(err)
		}
		answer := c.do(http.MethodGet, ownRoles, "", nil)
		if status, _ := read(t, answer); status != 200 || answer.Header.Get("Date") != testStart.Add(d).Format(http.TimeFormat) {
			t.Errorf("by %s: GET = %d at %s, want 200 on the new clock", shift, status, answer.Header.Get("Date"))
		}
		if state := c.introspect(token.AccessToken); !state.Active || state.ExpiresAt-c.server.Now().Unix() != token.ExpiresIn {
			t.Errorf("by %s: introspection = %+v, want the whole life before it", shift, state)
		}
		c.wantRefresh(shift, token.RefreshToken, 200)
		if status, body := c.redeem(code); status != 200 {
			t.Errorf("by %s: the code = %d %s, want 200", shift, status, body)
		}
	}
	c := smallWorld(t)
	c.control(http.MethodPost, "/sim/clock", `{"offset":"43800h","keepTokens":true}`, http.StatusOK)
	c.wantStatus(ownRoles, http.StatusOK)
	c.fault(`{"kind":"shift_clock","shift":"-43800h","keepTokens":true}`)
	c.wantStatus(ownRoles, http.StatusOK)
	c.fault(`{"kind":"shift_clock","shift":"2400h"}`)
	c.wantRefusal("time passed for the tokens as well", ownRoles, 401, "EXPIRED_ACCESS_TOKEN")
}

func TestDescriptionTellsWhatATestNeeds(t *testing.T) {
	c := smallWorld(t)
	var d Description
	decodeJSON(t, c.control(http.MethodGet, "/sim", "", http.StatusOK), &d)
	if d.ClientID != DefaultClientID || d.ClientSecret != DefaultClientSecret || strings.Join(d.Scopes, " ") != strings.Join(DefaultScopes(), " ") ||
		len(d.AppScopes) < len(d.Scopes) || d.Member != "SimMbr0001" || len(d.Versions) == 0 {
		t.Errorf("the description is %+v", d)
	}
}
