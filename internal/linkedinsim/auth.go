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

// grant notes the member's consent and returns what it grants: everything that
// was asked for, but for what the switch withholds. Another set of scopes than
// before makes every token issued so far invalid.
func (a *auth) grant(asked []string) []string {
	withheld := strings.Fields(a.world.switches.Load().WithheldScopes)
	scopes := slices.DeleteFunc(slices.Clone(asked), func(s string) bool { return slices.Contains(withheld, s) })
	set := scopeSet(scopes)
	if a.granted != "" && a.granted != set {
		for _, t := range a.tokens {
			t.revoked = true
		}
	}
	a.granted = set
	return scopes
}

// accept is the token of a request, or the 401 that refuses it.
func (a *auth) accept(bearer string) (*token, *answer) {
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

// RevokeRefreshTokens revokes every refresh token.
func (s *Server) RevokeRefreshTokens() { s.auth.end(true, true) }

// setClientSecret changes the app's secret, as somebody can in LinkedIn's
// portal. From then on the old one is refused, and notifications are signed
// with the new one.
func (s *Server) setClientSecret(secret string) {
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	s.auth.secret = secret
}

// move makes codes and tokens as much older or younger as LinkedIn's clock
// moves, so that they live on.
func (a *auth) move(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.tokens {
		t.authorized, t.created, t.expires = t.authorized.Add(d), t.created.Add(d), t.expires.Add(d)
	}
	for _, c := range a.codes {
		c.issued = c.issued.Add(d)
	}
}
