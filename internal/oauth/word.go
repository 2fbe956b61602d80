package oauth

import (
	"context"
	"time"
)

// freshFor is how long after its issue a token may be refused by parts of
// LinkedIn that have not heard of it yet (seen by several integrators: 401,
// 65601, for some seconds).
const freshFor = 30 * time.Second

// word is what LinkedIn's introspection said last of an access token. It stands
// until LinkedIn says something else: an outage takes nothing back.
type word struct {
	access string
	in     Introspection
	// condemned: it is not active, and that was found out because it had to be
	// replaced. Only then no request is made with it any more.
	condemned bool
}

// ask has LinkedIn's introspection tell of t, and keeps what it says.
func (s *Session) ask(ctx context.Context, t Token) (Introspection, error) {
	in, err := s.introspect(ctx, t.Access)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.appAtIntrospection.update(err, s.now()) {
		s.wake(ctx)
		if err == nil {
			s.appAtExchange = appRefusal{} // the same credentials may be good there again, too
		}
	}
	if err == nil && !s.tooEarly(t, in) {
		condemned := !in.Active && s.word.access == t.Access && s.word.condemned
		s.word = word{access: t.Access, in: in, condemned: condemned}
	}
	return in, err
}

// tooEarly reports that in says nothing of t: parts of LinkedIn may not know a
// token yet that was just issued. The caller holds the lock.
func (s *Session) tooEarly(t Token, in Introspection) bool {
	condemned := s.word.access == t.Access && s.word.condemned // by a request that had waited
	return !in.Active && in.Status != "expired" && s.fresh(t) && !condemned
}

// fresh reports whether t was issued less than freshFor ago, by this machine's
// clock alone: another one's, which may have written ObtainedAt, can be minutes
// off. The caller holds the lock.
func (s *Session) fresh(t Token) bool {
	age := s.now().Sub(s.newSince)
	return t.Access == s.token.Access && age >= 0 && age < freshFor
}

func (s *Session) isFresh(t Token) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fresh(t)
}

// appeared is when a token that is taken over now was issued, as far as this
// machine's clock can tell: just now, when another token or none was there
// before. The caller holds the lock.
func (s *Session) appeared(t Token) time.Time {
	now := s.now()
	if s.loadedAt.IsZero() && t.ObtainedAt.Before(now) {
		return t.ObtainedAt
	}
	return now
}

// condemn has no request made with t any more, of which LinkedIn said in, until
// it says otherwise.
func (s *Session) condemn(t Token, in Introspection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.word = word{access: t.Access, in: in, condemned: true}
}

// condemned reports that no request is to be made with t.
func (s *Session) condemned(t Token) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.word.condemned && s.word.access == t.Access
}

// lastWord is what holds of t while LinkedIn cannot be asked: what it said last,
// and the date to which it gave the token.
func (s *Session) lastWord(t Token) Introspection {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := Introspection{Active: true}
	if s.word.access == t.Access {
		in = s.word.in
	}
	if in.Active && !t.AccessExpiresAt.IsZero() && !s.now().Before(t.AccessExpiresAt) {
		in.Active, in.Status = false, "expired"
	}
	return in
}

// deathOf is why the access token is of no use.
func (s *Session) deathOf(t Token) Reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.word.condemned && s.word.access == t.Access:
		return s.word.in.Reason()
	case !t.AccessExpiresAt.IsZero() && !s.now().Before(t.AccessExpiresAt):
		return AccessExpired
	}
	return AccessRefused
}

// denial is a consent whose tokens LinkedIn's API refuses although introspection
// calls them active, renewed ones as well.
type denial struct {
	consent time.Time // its AuthorizedAt
	since   time.Time // no request was taken
}

// oneResource is how long the API must have taken no request before its refusal
// of a token is one of the connection: a resource alone that answers 401 is its
// source's trouble.
const oneResource = 3 * time.Minute

// deny notes that the API refused t and nothing helped. When introspection says
// the same, that says why, and LinkedIn's word on it counts.
func (s *Session) deny(t Token) {
	if s.condemned(t) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.denied.consent.Equal(t.AuthorizedAt) {
		s.denied = denial{consent: t.AuthorizedAt, since: s.now()}
	}
}

// took notes that the API took the token of a request. What a Heartbeat asks for
// itself is too little to tell of the others.
func (s *Session) took(ctx context.Context) {
	if ctx.Value(quiet{}) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied = denial{}
}

// refusedByAPI reports that the API has refused a token of t's consent since it
// last took one, and whether that speaks of the whole connection.
func (s *Session) refusedByAPI(t Token) (some, every bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	some = !s.denied.consent.IsZero() && s.denied.consent.Equal(t.AuthorizedAt)
	return some, some && s.now().Sub(s.denied.since) >= oneResource
}
