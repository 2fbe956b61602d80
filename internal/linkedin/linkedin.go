// Package linkedin reads LinkedIn's Lead Sync API: the responses to lead forms,
// and what discovery needs (organizations, events, forms). It hides Rest.li
// encoding, versions, paging over lists that move, throttling, budgets and the
// repetition of what failed for the moment.
//
// It does not authorise: the transport handed in adds the token and renews it.
// It does not remember leads either: a Response may be given more than once.
//
// Facts of the API come from LinkedIn's documentation: Lead Sync API
// (leadForms, leadFormResponses), Event Management API, Organization Access
// Control, and the API guide (Protocol Version, Error Handling, Rate Limits,
// Pagination). What the documentation leaves open is handled so that every
// reading of it is served; the comments say where.
package linkedin

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// The endpoints, as they name themselves in metrics, counters and errors.
const (
	EndpointResponses     = "leadFormResponses"
	EndpointForms         = "leadForms"
	EndpointEvents        = "events"
	EndpointRoles         = "organizationAcls"
	EndpointOrganizations = "organizations"
	EndpointLookup        = "organizationsLookup"
	EndpointNotifications = "leadNotifications"
	EndpointMe            = "me"
)

// Options say how a Client reads the API. Zero values take the defaults given.
type Options struct {
	// APIURL is LinkedIn's address without a path; default https://api.linkedin.com.
	APIURL string
	// Version is the LinkedIn-Version header, YYYYMM. Required.
	Version string
	// HTTP carries the requests and adds the access token. Required. Its errors
	// may declare a fault kind, which then holds.
	HTTP http.RoundTripper
	// Concurrency is the number of requests under way at once, over all calls;
	// default 4.
	Concurrency int
	// PageSize is the number of rows asked for at once in leadFormResponses;
	// 10 to 1000, default 100.
	PageSize int
	// Organizations are the URNs of the pages that are wanted; empty: every page
	// that the member administers.
	Organizations []string
	// DailyBudget bounds the requests per endpoint and UTC day, which are then
	// spread over the day; 0 is no bound.
	DailyBudget int
	// MaxAnswerBytes bounds one answer, decompressed; default 4 MiB. A page that is
	// longer is asked for in parts.
	MaxAnswerBytes int64
	// Timeout bounds one request with its answer; default 30 s.
	Timeout time.Duration
	// Registerer takes the metrics; nil keeps them unregistered.
	Registerer prometheus.Registerer
	// Log may be nil. It never gets texts of leads, nor tokens.
	Log *zap.Logger
}

// Client reads the API. It is safe for concurrent use.
type Client struct {
	opts    Options
	http    *http.Client
	slots   chan struct{} // one per request under way
	large   chan struct{} // one per large answer in memory
	clock   *clock
	limits  *limits
	metrics *metrics
	names   names
	log     *zap.Logger
	said    sync.Map // what is logged once, by what it is
	doubts  doubts

	// sizes are how many rows each finder is asked for at once.
	sizes map[string]*pageSize
	// answerBytes is about the size of the latest answers, for the next one's buffer.
	answerBytes atomic.Int64
}

const (
	// overlap is by how many rows the pages of a list overlap.
	overlap = 3
	// leastPage is the smallest page asked for: LinkedIn's default count.
	leastPage = 10
	// otherPage is the page of finders whose largest count is not documented;
	// 50 is what all integrations agree on.
	otherPage = 50
	rolesPage = 100
	// maxHeaders bounds the headers of an answer: Go's default is 10 MiB.
	maxHeaders = 256 << 10
)

// New makes a Client; it makes no request. An error names every option that
// cannot be used.
func New(o Options) (*Client, error) {
	o = withDefaults(o)
	if err := validate(o); err != nil {
		return nil, err
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, err
	}
	c := &Client{
		opts: o,
		http: &http.Client{
			Transport: o.HTTP,
			// The transport below would send the token wherever it is led.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		slots:   make(chan struct{}, o.Concurrency),
		large:   make(chan struct{}, largeAtOnce),
		clock:   newClock(),
		metrics: m,
		log:     o.Log,
		sizes:   map[string]*pageSize{},
	}
	for endpoint, size := range map[string]int{
		EndpointResponses: o.PageSize, EndpointForms: otherPage, EndpointEvents: otherPage, EndpointRoles: rolesPage,
		EndpointNotifications: otherPage,
	} {
		c.sizes[endpoint] = &pageSize{full: size, size: size}
	}
	c.limits = newLimits(o.DailyBudget, c.clock.now)
	return c, nil
}

func withDefaults(o Options) Options {
	if o.APIURL == "" {
		o.APIURL = "https://api.linkedin.com"
	}
	o.APIURL = strings.TrimRight(o.APIURL, "/")
	if o.Concurrency == 0 {
		o.Concurrency = 4
	}
	if o.PageSize == 0 {
		o.PageSize = 100
	}
	if o.MaxAnswerBytes == 0 {
		o.MaxAnswerBytes = 4 << 20
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return o
}

func validate(o Options) error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	u, err := url.Parse(o.APIURL)
	check(err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http"), "APIURL %q is no http or https address", o.APIURL)
	check(len(o.Version) == 6 && strings.Trim(o.Version, "0123456789") == "", "Version %q is not of the form YYYYMM", o.Version)
	check(o.HTTP != nil, "HTTP, the transport with the access token, is missing")
	check(o.Concurrency > 0, "Concurrency %d is below 1", o.Concurrency)
	check(o.PageSize >= leastPage && o.PageSize <= 1000, "PageSize %d is outside 10 to 1000", o.PageSize)
	check(o.DailyBudget >= 0, "DailyBudget %d is below 0", o.DailyBudget)
	check(o.MaxAnswerBytes > 0, "MaxAnswerBytes %d is below 1", o.MaxAnswerBytes)
	check(o.Timeout > 0, "Timeout %v is not positive", o.Timeout)
	if len(errs) > 0 {
		return fmt.Errorf("options of the LinkedIn client: %w", errors.Join(errs...))
	}
	return nil
}

// NewTransport is a transport fit to carry a Client's requests: it keeps a
// connection for each of them. Its owner puts the access token on top.
func NewTransport(concurrency int) *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second}
	if standard, ok := http.DefaultTransport.(*http.Transport); ok {
		t = standard.Clone()
	}
	t.MaxResponseHeaderBytes = maxHeaders
	t.MaxIdleConnsPerHost = max(concurrency, 1) + 1
	t.MaxIdleConns = max(t.MaxIdleConns, t.MaxIdleConnsPerHost)
	return t
}

// Now is a lower bound of LinkedIn's clock, from the Date headers of its
// answers; false before the first answer. It falls behind LinkedIn's clock by
// less than a second when the client has been answered within ten minutes, and
// by a few milliseconds under load.
func (c *Client) Now() (time.Time, bool) { return c.clock.now() }

// Counters are the requests of the current UTC day so far, and what is known of
// LinkedIn's limits.
func (c *Client) Counters() Counters { return c.limits.counters() }

// Restore takes over the counters of an earlier run: the requests of the same
// day, where they are more than this client's own, and LinkedIn's limits,
// whatever the day, where they are newer.
func (c *Client) Restore(counters Counters) { c.limits.restore(counters) }
