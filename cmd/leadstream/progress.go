package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progress tells on standard error how far a command is that takes longer than a
// second: on a terminal in a line that is written over and gone at the end, else in
// a line every quarter of a minute. It is safe for concurrent use.
type progress struct {
	w        io.Writer
	terminal bool
	ends     chan struct{}
	ended    sync.WaitGroup

	mu          sync.Mutex
	what        string
	done, total int
	since       time.Time // when what began
	width       int       // of the line that is shown
}

const (
	progressAfter = time.Second
	progressLine  = 15 * time.Second
	progressFrame = 200 * time.Millisecond
)

// newProgress begins to tell; stop ends it.
func (a *app) newProgress() *progress {
	p := &progress{w: a.stderr, terminal: isTerminal(a.stderr), ends: make(chan struct{}), since: time.Now()}
	p.ended.Go(func() { p.run(time.Now()) })
	return p
}

// at says what the command is at, and how much of that is done; a total of 0 is not
// known.
func (p *progress) at(what string, done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if what != p.what {
		p.what, p.since, p.done = what, time.Now(), 0
	}
	p.done, p.total = max(p.done, done), total
}

// stop takes the line away.
func (p *progress) stop() {
	close(p.ends)
	p.ended.Wait()
}

func (p *progress) run(began time.Time) {
	every := progressLine
	if p.terminal {
		every = progressFrame
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-p.ends:
			p.clear()
			return
		case now := <-ticker.C:
			if now.Sub(began) >= progressAfter {
				p.show(now)
			}
		}
	}
}

func (p *progress) show(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := p.line(now)
	switch {
	case line == "":
	case p.terminal:
		fmt.Fprintf(p.w, "\r%-*s", p.width, line)
		p.width = len(line)
	default:
		fmt.Fprintf(p.w, "leadstream: %s\n", line)
	}
}

// line is what is told: count, rate and the time left where they are known.
func (p *progress) line(now time.Time) string {
	if p.what == "" || p.total == 0 {
		return p.what
	}
	line := fmt.Sprintf("%s: %d of %d", p.what, p.done, p.total)
	const bar = 20
	if full := bar * p.done / p.total; p.terminal {
		line = "[" + strings.Repeat("#", full) + strings.Repeat(".", bar-full) + "] " + line
	}
	if took := now.Sub(p.since); p.done > 0 && took > 0 {
		each := took / time.Duration(p.done)
		line += fmt.Sprintf(", %.0f a second, %s left", 1/each.Seconds(), (each * time.Duration(p.total-p.done)).Round(time.Second))
	}
	return line
}

func (p *progress) clear() {
	if p.terminal && p.width > 0 {
		fmt.Fprintf(p.w, "\r%*s\r", p.width, "")
	}
}
