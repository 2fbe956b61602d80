package web

import (
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Wrong passwords that are answered: five at once from one guesser and then one
// in twelve seconds; twenty at once from all strangers and then one a second. A
// password of eight random letters and digits stands that for ever.
const (
	guessesPerGuesser = 5
	guessesInAll      = 20
	guessEvery        = 12 * time.Second
	anyGuessEvery     = time.Second
)

// guesser is who tries a password.
type guesser struct {
	id string
	// known: a browser with which somebody logged in before. Only the password gives
	// it its cookie, so it needs no other limit than its own, and strangers who guess
	// do not keep it out (OWASP, device cookies).
	known bool
}

// guesses limits how often a wrong password may be tried. Right ones cost
// nothing, but while a guesser is limited they are refused as well, else the
// limit would limit nothing. Safe for concurrent use.
type guesses struct {
	mu  sync.Mutex
	all *rate.Limiter            // of strangers
	of  map[string]*rate.Limiter // of those who guessed wrong of late
}

func newGuesses() *guesses {
	return &guesses{all: rate.NewLimiter(rate.Every(anyGuessEvery), guessesInAll), of: map[string]*rate.Limiter{}}
}

// try asks right, unless from has guessed wrong too often: then wait is how
// long until it may try again, above 0.
func (g *guesses) try(from guesser, now time.Time, right func() bool) (ok bool, wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	mine, guessed := g.of[from.id]
	if !guessed {
		mine = rate.NewLimiter(rate.Every(guessEvery), guessesPerGuesser)
	}
	wait = untilNext(mine, now)
	if !from.known {
		wait = max(wait, untilNext(g.all, now))
	}
	if wait > 0 {
		return false, wait
	}
	if right() {
		return true, 0
	}
	mine.AllowN(now, 1)
	if !from.known {
		g.all.AllowN(now, 1)
	}
	g.forget(now)
	g.of[from.id] = mine
	return false, 0
}

// forget drops the guessers that have all their guesses back. As wrong guesses come
// no faster than all allows, and known browsers are few, so is what remains.
func (g *guesses) forget(now time.Time) {
	for key, l := range g.of {
		if l.TokensAt(now) >= guessesPerGuesser {
			delete(g.of, key)
		}
	}
}

// untilNext is how long until l allows one more, 0 when it does now.
func untilNext(l *rate.Limiter, now time.Time) time.Duration {
	missing := 1 - l.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return max(time.Duration(missing/float64(l.Limit())*float64(time.Second)), time.Millisecond)
}

// network is what one person commands: an IPv4 address, an IPv6 /64.
func network(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address at all: all such share one limit
	}
	return p
}

// guesser is who sends the request.
func (s *Server) guesser(r *http.Request) guesser {
	if cookie, err := r.Cookie(s.cookieName(browserCookie)); err == nil && s.sessions.browser.check(cookie.Value, s.now()) == nil {
		return guesser{id: cookie.Value, known: true}
	}
	return guesser{id: network(client(r)).String()}
}

// client is the address of who sends the request: the one that the proxy in front of
// us names last, where the connection is one that a proxy may have. Who reaches the
// port from such an address without a proxy may say what he likes, and is held by the
// limit of all.
func client(r *http.Request) netip.Addr {
	from := remote(r)
	if !from.IsLoopback() && !from.IsPrivate() && !from.IsLinkLocalUnicast() {
		return from
	}
	named := r.Header.Values("X-Forwarded-For")
	if len(named) == 0 {
		return from
	}
	last := named[len(named)-1]
	last = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
	if a, err := netip.ParseAddr(last); err == nil {
		return a.Unmap()
	}
	if a, err := netip.ParseAddrPort(last); err == nil { // as Azure's gateways write it
		return a.Addr().Unmap()
	}
	return from
}
