package oauth

import (
	"errors"
	"time"
)

// appHolds is how long LinkedIn's refusal of the app's credentials is taken as
// known before they are sent to the same endpoint once more.
const appHolds = time.Minute

// appRefusal is an endpoint's refusal of the app's credentials; it stands until
// the endpoint takes them.
type appRefusal struct {
	err *AppRefusedError
	at  time.Time
}

// update takes over what the endpoint's answer says of the credentials, and
// reports whether that is another thing than before.
func (r *appRefusal) update(answer error, now time.Time) (news bool) {
	was := r.err != nil
	app := (*AppRefusedError)(nil)
	refused := (*refusedError)(nil)
	switch {
	case errors.As(answer, &app):
		*r = appRefusal{err: app, at: now}
	case answer == nil, errors.As(answer, &refused):
		*r = appRefusal{}
	}
	return was != (r.err != nil)
}

// holds is the refusal while it need not be looked whether it still stands.
func (r *appRefusal) holds(now time.Time) error {
	if age := now.Sub(r.at); r.err == nil || age < 0 || age >= appHolds {
		return nil
	}
	return r.err
}

// noteExchange keeps what an answer of accessToken says of the app.
func (s *Session) noteExchange(answer error) (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.appAtExchange.update(answer, s.now())
}

// appHeld is a refusal of the app by accessToken that was just given, else nil.
func (s *Session) appHeld() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.appAtExchange.holds(s.now())
}

// appRefused reports that the app was refused when last it asked for a token, or
// about one, whether or not LinkedIn answers now.
func (s *Session) appRefused() (exchanging, asking bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.appAtExchange.err != nil, s.appAtIntrospection.err != nil
}
