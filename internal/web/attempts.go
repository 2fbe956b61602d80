package web

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"leadstream/internal/fault"
)

// limit is how often a wrong password may be tried: so many at once, and then one in
// every so often, for which it is waited in line.
type limit struct {
	atOnce float64
	every  time.Duration
}

// A guesser by himself, and all strangers together. Whoever knows the password
// waits in the same line as who guesses: it moves fast enough that a guess each second
// does not hold him up, and slowly enough that a password of eight random letters and digits
// stands it for thousands of years.
var (
	perGuesser = limit{5, 500 * time.Millisecond}
	inAll      = limit{20, 100 * time.Millisecond}
)

// longestLine is how long a guess waits for its turn; who would wait longer is
// sent away.
const longestLine = 5 * time.Second

// guesser is who tries a password.
type guesser struct {
	id string
	// known: a browser with which somebody logged in before. Only the password gives
	// it its cookie, so it needs no other limit than its own, and strangers who guess
	// do not keep it out (OWASP, device cookies).
	known bool
}

// loginAttempts limits how often a wrong password may be tried. Right ones cost
// nothing, but wait for their turn as well, else the limit would limit nothing.
// Safe for concurrent use.
type loginAttempts struct {
	now  func() time.Time
	wait func(context.Context, time.Duration) error

	mu  sync.Mutex
	all line            // of strangers
	of  map[string]line // of those who guessed wrong of late
}

func newLoginAttempts(now func() time.Time) *loginAttempts {
	return &loginAttempts{now: now, wait: fault.Sleep, of: map[string]line{}}
}

// line is how many attempts were made that time has not taken back yet.
type line struct {
	attempts float64
	at       time.Time
}

// as is the line at a later time.
func (l line) as(now time.Time, by limit) line {
	passed := max(now.Sub(l.at), 0)
	return line{max(l.attempts-float64(passed)/float64(by.every), 0), now}
}

// turn is how long one more has to wait.
func (l line) turn(by limit) time.Duration {
	return time.Duration(max(l.attempts+1-by.atOnce, 0) * float64(by.every))
}

// try asks right when it is from's turn. Where that is too far off it does not: then
// wait is how long until it may try again, above 0.
func (g *loginAttempts) try(ctx context.Context, from guesser, right func() bool) (ok bool, wait time.Duration) {
	if wait = g.queue(from); wait > longestLine || wait > 0 && g.wait(ctx, wait) != nil {
		return false, wait
	}
	if !right() {
		return false, 0
	}
	g.add(from, -1)
	return true, 0
}

// queue has from wait for its turn, unless that is too far off.
func (g *loginAttempts) queue(from guesser) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	wait := g.of[from.id].as(now, perGuesser).turn(perGuesser)
	if !from.known {
		wait = max(wait, g.all.as(now, inAll).turn(inAll))
	}
	if wait <= longestLine {
		g.addLocked(from, 1, now)
	}
	return wait
}

func (g *loginAttempts) add(from guesser, n float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.addLocked(from, n, g.now())
}

func (g *loginAttempts) addLocked(from guesser, n float64, now time.Time) {
	for id, l := range g.of { // those who have all their guesses back are forgotten
		if l.as(now, perGuesser).attempts == 0 {
			delete(g.of, id)
		}
	}
	mine := g.of[from.id].as(now, perGuesser)
	if mine.attempts = max(mine.attempts+n, 0); mine.attempts > 0 {
		g.of[from.id] = mine
	} else {
		delete(g.of, from.id)
	}
	if !from.known {
		g.all = g.all.as(now, inAll)
		g.all.attempts = max(g.all.attempts+n, 0)
	}
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
