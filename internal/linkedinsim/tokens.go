package linkedinsim

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
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

// tokenKind is a kind of token and how its text begins and goes on, as examples
// of LinkedIn's show it.
type tokenKind struct{ name, opening, closing string }

var (
	codeToken    = &tokenKind{"code", "AQT", "code"}
	accessToken  = &tokenKind{"access", "AQX", "accesstokenvalue"}
	refreshToken = &tokenKind{"refresh", "AQW", "refreshtokenvalue"}
)

// token is an access or a refresh token or an authorization code.
type token struct {
	kind       *tokenKind
	value      string
	member     string
	scopes     []string
	authorized time.Time // consent
	created    time.Time
	expires    time.Time
	revoked    bool   // of a code: was used
	redirect   string // of a code
}

// has reports whether the token has one of the scopes; no scopes need none.
func (t *token) has(scopes []string) bool {
	return len(scopes) == 0 || slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(t.scopes, s) })
}

// auth is what LinkedIn knows of tokens, guarded by World.mu.
type auth struct {
	w       *World
	secret  string             // of the app
	made    map[*tokenKind]int // tokens made so far
	tokens  map[string]*token
	granted string // the scopes the member has consented to, sorted and joined
}

func newAuth(w *World) *auth {
	return &auth{w: w, secret: w.cfg.ClientSecret, made: map[*tokenKind]int{}, tokens: map[string]*token{}}
}

// IssueToken consents on the member's behalf to the given scopes, DefaultScopes
// without any, and returns the tokens.
func (w *World) IssueToken(scopes ...string) Token {
	token, _ := w.issueTokens(TokenSpec{Scopes: scopes}) // lives of 0 are never refused
	return token
}

// issueTokens consents on the member's behalf and returns the tokens, as if the
// consent page had been approved and the code exchanged. It takes the lock.
func (w *World) issueTokens(spec TokenSpec) (Token, error) {
	for name, life := range map[string]time.Duration{"accessLife": spec.AccessLife, "refreshLife": spec.RefreshLife} {
		if life != 0 && life < time.Second {
			return Token{}, fmt.Errorf("%s is %v, must be at least 1s", name, life)
		}
	}
	if len(spec.Scopes) == 0 {
		spec.Scopes = DefaultScopes()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	spec.Scopes = w.auth.grant(spec.Scopes)
	return w.auth.issue(spec, w.clock.now(), nil), nil
}

func scopeSet(scopes []string) string {
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(scopes))), " ")
}

// grant notes the member's consent and returns what it grants: everything that
// was asked for, but for what the switch withholds. Another set of scopes than
// before makes every token issued so far invalid.
func (a *auth) grant(asked []string) []string {
	withheld := strings.Fields(a.w.switches.WithheldScopes)
	scopes := slices.DeleteFunc(slices.Clone(asked), func(s string) bool { return slices.Contains(withheld, s) })
	set := scopeSet(scopes)
	for _, t := range a.tokens {
		t.revoked = t.revoked || t.kind != codeToken && a.granted != "" && a.granted != set
	}
	a.granted = set
	return scopes
}

// add makes a token. Unless its text is given, it is a number and filling up to
// the length; the same seed makes the same ones.
func (a *auth) add(t token, length int) *token {
	a.made[t.kind]++
	made := fmt.Sprintf("%ssim%04d%s", t.kind.opening, a.made[t.kind], t.kind.closing)
	var block [8]byte
	for h := mix(a.w.seed ^ uint64(a.made[t.kind])<<32 ^ uint64(len(t.kind.name))); len(made) < length; h = mix(h) {
		binary.BigEndian.PutUint64(block[:], h)
		made += base64.RawURLEncoding.EncodeToString(block[:])
	}
	t.value, t.member, t.created = cmp.Or(t.value, made), a.w.cfg.Member, a.w.clock.now()
	a.tokens[t.value] = &t
	return &t
}

// issue makes an access token and, unless there is one already or the app gets
// none, a refresh token.
func (a *auth) issue(spec TokenSpec, authorized time.Time, refresh *token) Token {
	sw, cfg, created := &a.w.switches, a.w.cfg, a.w.clock.now().Truncate(time.Second)
	renewal := refresh != nil
	access := a.add(token{
		kind: accessToken, value: spec.AccessToken, scopes: spec.Scopes, authorized: authorized,
		expires: created.Add(cmp.Or(spec.AccessLife, sw.AccessLife, cfg.AccessLife)),
	}, cfg.TokenLength)
	if rotated := renewal && sw.RefreshAnswer == "rotated"; rotated || !renewal && !sw.BearerOnly {
		expires := created.Add(cmp.Or(spec.RefreshLife, sw.RefreshLife, cfg.RefreshLife))
		if rotated {
			expires, refresh.revoked = refresh.expires, true
		}
		refresh = a.add(token{kind: refreshToken, value: spec.RefreshToken, scopes: spec.Scopes, authorized: authorized, expires: expires}, cfg.TokenLength)
	}
	if refresh != nil && refresh.expires.Before(access.expires) {
		access.expires = refresh.expires // an access token does not outlive its refresh token
	}
	separator := ","
	if sw.SpacesInScope {
		separator = " "
	}
	answer := Token{
		AccessToken: access.value, ExpiresIn: int64(access.expires.Sub(created) / time.Second),
		Scope: strings.Join(spec.Scopes, separator), TokenType: "Bearer",
	}
	if refresh != nil && !(renewal && sw.RefreshAnswer == "absent") {
		answer.RefreshToken, answer.RefreshTokenExpiresIn = refresh.value, int64(refresh.expires.Sub(created)/time.Second)
		if sw.RefreshLifeInMinutes {
			answer.RefreshTokenExpiresIn /= 60
		}
	}
	return answer
}

// accept is the token of a request, or the 401 that refuses it.
func (a *auth) accept(bearer string) (*token, *answer) {
	now, t := a.w.clock.now(), a.tokens[bearer]
	switch {
	case t == nil || t.kind != accessToken:
		return nil, unauthorized(65600, "INVALID_ACCESS_TOKEN", "Invalid access token")
	case t.revoked, now.Before(t.created.Add(a.w.switches.FreshTokenLag)) && !now.Before(t.created):
		return nil, unauthorized(65601, "REVOKED_ACCESS_TOKEN", "The token used in the request has been revoked by the user")
	case !now.Before(t.expires):
		return nil, unauthorized(65602, "EXPIRED_ACCESS_TOKEN", "The token used in the request has expired")
	}
	return t, nil
}

// move makes tokens as much older or younger as LinkedIn's clock moves, so that
// they live on.
func (a *auth) move(d time.Duration) {
	for _, t := range a.tokens {
		t.authorized, t.created, t.expires = t.authorized.Add(d), t.created.Add(d), t.expires.Add(d)
	}
}

// endTokens expires or revokes every living token of one kind. It takes the
// lock.
func (w *World) endTokens(kind *tokenKind, revoke bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.now()
	for _, t := range w.auth.tokens {
		switch {
		case t.kind != kind || t.revoked || !now.Before(t.expires):
		case revoke:
			t.revoked = true
		default:
			t.expires = now.Truncate(time.Second)
		}
	}
}

// setSecret gives the app another secret. It takes the lock.
func (w *World) setSecret(secret string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.auth.secret = secret
}

// ExpireTokens ends the life of every access token now.
func (w *World) ExpireTokens() { w.endTokens(accessToken, false) }

// RevokeTokens revokes every access token, as the member can.
func (w *World) RevokeTokens() { w.endTokens(accessToken, true) }

// RevokeRefreshTokens revokes every refresh token.
func (w *World) RevokeRefreshTokens() { w.endTokens(refreshToken, true) }
