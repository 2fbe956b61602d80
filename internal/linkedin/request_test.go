package linkedin

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"leadstream/internal/fault"
)

// script answers each request with the next of its answers, the last one for
// ever.
type script struct {
	answers []answer
	asked   []time.Time
	last    *http.Request
	body    string
}

type answer struct {
	status int
	body   string
	header map[string]string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := s.answers[min(len(s.asked), len(s.answers)-1)]
	s.asked = append(s.asked, time.Now())
	s.last = r
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		s.body = string(b)
	}
	for k, v := range a.header {
		w.Header().Set(k, v)
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

const emptyPage = `{"elements":[]}`

func ok(body string) answer { return answer{status: 200, body: body} }

func idle(ctx context.Context, c *Client) error {
	return c.Responses(ctx, testSource, testWindow, 0, new(gathered).take)
}

// TestTheRequestIsAsLinkedInWantsIt: headers, path and raw query, byte for byte.
func TestTheRequestIsAsLinkedInWantsIt(t *testing.T) {
	s := &script{answers: []answer{ok(emptyPage)}}
	c := newTestClient(t, s, Options{})
	if err := idle(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	want := "/rest/leadFormResponses?q=owner&owner=(organization:urn%3Ali%3Aorganization%3A9000123)&leadType=(leadType:EVENT)" +
		"&submittedAtTimeRange=(start:1793491199999,end:1793577600000)&start=0&count=100"
	if got := s.last.URL.RequestURI(); got != want {
		t.Errorf("request\n got %s\nwant %s", got, want)
	}
	for name, want := range map[string]string{"LinkedIn-Version": "202607", "X-Restli-Protocol-Version": "2.0.0"} {
		if got := s.last.Header.Get(name); got != want {
			t.Errorf("header %s = %q, want %q", name, got, want)
		}
	}
}

// TestLongQueriesAreTunnelled: over 4 KB the query is the body of a POST.
func TestLongQueriesAreTunnelled(t *testing.T) {
	s := &script{answers: []answer{ok(emptyPage)}}
	c := newTestClient(t, s, Options{})
	long := strings.Repeat("x", maxQuery)
	err := c.do(t.Context(), request{endpoint: EndpointForms, path: formsPath, params: []param{{"q", text(long)}}},
		func([]byte) (string, error) { return "", nil })
	if err != nil {
		t.Fatal(err)
	}
	if s.last.Method != http.MethodPost || s.last.URL.RawQuery != "" || s.body != "q="+long ||
		s.last.Header.Get("X-HTTP-Method-Override") != "GET" || s.last.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("%s %s with %d bytes and %v", s.last.Method, s.last.URL, len(s.body), s.last.Header)
	}
}

// TestARefusalSaysWhatLinkedInSaid, in types, and no more than that.
func TestARefusalSaysWhatLinkedInSaid(t *testing.T) {
	tests := []struct {
		answer answer
		want   APIError
		kind   fault.Kind
	}{
		{answer{400, `{"status":400,"code":"ILLEGAL_ARGUMENT","message":"Invalid parameter","errorDetailType":"x","errorDetails":{"inputErrors":[{"description":"d","code":"PARAM_INVALID","input":{"inputPath":{"fieldPath":"owner"}}}]}}`, map[string]string{"x-li-uuid": "AAX=="}},
			APIError{Status: 400, Code: "ILLEGAL_ARGUMENT", Message: "Invalid parameter", Parameter: "owner", RequestID: "AAX=="}, fault.Suspend},
		{answer{401, `{"status":401,"serviceErrorCode":65602,"code":"EXPIRED_ACCESS_TOKEN","message":"The token used in the request has expired"}`, nil},
			APIError{Status: 401, ServiceCode: 65602, Code: "EXPIRED_ACCESS_TOKEN", Message: "The token used in the request has expired"}, fault.Pause},
		{answer{401, `{"status":401,"serviceErrorCode":100,"message":"Not enough permissions"}`, nil},
			APIError{Status: 401, ServiceCode: 100, Message: "Not enough permissions"}, fault.Suspend},
		{answer{403, `{"status":403,"serviceErrorCode":100,"code":"ACCESS_DENIED","message":"Not enough permissions to access: leadFormResponses.FINDER-owner.20260701"}`, nil},
			APIError{Status: 403, ServiceCode: 100, Code: "ACCESS_DENIED", Message: "Not enough permissions to access: leadFormResponses.FINDER-owner.20260701"}, fault.Suspend},
		{answer{404, `{"status":404,"code":"RESOURCE_NOT_FOUND","message":"m"}`, nil}, APIError{Status: 404, Code: "RESOURCE_NOT_FOUND", Message: "m"}, fault.Suspend},
		{answer{410, ``, nil}, APIError{Status: 410}, fault.Suspend},
		{answer{411, `null`, nil}, APIError{Status: 411}, fault.Suspend},
		{answer{426, `{"status":426,"code":"NONEXISTENT_VERSION","message":"Requested version 20251101 is not active"}`, nil},
			APIError{Status: 426, Code: "NONEXISTENT_VERSION", Message: "Requested version 20251101 is not active"}, fault.Pause},
		{answer{400, `{"status":400,"code":"VERSION_MISSING","message":"A version must be present."}`, nil},
			APIError{Status: 400, Code: "VERSION_MISSING", Message: "A version must be present."}, fault.Pause},
		{answer{418, `<html>s3cret</html>`, nil}, APIError{Status: 418}, fault.Suspend},
		{answer{500, `{"status":500,"message":"` + strings.Repeat("y", 500) + `","code":`, nil}, APIError{Status: 500}, fault.Retry},
		{answer{503, `{"status":503,"message":"` + strings.Repeat("y", 300) + `\n"}`, nil}, APIError{Status: 503, Message: strings.Repeat("y", 200) + "…"}, fault.Retry},
		{answer{302, ``, map[string]string{"Location": "https://elsewhere.test/"}}, APIError{Status: 302}, fault.Retry},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			s := &script{answers: []answer{tt.answer}}
			c := newTestClient(t, s, Options{})
			_, err := c.Form(t.Context(), "71")
			tt.want.Endpoint = EndpointForms
			var got *APIError
			if !errors.As(err, &got) || *got != tt.want {
				t.Errorf("%d %s:\n got %+v\nwant %+v", tt.answer.status, tt.answer.body, got, &tt.want)
				return
			}
			if kind := fault.KindOf(err); kind != tt.kind {
				t.Errorf("%v is of kind %s, want %s", err, kind, tt.kind)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error quotes the body: %v", err)
			}
			if got := s.last.URL.Host; got != "linkedin.test" {
				t.Errorf("the request was led to %s", got)
			}
		})
	}
}

// consentError is an error of the transport that knows its kind.
type consentError struct{}

func (consentError) Error() string     { return "consent needed" }
func (consentError) Fault() fault.Kind { return fault.Pause }

// TestTheTransportsVerdictStands: it is neither repeated nor turned into Retry.
func TestTheTransportsVerdictStands(t *testing.T) {
	calls := 0
	c := newTestClient(t, nil, Options{HTTP: roundTrip(func(*http.Request) (*http.Response, error) { calls++; return nil, consentError{} })})
	err := idle(t.Context(), c)
	var e *TransportError
	if !errors.As(err, &e) || !errors.Is(err, consentError{}) || fault.KindOf(err) != fault.Pause || calls != 1 {
		t.Errorf("error %v of kind %s after %d calls, want pause after 1", err, fault.KindOf(err), calls)
	}
}

// TestShortWaitsAreWaitedForInPlace, and long ones handed to the caller.
func TestShortWaitsAreWaitedForInPlace(t *testing.T) {
	tests := []struct {
		name     string
		status   int
		after    string
		requests int
		least    time.Duration // between the first two requests
		delay    time.Duration // at least, of the error
	}{
		{"429 with a short wait", 429, "7", 2, 7 * time.Second, 0},
		{"429 with a long wait", 429, "300", 1, 0, 300 * time.Second},
		{"429 without", 429, "", 1, 0, time.Minute},
		{"503 with a short wait", 503, "20", 2, 20 * time.Second, 0},
		{"503 with a long wait", 503, "120", 1, 0, 120 * time.Second},
		{"503 without", 503, "", 2, 250 * time.Millisecond, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				header := map[string]string{}
				if tt.after != "" {
					header["Retry-After"] = tt.after
				}
				s := &script{answers: []answer{{tt.status, "", header}, ok(emptyPage)}}
				c := newTestClient(t, s, Options{})
				err := idle(t.Context(), c)
				if len(s.asked) != tt.requests || (err != nil) != (tt.delay > 0) {
					t.Fatalf("error %v after %d requests, want %d", err, len(s.asked), tt.requests)
				}
				if tt.requests > 1 && s.asked[1].Sub(s.asked[0]) < tt.least {
					t.Errorf("waited %v, want at least %v", s.asked[1].Sub(s.asked[0]), tt.least)
				}
				if got := fault.DelayOf(err); got < tt.delay || got > tt.delay*3/2 {
					t.Errorf("error asks for %v, want about %v", got, tt.delay)
				}
			})
		})
	}
}

// TestADateIsARetryAfterToo.
func TestADateIsARetryAfterToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Now().Add(12 * time.Second)
		for header, want := range map[string]time.Duration{
			at.UTC().Format(http.TimeFormat): 12 * time.Second, "5": 5 * time.Second, "-5": 0, "soon": 0, "": 0,
			"Sat, 01 Jan 1990 00:00:00 GMT": 0, "9999999999": 24 * time.Hour,
		} {
			if got := retryAfter(http.Header{"Retry-After": {header}}); got != want {
				t.Errorf("Retry-After %q = %v, want %v", header, got, want)
			}
		}
	})
}

// TestADateIsOneOfTheAnswersOwnClock, and none keeps anything waiting for long.
func TestADateIsOneOfTheAnswersOwnClock(t *testing.T) {
	theirs := time.Now().Add(5 * time.Hour)
	h := http.Header{"Date": {theirs.UTC().Format(http.TimeFormat)}, "Retry-After": {theirs.Add(20 * time.Second).UTC().Format(http.TimeFormat)}}
	if got := retryAfter(h); got != 20*time.Second {
		t.Errorf("wait %v, want 20s", got)
	}
	synctest.Test(t, func(t *testing.T) {
		c := newTestClient(t, &script{answers: []answer{{503, "", map[string]string{"Retry-After": "86400"}}}}, Options{})
		if err := idle(t.Context(), c); fault.DelayOf(err) > time.Hour {
			t.Errorf("a 503 keeps us waiting for %v", fault.DelayOf(err))
		}
	})
}

// TestNeverMoreRequestsThanSlots, over all calls.
func TestNeverMoreRequestsThanSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeList(1000)
		l.total = exactTotal
		var now, most atomic.Int64
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(100 * time.Millisecond)
			now.Add(-1)
			l.ServeHTTP(w, r)
		})
		c := newTestClient(t, handler, Options{Concurrency: 4})
		start := time.Now()
		done := make(chan error)
		for range 3 {
			go func() { done <- idle(t.Context(), c) }()
		}
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if most.Load() != 4 {
			t.Errorf("%d requests at once, want 4", most.Load())
		}
		// 3 readings of 12 requests, 4 at a time.
		if took := time.Since(start); took > 1200*time.Millisecond {
			t.Errorf("took %v, want pages to be fetched ahead", took)
		}
	})
}

// TestRequestsAreMeasured: outcome and time, by endpoint.
func TestRequestsAreMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		s := &script{answers: []answer{{status: 500}, ok(emptyPage)}}
		c := newTestClient(t, s, Options{Registerer: reg})
		if err := idle(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		want := map[string]float64{"200 leadFormResponses": 1, "500 leadFormResponses": 1}
		if got := metric(t, reg, "leadstream_api_requests_total"); !maps.Equal(got, want) {
			t.Errorf("leadstream_api_requests_total = %v, want %v", got, want)
		}
		if got := metric(t, reg, "leadstream_api_request_seconds"); got["leadFormResponses"] != 2 {
			t.Errorf("leadstream_api_request_seconds counts %v, want 2", got)
		}
		if _, err := New(Options{Version: "202607", HTTP: http.DefaultTransport, Registerer: reg}); err == nil {
			t.Error("metrics were registered twice without an error")
		}
	})
}

// metric is a metric's values (a histogram's counts) by its labels' values.
func metric(t *testing.T, reg *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			got[strings.Join(labels, " ")] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return got
}

// TestOptionsAreCheckedAllAtOnce.
func TestOptionsAreCheckedAllAtOnce(t *testing.T) {
	_, err := New(Options{APIURL: "ftp://x", Version: "v1", Concurrency: -1, PageSize: 5, DailyBudget: -1, MaxAnswerBytes: -1, Timeout: -1})
	for _, name := range []string{"APIURL", "Version", "HTTP", "Concurrency", "PageSize", "DailyBudget", "MaxAnswerBytes", "Timeout"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not in %v", name, err)
		}
	}
}

// TestMeIsAliveWithoutAProfileScope: only a token that is not accepted is dead.
func TestMeIsAliveWithoutAProfileScope(t *testing.T) {
	for status, alive := range map[int]bool{200: true, 403: true, 401: false} {
		s := &script{answers: []answer{{status: status, body: `{"id":"x"}`}}}
		c := newTestClient(t, s, Options{})
		if err := c.Me(t.Context()); (err == nil) != alive {
			t.Errorf("%d: %v, want alive: %v", status, err, alive)
		}
		if s.last.URL.Path != "/v2/me" || s.last.Header.Get("LinkedIn-Version") != "" {
			t.Errorf("asked %s with version %q", s.last.URL.Path, s.last.Header.Get("LinkedIn-Version"))
		}
	}
}

// TestOneRoleTellsWhetherTheTokenIsAccepted: the least request that does.
func TestOneRoleTellsWhetherTheTokenIsAccepted(t *testing.T) {
	for status, alive := range map[int]bool{200: true, 403: true, 401: false} {
		s := &script{answers: []answer{{status: status, body: `{"elements":[]}`}}}
		c := newTestClient(t, s, Options{})
		if err := c.AnyRole(t.Context()); (err == nil) != alive {
			t.Errorf("%d: %v, want alive: %v", status, err, alive)
		}
		if u := s.last.URL; u.Path != "/rest/organizationAcls" || u.RawQuery != "q=roleAssignee&count=1" {
			t.Errorf("asked %s", u)
		}
	}
}

func TestAnAnswerMayTakeNoMoreMemoryThanItsDefaultBound(t *testing.T) {
	if c := newTestClient(t, http.NotFoundHandler(), Options{}); c.opts.MaxAnswerBytes != 4<<20 {
		t.Errorf("an answer may have %d bytes, want 4 MiB", c.opts.MaxAnswerBytes)
	}
}

// TestAnswersAreBounded: one that is too long is a failure, never a short page.
func TestAnswersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{ok(`{"elements":[` + strings.Repeat(" ", 5000) + `]}`)}}
		c := newTestClient(t, s, Options{MaxAnswerBytes: 4000})
		var e *AnswerError
		if err := idle(t.Context(), c); !errors.As(err, &e) || !strings.Contains(e.Problem, "4000 bytes") {
			t.Errorf("error = %v, want an AnswerError about 4000 bytes", err)
		}
		c = newTestClient(t, s, Options{MaxAnswerBytes: 6000})
		if err := idle(t.Context(), c); err != nil {
			t.Error(err)
		}
	})
}

// TestEveryErrorSaysWhere: texts are for people; types are for programs.
func TestEveryErrorSaysWhere(t *testing.T) {
	for _, err := range []error{
		&APIError{Endpoint: "leadForms", Status: 403, Code: "ACCESS_DENIED"},
		&AnswerError{Endpoint: "leadForms", Status: 200, Problem: "it is empty", RequestID: "u"},
		&TransportError{Endpoint: "leadForms", Err: io.ErrUnexpectedEOF},
		&BudgetError{Endpoint: "leadForms", Until: testStart}, &BudgetError{Endpoint: "leadForms", Until: testStart, Own: 7},
		&ScanError{Endpoint: "leadForms", Scans: 5},
	} {
		if !strings.Contains(err.Error(), "leadForms") {
			t.Errorf("%T does not name its endpoint: %v", err, err)
		}
	}
	many := &TooManyError{Source: testSource, Window: testWindow, AtLeast: 5, Estimate: 50}
	if s := many.Error(); !strings.Contains(s, testSource.String()) || !strings.Contains(s, "50") || many.TooMany() != 50 {
		t.Errorf("error = %s", s)
	}
}

// TestTheTransportKeepsEnoughConnections.
func TestTheTransportKeepsEnoughConnections(t *testing.T) {
	tr := NewTransport(16)
	if tr.MaxIdleConnsPerHost < 16 || tr.MaxIdleConns < 16 {
		t.Errorf("keeps %d of %d connections, want 16", tr.MaxIdleConnsPerHost, tr.MaxIdleConns)
	}
	server := httptest.NewServer(&script{answers: []answer{ok(emptyPage)}})
	defer server.Close()
	defer tr.CloseIdleConnections()
	c, err := New(Options{APIURL: server.URL + "/", Version: "202607", HTTP: tr})
	if err != nil {
		t.Fatal(err)
	}
	if err := idle(t.Context(), c); err != nil {
		t.Error(err)
	}
	if got := c.Counters().Requests; !maps.Equal(got, map[string]int{EndpointResponses: 1}) {
		t.Errorf("counters = %v, want one request", got)
	}
}
