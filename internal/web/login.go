package web

import (
	"cmp"
	"errors"
	"math"
	"net"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/fault"
)

// afterLogin are the pages that a login may lead on to: never an address from
// the request, so that it leads nowhere but to ourselves.
var afterLogin = map[string]string{"consent": "oauth/login", "disconnect": "oauth/disconnect"}

type loginPage struct {
	frame
	Next string
	// Wrong: the password was not right. Wait: it was not even looked at.
	Wrong bool
	Wait  int // seconds
}

// member lets only those through who know the password: by the session cookie
// that the login page gives, or by HTTP Basic authentication (any user name),
// which is for programs. Others get what they can use: a browser the login
// page, a program 401.
func (s *Server) member(next string, h http.HandlerFunc) http.HandlerFunc {
	if s.sessions == nil {
		return h
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if _, password, ok := r.BasicAuth(); ok {
			right, wait := s.attempts.try(r.Context(), s.guesser(r), func() bool { return s.sessions.right(password) })
			if right {
				h(w, r)
				return
			}
			s.deny(w, next, true, wait)
			return
		}
		switch known, err := s.session(r); {
		case err != nil:
			s.fail(w, "checking a session", err)
		case known:
			h(w, r)
		default:
			s.deny(w, next, false, 0)
		}
	}
}

// session tells whether the request carries a session that holds.
func (s *Server) session(r *http.Request) (bool, error) {
	cookie, err := r.Cookie(s.cookieName("session"))
	if err != nil {
		return false, nil
	}
	err = s.sessions.check(cookie.Value, s.now())
	if errors.Is(err, errSession) {
		return false, nil
	}
	return err == nil, err
}

// deny answers a request of nobody that we know.
func (s *Server) deny(w http.ResponseWriter, next string, basic bool, wait time.Duration) {
	switch {
	case wait > 0:
		w.Header().Set("Retry-After", strconv.Itoa(seconds(wait)))
		s.refuse(w, http.StatusTooManyRequests, "Too many wrong passwords.", "Wait a minute and try again.")
	case basic || next == forPrograms:
		w.Header().Set("WWW-Authenticate", `Basic realm="leadstream", charset="UTF-8"`)
		s.refuse(w, http.StatusUnauthorized, "The password is needed.",
			"It is http.password: log in on the status page, or send it by HTTP Basic authentication under any user name.")
	case known(next) != "":
		redirect(w, "../login?next="+next)
	default:
		redirect(w, "login")
	}
}

// seconds is a wait in whole seconds, as Retry-After counts.
func seconds(wait time.Duration) int { return int(math.Ceil(wait.Seconds())) }

// login shows the form that asks for the password.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	if s.sessions == nil {
		redirect(w, "./")
		return
	}
	s.render(w, http.StatusOK, "login.html", loginPage{frame: s.frame("Log in", ""), Next: known(r.URL.Query().Get("next"))})
}

// loggedIn takes the password and gives a session for it.
func (s *Server) loggedIn(w http.ResponseWriter, r *http.Request) {
	if s.sessions == nil {
		redirect(w, "./")
		return
	}
	if err := r.ParseForm(); err != nil {
		s.refuse(w, http.StatusBadRequest, "This form could not be read.", "Open the login page and try again.")
		return
	}
	page := loginPage{frame: s.frame("Log in", ""), Next: known(r.PostForm.Get("next"))}
	right, wait := s.attempts.try(r.Context(), s.guesser(r), func() bool { return s.sessions.right(r.PostForm.Get("password")) })
	switch {
	case wait > 0:
		page.Wait = seconds(wait)
		w.Header().Set("Retry-After", strconv.Itoa(page.Wait))
		s.render(w, http.StatusTooManyRequests, "login.html", page)
		return
	case !right:
		page.Wrong = true
		s.strange.Warn("wrong password for the status page", zap.Stringer("from", client(r)),
			zap.String("todo", "nothing, unless it comes often: then see who it is; guessing is slowed down"))
		s.render(w, http.StatusUnauthorized, "login.html", page)
		return
	}
	if err := s.welcome(w, r); err != nil {
		s.fail(w, "beginning a session", err)
		return
	}
	to := "./"
	if path, ok := afterLogin[page.Next]; ok {
		to = path
	}
	redirect(w, to)
}

// welcome gives the browser a session and has it known from here on.
func (s *Server) welcome(w http.ResponseWriter, r *http.Request) error {
	session, err := s.sessions.issue(s.now())
	if err != nil {
		return err
	}
	browser, err := s.sessions.browser.issue(s.now())
	if err != nil {
		return err
	}
	s.setCookie(w, r, "session", session, int(sessionLife.Seconds()))
	s.setCookie(w, r, browserCookie, browser, int(browserLife.Seconds()))
	return nil
}

// logout ends the session, also for whoever has a copy of the cookie.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(s.cookieName("session")); err == nil && s.sessions != nil {
		s.sessions.end(cookie.Value, s.now())
	}
	s.setCookie(w, r, "session", "", -1)
	redirect(w, "./")
}

// known is next when a login may lead on to it, else "".
func known(next string) string {
	if _, ok := afterLogin[next]; ok {
		return next
	}
	return ""
}

// setCookie sets a cookie of ours; a negative age removes it. SameSite is Lax
// since LinkedIn's redirect and a link in a chat must bring it along; changes
// are protected by more than that.
func (s *Server) setCookie(w http.ResponseWriter, r *http.Request, name, value string, age int) {
	http.SetCookie(w, &http.Cookie{Name: s.cookieName(name), Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: s.secure(r), SameSite: http.SameSiteLaxMode})
}

const (
	// consentCookie is the cookie that binds a consent to the browser.
	consentCookie = "consent"
	// browserCookie is the one that says that somebody logged in with the browser
	// before.
	browserCookie = "browser"
)

// cookieName holds the port, since cookies do not tell ports apart and one
// machine may run several installations. That of a consent holds the port of
// the redirect URL, which all processes of an installation have in common:
// LinkedIn may send the browser to another one than where the consent began.
func (s *Server) cookieName(name string) string {
	_, port, err := net.SplitHostPort(s.opts.Listen)
	if err != nil {
		port = "" // New has seen to it that this does not happen
	}
	if name == consentCookie && s.redirect != nil {
		port = s.redirect.Port()
	}
	return "leadstream_" + name + "_" + port
}

// redirect sends the browser to a path relative to the one it asked for, so
// that a proxy may serve us under a prefix.
func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// todoOf is what to do about an error of somebody's request.
func todoOf(err error) string {
	return cmp.Or(fault.TodoOf(err), "fix what the error names, then try again")
}

// fail answers what went wrong on our side.
func (s *Server) fail(w http.ResponseWriter, doing string, err error) {
	s.log.Error("answering a request went wrong", zap.String("doing", doing), zap.Error(err),
		zap.String("todo", todoOf(err)))
	s.refuse(w, http.StatusInternalServerError, "Something went wrong here.", "The cause stands in the program's log.")
}
