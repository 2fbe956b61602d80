package web

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"
)

const (
	callbackPath = "/oauth/callback"

	// consentLife is how long LinkedIn's code and our state live.
	consentLife = 30 * time.Minute
	// consentTime is what finishing or ending a consent may take: LinkedIn, and
	// where the tokens are kept, are asked meanwhile.
	consentTime = 40 * time.Second
	// answerTime is what the browser then has to take the answer.
	answerTime = 5 * time.Second
)

// Consent does the consent at LinkedIn. Its methods are called concurrently, and
// return soon after ctx has ended, while the browser can still be told.
type Consent interface {
	// AuthorizeURL is the address of LinkedIn's consent page, with a state that
	// is signed over browserBinding: an unguessable text that this server keeps
	// in a cookie of the browser. The error is a *ConsentError where a person can
	// fix what a consent would come to grief over.
	AuthorizeURL(ctx context.Context, browserBinding string) (string, error)
	// Callback finishes a consent from the parameters of the redirect.
	// browserBinding is the cookie's, "" when the browser sent none: a state
	// that was signed over a binding must then be refused, one that was issued
	// without (leadstream auth login) is good. The error is ErrForeignState for
	// a state that is not ours, in a *ConsentError where more is known of it; a
	// *ConsentError for what a person can fix; any
	// other is told as a failure whose cause stands in the log.
	Callback(ctx context.Context, params url.Values, browserBinding string) error
	// Disconnect removes the stored token.
	Disconnect(ctx context.Context) error
}

// ErrForeignState says that a callback does not belong to a consent that this
// browser began here. It is answered with 401.
var ErrForeignState = errors.New("the callback does not belong to a consent begun here")

// ConsentError says in words for the browser why there is no consent.
type ConsentError struct {
	Problem string // a sentence
	Todo    string // what to do, a sentence; may be empty
	Err     error  // the cause; may be nil
}

// Error is the problem and what to do.
func (e *ConsentError) Error() string { return strings.TrimSpace(e.Problem + " " + e.Todo) }

// Unwrap is the cause.
func (e *ConsentError) Unwrap() error { return e.Err }

type noticePage struct {
	frame
	Text, Todo string
	// Again offers another consent.
	Again bool
}

// connectForm shows the button that begins a consent. A GET begins none, so
// that no foreign page can.
func (s *Server) connectForm(w http.ResponseWriter, r *http.Request) {
	if s.elsewhere(w, r) {
		return
	}
	s.render(w, http.StatusOK, "connect.html", s.frame("Connect LinkedIn", "../"))
}

// connect begins a consent: it binds it to this browser and sends it to
// LinkedIn.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	if s.elsewhere(w, r) {
		return
	}
	ctx, cancel := s.patient(w, r)
	defer cancel()
	binding := rand.Text()
	to, err := s.opts.Consent.AuthorizeURL(ctx, binding)
	switch told := (*ConsentError)(nil); {
	case errors.As(err, &told):
		s.refused(w, err)
		return
	case err != nil:
		s.fail(w, "beginning a consent", err)
		return
	}
	s.setCookie(w, r, consentCookie, binding, int(consentLife.Seconds()))
	redirect(w, to)
}

// elsewhere sends a browser that came by another name of this server to the
// one that LinkedIn will send it back to: the cookie would not follow it there.
// It does so once, for a proxy may hide the name that the browser knows.
func (s *Server) elsewhere(w http.ResponseWriter, r *http.Request) bool {
	if s.redirect == nil || hostname(r.Host) == s.redirect.Hostname() || r.URL.Query().Has("here") {
		return false
	}
	prefix, ours := strings.CutSuffix(s.redirect.Path, callbackPath)
	if !ours {
		return false
	}
	u := url.URL{Scheme: s.redirect.Scheme, Host: s.redirect.Host, Path: prefix + "/oauth/login", RawQuery: "here"}
	redirect(w, u.String())
	return true
}

// callback is where LinkedIn sends the browser with its answer.
//
// A state is taken once. Each process remembers only those that it took itself,
// which is enough for several as well. Whoever would use a state again at a
// second process needs the browser that it is bound to, whose cookie is gone
// once the consent was given; and a code that was never redeemed, since LinkedIn
// takes each once, from whichever process. A foreign page has neither.
func (s *Server) callback(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := s.patient(w, r)
	defer cancel()
	binding := ""
	if cookie, err := r.Cookie(s.cookieName(consentCookie)); err == nil {
		binding = cookie.Value
	}
	err := s.opts.Consent.Callback(ctx, r.URL.Query(), binding)
	if err == nil {
		s.setCookie(w, r, consentCookie, "", -1)
		s.log.Info("LinkedIn connected in the browser")
		s.notice(w, http.StatusOK, noticePage{frame: s.frame("Connected to LinkedIn", "../"),
			Text: "leadstream reads the leads from here on, and catches up on those it missed.", Todo: "You can close this page."})
		return
	}
	s.refused(w, err)
}

// patient gives a request more time than others have, and a context that ends
// before the browser would be cut off without an answer.
func (s *Server) patient(w http.ResponseWriter, r *http.Request) (context.Context, context.CancelFunc) {
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(consentTime + answerTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.log.Debug("giving a consent more time", zap.Error(err))
	}
	return context.WithTimeout(r.Context(), consentTime)
}

// refused tells the browser, and the log, why a callback gave no connection.
func (s *Server) refused(w http.ResponseWriter, err error) {
	var told *ConsentError
	page := noticePage{frame: s.frame("Not connected", "../"), Again: true}
	switch {
	case errors.Is(err, ErrForeignState):
		s.strange.Warn("a callback that belongs to no consent begun here was refused", zap.Error(err), zap.String("todo", "nothing; whoever meant to consent begins again on the status page"))
		page.Title = "This link is not valid"
		page.Text = "It belongs to no consent that this browser began here, was used before, or is older than 30 minutes. Nothing has changed."
		page.Todo = "Begin again from here."
		if errors.As(err, &told) {
			page.Text, page.Todo = told.Problem, told.Todo
		}
		s.notice(w, http.StatusUnauthorized, page)
	case errors.As(err, &told):
		s.log.Warn("no consent was given", zap.Error(err), zap.String("todo", told.Todo))
		page.Text, page.Todo = told.Problem, told.Todo
		s.notice(w, http.StatusForbidden, page)
	default:
		s.log.Error("a consent could not be finished", zap.Error(err), zap.String("todo", todoOf(err)))
		page.Text, page.Todo = "The consent could not be finished.", "Try again. If that does not help: the cause stands in the program's log."
		s.notice(w, http.StatusBadGateway, page)
	}
}

// disconnectForm asks whether it is really meant.
func (s *Server) disconnectForm(w http.ResponseWriter, _ *http.Request) {
	s.render(w, http.StatusOK, "disconnect.html", s.frame("Disconnect LinkedIn?", "../"))
}

// disconnect removes the connection.
func (s *Server) disconnect(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := s.patient(w, r)
	defer cancel()
	if err := s.opts.Consent.Disconnect(ctx); err != nil {
		s.fail(w, "disconnecting LinkedIn", err)
		return
	}
	s.log.Info("LinkedIn disconnected in the browser")
	redirect(w, "../")
}

func (s *Server) notice(w http.ResponseWriter, status int, page noticePage) {
	s.render(w, status, "notice.html", page)
}
