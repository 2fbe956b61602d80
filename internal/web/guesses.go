package web

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Wrong passwords that are answered: five at once from one address and then one
// in twelve seconds; twenty at once from everywhere and then one a second. A
// password of eight random letters and digits stands that for ever.
const (
	guessesPerAddress = 5
	guessesInAll      = 20
	guessEvery        = 12 * time.Second
	anyGuessEvery     = time.Second
)

// guesses limits how often a wrong password may be tried. Right ones cost
// nothing, but while an address is limited they are refused as well, else the
// limit would limit nothing. Safe for concurrent use.
type guesses struct {
	mu  sync.Mutex
	all *rate.Limiter
	of  map[netip.Prefix]*rate.Limiter // of the addresses that guessed wrong of late
}

func newGuesses() *guesses {
	return &guesses{all: rate.NewLimiter(rate.Every(anyGuessEvery), guessesInAll), of: map[netip.Prefix]*rate.Limiter{}}
}

// try asks right, unless from has guessed wrong too often: then wait is how
// long until it may try again, above 0.
func (g *guesses) try(from netip.Addr, now time.Time, right func() bool) (ok bool, wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := network(from)
	mine, known := g.of[key]
	if !known {
		mine = rate.NewLimiter(rate.Every(guessEvery), guessesPerAddress)
	}
	if wait := max(untilNext(mine, now), untilNext(g.all, now)); wait > 0 {
		return false, wait
	}
	if right() {
		return true, 0
	}
	mine.AllowN(now, 1)
	g.all.AllowN(now, 1)
	g.forget(now)
	g.of[key] = mine
	return false, 0
}

// forget drops the addresses that have all their guesses back. As wrong guesses
// come no faster than all allows, what remains is few.
func (g *guesses) forget(now time.Time) {
	for key, l := range g.of {
		if l.TokensAt(now) >= guessesPerAddress {
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
