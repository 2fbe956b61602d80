package linkedinsim

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

const codeLife = 30 * time.Minute // authorization code flow

// token is an access or a refresh token. Its fields change under auth.mu only.
type token struct {
	value      string
	refresh    bool
	member     string
	scopes     []string
	authorized time.Time // consent
	created    time.Time
	expires    time.Time
	revoked    bool
}

// has reports whether the token has one of the scopes; no scopes need none.
func (t *token) has(scopes []string) bool {
	return len(scopes) == 0 || slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(t.scopes, s) })
}

type code struct {
	redirect string
	scopes   []string
	issued   time.Time
	used     bool
}

// auth is what LinkedIn knows of codes and tokens.
type auth struct {
	world *World

	mu      sync.Mutex
	secret  string         // of the app
	made    map[string]int // tokens and codes made so far, by kind
	codes   map[string]*code
	tokens  map[string]*token
	granted string // the scopes the member has consented to, sorted and joined
}

func newAuth(w *World) *auth {
	return &auth{world: w, secret: w.cfg.ClientSecret, made: map[string]int{}, codes: map[string]*code{}, tokens: map[string]*token{}}
}

// Token is what the token endpoint answers.
type Token struct {
	AccessToken           string `json:"access_token"`
	ExpiresIn             int64  `json:"expires_in"` // seconds
	RefreshToken          string `json:"refresh_token,omitempty"`
	RefreshTokenExpiresIn int64  `json:"refresh_token_expires_in,omitempty"` // seconds
	Scope                 string `json:"scope"`
	TokenType             string `json:"token_type"`
}

// IssueToken consents on the member's behalf and returns the tokens, as if the
// consent page had been approved and the code exchanged. No scopes means
// DefaultScopes.
func (s *Server) IssueToken(scopes ...string) Token {
	if len(scopes) == 0 {
		scopes = DefaultScopes()
	}
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	s.auth.grant(scopes)
	return s.auth.issue(scopes, s.clock.now(), nil)
}

// text makes a token or code: the opening that examples of LinkedIn's show, a
// number, and filling up to the length. The same seed makes the same ones.
func (a *auth) text(kind, opening, closing string, length int) string {
	a.made[kind]++
	made := fmt.Sprintf("%ssim%04d%s", opening, a.made[kind], closing)
	var block [8]byte
	for h := mix(a.world.seed ^ uint64(a.made[kind])<<32 ^ uint64(len(kind))); len(made) < length; h = mix(h) {
		binary.BigEndian.PutUint64(block[:], h)
		made += base64.RawURLEncoding.EncodeToString(block[:])
	}
	return made
}

// clientSecret is the app's secret.
func (a *auth) clientSecret() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.secret
}

func scopeSet(scopes []string) string {
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(scopes))), " ")
}

// grant notes the member's consent. Another set of scopes than before makes
// every token issued so far invalid.
func (a *auth) grant(scopes []string) {
	set := scopeSet(scopes)
	if a.granted != "" && a.granted != set {
		for _, t := range a.tokens {
			t.revoked = true
		}
	}
	a.granted = set
}

// issue makes an access token and, unless there is one already or the app gets
// none, a refresh token.
func (a *auth) issue(scopes []string, authorized time.Time, refresh *token) Token {
	sw, cfg, now := a.world.switches.Load(), a.world.cfg, a.world.clock.now()
	created := now.Truncate(time.Second)
	t := &token{
		value: a.text("access", "AQX", "accesstokenvalue", cfg.TokenLength), member: cfg.Member,
		scopes: scopes, authorized: authorized, created: now, expires: created.Add(cfg.AccessLife),
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
		refresh = a.refreshToken(scopes, authorized, created.Add(cfg.RefreshLife))
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

// accept is the token of a request, or the 401 that refuses it.
func (a *auth) accept(bearer string) (*token, *reply) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, t := a.world.clock.now(), a.tokens[bearer]
	switch {
	case t == nil || t.refresh:
		return nil, unauthorized(65600, "INVALID_ACCESS_TOKEN", "Invalid access token")
	case t.revoked, now.Before(t.created.Add(a.world.switches.Load().FreshTokenLag)) && !now.Before(t.created):
		return nil, unauthorized(65601, "REVOKED_ACCESS_TOKEN", "The token used in the request has been revoked by the user")
	case !now.Before(t.expires):
		return nil, unauthorized(65602, "EXPIRED_ACCESS_TOKEN", "The token used in the request has expired")
	}
	copied := *t
	return &copied, nil
}

// end expires or revokes every living token of one kind.
func (a *auth) end(refresh, revoke bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.world.clock.now()
	for _, t := range a.tokens {
		switch {
		case t.refresh != refresh || t.revoked || !now.Before(t.expires):
		case revoke:
			t.revoked = true
		default:
			t.expires = now.Truncate(time.Second)
		}
	}
}

// ExpireTokens ends the life of every access token now.
func (s *Server) ExpireTokens() { s.auth.end(false, false) }

// RevokeTokens revokes every access token, as the member can.
func (s *Server) RevokeTokens() { s.auth.end(false, true) }

// ExpireRefreshTokens ends the life of every refresh token now.
func (s *Server) ExpireRefreshTokens() { s.auth.end(true, false) }

// RevokeRefreshTokens revokes every refresh token.
func (s *Server) RevokeRefreshTokens() { s.auth.end(true, true) }
