// Package oauth is leadstream's connection to a LinkedIn member: the consent in the
// browser, the pair of tokens that it gives, how they are kept and how they are renewed.
//
// A Session hands out access tokens and renews them: well before they expire and when
// LinkedIn refuses one, once however many callers ask. A rotated refresh token is durable
// in the Store before the access token that came with it is used. Several processes may
// share a Store; the newest consent wins. When only a person can help, the error is a
// *ConsentNeededError. A Heartbeat looks at the connection now and then, and reports what
// a person has to know.
//
// What a Session knows is one value, a connection, and every change of it is an event
// (machine.go). docs/design.md has the table of its states and events.
//
// No log line or error of this package holds a token or the app's secret.
//
// Source of the facts about LinkedIn: its pages on the authorization code flow,
// programmatic refresh tokens, token introspection and error handling.
package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"leadstream/internal/fault"
)

const (
	// requestTime bounds one request to LinkedIn's OAuth endpoints.
	requestTime = 10 * time.Second
	// exchangeTime bounds an exchange together with saving the new tokens. It runs to its
	// end even when the caller gives up, since LinkedIn may have replaced the refresh
	// token already.
	exchangeTime = 20 * time.Second
	// reserveTime bounds the part of it in which the store is reserved.
	reserveTime = 5 * time.Second
	// CloseTime is the longest that Close takes: LinkedIn is asked about a token and then
	// exchanges it. Whatever stops the program must give it more time than that, or a
	// renewed token may be lost.
	CloseTime = exchangeTime + requestTime
	// answerLimit bounds the body of an answer. Tokens have about 500 characters and may
	// grow.
	answerLimit = 1 << 20
)

// DefaultConnection is the id of the one connection that every installation has.
const DefaultConnection = "default"

// Options are what a Session works with.
type Options struct {
	// Installation is the `name` of the installation, for which consents are begun and
	// stored. A consent that another one began is refused. "" stands for no name.
	Installation string
	// Connection is the id of the member's connection in the installation; "" is
	// DefaultConnection.
	Connection string
	// ClientID and ClientSecret are the LinkedIn app's.
	ClientID, ClientSecret string
	// AuthURL is LinkedIn's base for OAuth, https://www.linkedin.com; the
	// endpoints are under <AuthURL>/oauth/v2.
	AuthURL string
	// RedirectURL is where LinkedIn sends the browser after consent, exactly
	// as registered with the app.
	RedirectURL string
	// Scopes are asked for together; LinkedIn grants all of them or none.
	Scopes []string
	// Store keeps the tokens.
	Store Store
	// ReadOnly leaves what is stored, and how, as it is. No token is renewed; where only
	// that would help the error is ErrNotRenewed.
	ReadOnly bool
	// HTTP carries the requests to AuthURL; nil is http.DefaultTransport.
	HTTP http.RoundTripper
	// Log may be nil.
	Log *zap.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Session is the connection of one LinkedIn app to one member. It is safe for
// concurrent use.
type Session struct {
	opts   Options
	log    *zap.Logger
	now    func() time.Time
	sleep  func(context.Context, time.Duration) error // fault.Sleep but in tests with a clock of their own
	oauth  oauth2.Config
	http   *http.Client
	states *stateSigner
	// wakeup has one while something happened that a Heartbeat should look at.
	wakeup chan struct{}

	reading sync.Mutex         // held by who reads the Store although a token is in memory
	flights singleflight.Group // at most one renewal, and one answer to a 401, at a time

	mu    sync.Mutex
	known connection
}

// New makes a Session; it neither reads the Store nor calls LinkedIn. The
// error joins all that is wrong with o.
func New(o Options) (*Session, error) {
	var problems []error
	required := []struct{ name, value string }{
		{"the client id", o.ClientID}, {"the client secret", o.ClientSecret},
		{"the scopes", strings.Join(o.Scopes, "")},
	}
	for _, r := range required {
		if r.value == "" {
			problems = append(problems, fmt.Errorf("%s must not be empty", r.name))
		}
	}
	for _, raw := range []string{o.AuthURL, o.RedirectURL} {
		u, err := url.Parse(raw)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.Fragment != "" {
			problems = append(problems, fmt.Errorf("%q is not an absolute http or https URL without a fragment", raw))
		}
	}
	if o.Store == nil {
		problems = append(problems, errors.New("a store for the tokens is needed"))
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("setting up the LinkedIn session: %w", errors.Join(problems...))
	}
	return build(o)
}

func build(o Options) (*Session, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.HTTP == nil {
		o.HTTP = http.DefaultTransport
	}
	if s, ok := o.Store.(readOnlyStore); ok && o.ReadOnly {
		s.setReadOnly()
	}
	if o.Connection == "" {
		o.Connection = DefaultConnection
	}
	signer, err := newStateSigner(o.ClientID, o.ClientSecret, Purpose{o.Installation, o.Connection})
	if err != nil {
		return nil, err
	}
	base := strings.TrimRight(o.AuthURL, "/") + "/oauth/v2"
	return &Session{
		opts: o,
		log:  o.Log,
		now:  func() time.Time { return o.Now().UTC().Truncate(time.Millisecond) },
		oauth: oauth2.Config{
			ClientID: o.ClientID, ClientSecret: o.ClientSecret,
			RedirectURL: o.RedirectURL, Scopes: o.Scopes,
			Endpoint: oauth2.Endpoint{
				AuthURL:   base + "/authorization",
				TokenURL:  base + "/accessToken",
				AuthStyle: oauth2.AuthStyleInParams, // the only one LinkedIn documents
			},
		},
		http: &http.Client{
			Transport: o.HTTP,
			Timeout:   requestTime,
			// A redirect would carry the app's secret elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		sleep:  fault.Sleep,
		known:  connection{readOnly: o.ReadOnly},
		states: signer,
		wakeup: make(chan struct{}, 1),
	}, nil
}

// Close waits until no exchange with LinkedIn is under way and saves what could not
// be saved, so that a renewed token is not lost with the process. It takes CloseTime
// at most. The Session stays usable.
func (s *Session) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), CloseTime)
	defer cancel()
	s.awaitFlight(answering401)
	s.awaitFlight(renewing)
	left := s.view().unsaved
	if left.IsZero() {
		return
	}
	if _, err := s.save(ctx, left); err != nil {
		s.log.Error("the token that LinkedIn gave last could not be stored and ends with the process: "+
			"if LinkedIn has taken the one before back, a new consent is needed", zap.Error(err),
			zap.String("todo", "see that the tokens can be stored, then `leadstream auth status`"))
	}
}
