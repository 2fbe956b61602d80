package linkedinsim

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Token is what the token endpoint answers.
type Token struct {
	AccessToken           string `json:"access_token"`
	ExpiresIn             int64  `json:"expires_in"` // seconds
	RefreshToken          string `json:"refresh_token,omitempty"`
	RefreshTokenExpiresIn int64  `json:"refresh_token_expires_in,omitempty"` // seconds
	Scope                 string `json:"scope"`
	TokenType             string `json:"token_type"`
}

// TokenSpec says which tokens to issue without the consent page. The zero value
// is what the page and the exchange would give for DefaultScopes.
type TokenSpec struct {
	// Scopes are those that the member consents to; others than before revoke the
	// tokens issued so far.
	Scopes []string `json:"scopes,omitempty"`
	// AccessLife and RefreshLife are how long the tokens live, a second or more;
	// 0 is as long as others do.
	AccessLife  time.Duration `json:"accessLife,omitempty"`
	RefreshLife time.Duration `json:"refreshLife,omitempty"`
	// AccessToken and RefreshToken are the tokens to issue, as another run of the
	// simulator gave them; empty is new ones.
	AccessToken  string `json:"accessToken,omitempty"`
	RefreshToken string `json:"refreshToken,omitempty"`
}

// issueTokens consents on the member's behalf and returns the tokens, as if the
// consent page had been approved and the code exchanged.
func (s *Server) issueTokens(spec TokenSpec) (Token, error) {
	for name, d := range map[string]time.Duration{"accessLife": spec.AccessLife, "refreshLife": spec.RefreshLife} {
		if d != 0 && d < time.Second {
			return Token{}, fmt.Errorf("%s is %v, must be at least 1s", name, d)
		}
	}
	return s.auth.consented(spec), nil
}

// IssueToken is issueTokens for the given scopes; none means DefaultScopes.
func (s *Server) IssueToken(scopes ...string) Token {
	return s.auth.consented(TokenSpec{Scopes: scopes})
}

func (a *auth) consented(spec TokenSpec) Token {
	if len(spec.Scopes) == 0 {
		spec.Scopes = DefaultScopes()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	issued := a.issue(a.grant(spec.Scopes), a.world.clock.now(), nil, lives{spec.AccessLife, spec.RefreshLife})
	a.rename(&issued.AccessToken, spec.AccessToken)
	a.rename(&issued.RefreshToken, spec.RefreshToken)
	return issued
}

// rename gives a token that was just issued another value, unless that is empty.
func (a *auth) rename(value *string, to string) {
	t := a.tokens[*value]
	if to == "" || t == nil {
		return
	}
	delete(a.tokens, *value)
	t.value, *value = to, to
	a.tokens[to] = t
}

// lives is how long tokens live.
type lives struct{ access, refresh time.Duration }

// lives are those that switches or the configuration say, where l does not.
func (a *auth) lives(l lives) lives {
	sw, cfg := a.world.switches.Load(), a.world.cfg
	return lives{cmp.Or(l.access, sw.AccessLife, cfg.AccessLife), cmp.Or(l.refresh, sw.RefreshLife, cfg.RefreshLife)}
}

// issue makes an access token and, unless there is one already or the app gets
// none, a refresh token.
func (a *auth) issue(scopes []string, authorized time.Time, refresh *token, life lives) Token {
	sw, cfg, now := a.world.switches.Load(), a.world.cfg, a.world.clock.now()
	life = a.lives(life)
	created := now.Truncate(time.Second)
	t := &token{
		value: a.text("access", "AQX", "accesstokenvalue", cfg.TokenLength), member: cfg.Member,
		scopes: scopes, authorized: authorized, created: now, expires: created.Add(life.access),
	}
	answer := Token{AccessToken: t.value, Scope: strings.Join(scopes, ","), TokenType: "Bearer"}
	if sw.SpacesInScope {
		answer.Scope = strings.Join(scopes, " ")
	}
	renewal := refresh != nil
	if renewal && sw.RefreshAnswer == "rotated" {
		refresh.revoked = true
		refresh = a.refreshToken(refresh.scopes, authorized, refresh.expires)
	}
	if !renewal && !sw.BearerOnly {
		refresh = a.refreshToken(scopes, authorized, created.Add(life.refresh))
	}
	if refresh != nil && refresh.expires.Before(t.expires) {
		t.expires = refresh.expires // an access token does not outlive its refresh token
	}
	a.tokens[t.value] = t
	answer.ExpiresIn = int64(t.expires.Sub(created) / time.Second)
	if refresh != nil && !(renewal && sw.RefreshAnswer == "absent") {
		answer.RefreshToken = refresh.value
		answer.RefreshTokenExpiresIn = int64(refresh.expires.Sub(created) / time.Second)
		if sw.RefreshLifeInMinutes {
			answer.RefreshTokenExpiresIn /= 60
		}
	}
	return answer
}

func (a *auth) refreshToken(scopes []string, authorized, expires time.Time) *token {
	t := &token{
		value: a.text("refresh", "AQW", "refreshtokenvalue", a.world.cfg.TokenLength), refresh: true, member: a.world.cfg.Member,
		scopes: scopes, authorized: authorized, created: a.world.clock.now(), expires: expires,
	}
	a.tokens[t.value] = t
	return t
}
