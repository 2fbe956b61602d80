package oauth

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cli/browser"

	"leadstream/internal/fault"
)

const (
	// watchEvery is how often a login looks whether another process has stored
	// the token.
	watchEvery = time.Second
	// lookTime bounds one such look, since the login does nothing else meanwhile.
	lookTime = 5 * time.Second
)

// LoginOptions say how a person at a terminal consents.
type LoginOptions struct {
	// Browser opens the consent page. Its address is printed in any case.
	Browser bool
	// Paste reads the address the browser ended at from In, for a machine whose
	// browser is elsewhere. The code in it is not enough alone: it does not say for
	// which installation it was given.
	Paste bool
	// In is read line by line, with Paste and when Login cannot listen on the
	// redirect URL; it may be nil. A read that is blocked when Login returns stays
	// blocked.
	In io.Reader
	// Out is what the person reads. The address of the consent page is on a line of
	// its own.
	Out io.Writer
	// Open opens an address in a browser; nil is the system's browser.
	Open func(address string) error
}

// Login leads a person through the consent and returns once the token is stored. It
// waits for LinkedIn's answer on the redirect URL when that is on this machine and
// free, else for what is pasted. In any case it accepts a token that another process
// of the installation stores meanwhile: a running connector may serve the redirect
// URL, and the state is good there. A store that cannot be read for a while does not
// end it. It gives up after 30 minutes, the life of LinkedIn's code. Errors are those
// of Complete.
func (s *Session) Login(ctx context.Context, o LoginOptions) (Token, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, stateLife, &ConsentNeededError{Reason: NotGiven})
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		return Token{}, err
	}
	before, err := s.opts.Store.Load(ctx)
	if err != nil && !errors.Is(err, ErrNoToken) {
		return Token{}, fmt.Errorf("reading the stored token before the login: %w", err)
	}
	if o.In == nil {
		o.In = strings.NewReader("")
	}
	if o.Open == nil {
		o.Open = openSystemBrowser
	}
	l := &login{session: s, LoginOptions: o, before: before}
	if o.Paste {
		return l.run(ctx, "Then paste the address the browser ends at here and press Enter:")
	}
	stop, err := l.serve(ctx)
	if err != nil {
		return l.run(ctx, fmt.Sprintf("This command cannot listen on %s (%v). If a connector with the same settings does,\n"+
			"this command notices when that has stored the token. Else paste the address the browser ends at and press Enter:", s.opts.RedirectURL, err))
	}
	defer stop()
	return l.run(ctx, "Waiting for LinkedIn's answer on "+s.opts.RedirectURL+" …")
}

// login is one run of Login.
type login struct {
	LoginOptions
	session    *Session
	before     Token        // in the store
	served     chan result  // outcomes of the callback; nil when it is not served here
	answering  atomic.Int32 // callbacks under way here
	unreadable bool         // the store could not be read the last time
}

type result struct {
	token Token
	err   error
}

func (l *login) run(ctx context.Context, hint string) (Token, error) {
	address := l.session.AuthorizeURL("")
	if _, err := fmt.Fprintf(l.Out, "Open this address in a browser and allow the access:\n\n%s\n\n%s\n", address, hint); err != nil {
		return Token{}, fmt.Errorf("printing the address of the consent page: %w", err)
	}
	var opened chan error
	if l.Browser {
		opened = make(chan error, 1)
		go func() { opened <- l.Open(address) }() // some browsers return only when they are closed
	}
	var lines chan string
	if l.served == nil {
		lines = make(chan string)
		go readLines(ctx, l.In, lines)
	}
	return l.await(ctx, lines, opened)
}

func (l *login) await(ctx context.Context, lines <-chan string, opened <-chan error) (Token, error) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return Token{}, fmt.Errorf("waiting for the consent: %w", context.Cause(ctx))
		case r := <-l.served:
			return r.token, r.err
		case err := <-opened:
			if err != nil {
				l.say("No browser could be opened (%v).", err)
			}
		case <-tick.C:
			if t, ok, err := l.stored(ctx); ok || err != nil {
				return t, err
			}
		case line, more := <-lines:
			if !more && l.Paste {
				return Token{}, errors.New("reading the pasted address: the input ended before it")
			}
			if !more {
				lines = nil
				continue
			}
			if t, done, err := l.pasted(ctx, line); done {
				return t, err
			}
		}
	}
}

// stored reports a consent that another process has finished. The error is one of
// the store that a person must fix.
func (l *login) stored(ctx context.Context) (Token, bool, error) {
	look, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	t, err := l.session.opts.Store.Load(look)
	if ctx.Err() != nil {
		return Token{}, false, nil
	}
	if err != nil && !errors.Is(err, ErrNoToken) {
		if fault.KindOf(err) != fault.Retry {
			return Token{}, false, fmt.Errorf("watching the stored token: %w", err)
		}
		if !l.unreadable {
			l.say("The stored token cannot be read at the moment (%v). The login goes on.", err)
		}
		l.unreadable = true
		return Token{}, false, nil
	}
	l.unreadable = false
	if !t.AuthorizedAt.After(l.before.AuthorizedAt) {
		return Token{}, false, nil
	}
	if l.answering.Load() > 0 || len(l.served) > 0 {
		return Token{}, false, nil // it is our own: its outcome follows
	}
	l.say("The token was stored by another process, which got LinkedIn's answer.")
	return l.session.adopt(t).token, true, nil
}

// codePattern matches LinkedIn's codes, with room for change.
var codePattern = regexp.MustCompile(`^[A-Za-z0-9_.~%+/=-]{8,}$`)

// pasted tries one line. It is done when the line was an answer of LinkedIn, good or
// bad. After anything else the person may try again.
func (l *login) pasted(ctx context.Context, line string) (t Token, done bool, err error) {
	line = strings.TrimSpace(line)
	query, isCode := line, false
	if before, after, found := strings.Cut(line, "?"); found && !strings.Contains(before, "=") {
		query, _, _ = strings.Cut(after, "#")
	} else if !strings.Contains(line, "code=") && !strings.Contains(line, "error=") {
		isCode = true
	}
	switch values, parseErr := url.ParseQuery(query); {
	case line == "":
		return Token{}, false, nil
	case isCode && codePattern.MatchString(line), parseErr == nil && values.Get("code") != "" && values.Get("state") == "":
		l.say("This may be the code, which does not say for which installation it was given. Paste the whole address, with code and state:")
		return Token{}, false, nil
	case isCode || parseErr != nil || (values.Get("code") == "" && values.Get("error") == ""):
		l.say("This is not the address the browser ended at. Once more:")
		return Token{}, false, nil
	default:
		t, err = l.session.Complete(ctx, values, "")
	}
	if errors.Is(err, ErrState) {
		l.say("%v. Paste the address that the page above led to:", err)
		return Token{}, false, nil
	}
	return t, true, err
}

// say tells the person something. Login goes on when that fails.
func (l *login) say(format string, args ...any) {
	_, _ = fmt.Fprintf(l.Out, format+"\n", args...)
}

// quietBrowser keeps the output of the browser out of the command's.
var quietBrowser = sync.OnceFunc(func() { browser.Stdout, browser.Stderr = io.Discard, io.Discard })

func openSystemBrowser(address string) error {
	quietBrowser()
	return browser.OpenURL(address)
}

// readLines sends the lines of r until it ends, then closes out.
func readLines(ctx context.Context, r io.Reader, out chan<- string) {
	defer close(out)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		select {
		case out <- lines.Text():
		case <-ctx.Done():
			return
		}
	}
}

// serve answers LinkedIn's redirect on this machine. stop waits until the
// browser has its answer.
func (l *login) serve(ctx context.Context) (stop func(), err error) {
	redirect, err := url.Parse(l.session.opts.RedirectURL)
	if err != nil {
		return nil, fmt.Errorf("reading the redirect URL: %w", err)
	}
	listeners, err := listen(ctx, redirect)
	if err != nil {
		return nil, err
	}
	l.served = make(chan result, 1)
	mux := http.NewServeMux()
	mux.Handle(callbackPath(redirect), l.callback())
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      exchangeTime + 10*time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    32 << 10,
	}
	var serving sync.WaitGroup
	for _, ln := range listeners {
		serving.Go(func() { _ = server.Serve(ln) }) // ends with ErrServerClosed by stop
	}
	return func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close() // a browser that does not read is cut off
		}
		serving.Wait()
	}, nil
}

// callback is the session's Callback. Its first outcome is that of the login.
func (l *login) callback() http.Handler {
	h := l.session.Callback(func(t Token, err error) {
		select {
		case l.served <- result{t, err}:
		default:
		}
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.answering.Add(1)
		defer l.answering.Add(-1)
		h.ServeHTTP(w, r)
	})
}

// callbackPath is the pattern of the redirect URL's path alone.
func callbackPath(redirect *url.URL) string {
	switch {
	case redirect.Path == "":
		return "/{$}"
	case strings.HasSuffix(redirect.Path, "/"):
		return redirect.Path + "{$}"
	}
	return redirect.Path
}

// listen listens on the redirect URL's address when that is plain HTTP on this
// machine. localhost is both loopback addresses, since browsers may try ::1 first; a
// machine without IPv6 has only the other.
func listen(ctx context.Context, redirect *url.URL) ([]net.Listener, error) {
	var hosts []string
	switch host := redirect.Hostname(); {
	case redirect.Scheme != "http":
		return nil, errors.New("it is not served by this command")
	case host == "localhost":
		hosts = []string{"127.0.0.1", "::1"}
	case net.ParseIP(host) != nil && net.ParseIP(host).IsLoopback():
		hosts = []string{host}
	default:
		return nil, errors.New("it is not on this machine")
	}
	port := redirect.Port()
	if port == "" {
		port = "80"
	}
	var listeners []net.Listener
	var config net.ListenConfig
	for _, host := range hosts {
		ln, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, port))
		if err != nil && len(listeners) == 0 {
			return nil, err
		}
		if err == nil {
			listeners = append(listeners, ln)
		}
	}
	return listeners, nil
}
