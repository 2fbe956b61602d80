package linkedin

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"leadstream/internal/lead"
)

// inProcess serves requests by a handler, without a network, so that tests run
// under virtual time. An answer shorter than it promises ends in an error, as on
// a connection that was cut.
type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	p.handler.ServeHTTP(w, req)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	res := w.Result()
	if promised, err := strconv.Atoi(res.Header.Get("Content-Length")); err == nil && promised > w.Body.Len() {
		res.Body = io.NopCloser(io.MultiReader(res.Body, iotest.ErrReader(io.ErrUnexpectedEOF)))
	}
	return res, nil
}

// roundTrip is a transport of one function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func newTestClient(t testing.TB, handler http.Handler, o Options) *Client {
	t.Helper()
	if o.HTTP == nil {
		o.HTTP = inProcess{handler}
	}
	o.APIURL, o.Version = "http://linkedin.test", "202607"
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var (
	testSource = lead.Source{Owner: "urn:li:organization:9000123", Type: "EVENT"}
	testStart  = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	testWindow = lead.Window{From: testStart, To: testStart.Add(24 * time.Hour)}
)

// row is a lead of the fake list: its number is its identity, its time the
// number of seconds since testStart.
type row struct {
	n      int
	hidden bool // takes a place in the list and is taken out of its page
}

// fakeList is a leadFormResponses finder whose list a test can change between
// two requests.
type fakeList struct {
	mu       sync.Mutex
	rows     []row
	total    func(l *fakeList) int // nil leaves it out
	most     int                   // largest count; 0 is any
	cut      int                   // a larger count is cut to this; 0 is any
	before   func(l *fakeList, request, start int)
	requests []int // the starts asked for
}

func newFakeList(n int) *fakeList {
	l := &fakeList{}
	for i := range n {
		l.rows = append(l.rows, row{n: n - i}) // newest first
	}
	return l
}

func (l *fakeList) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	start, _ := strconv.Atoi(r.URL.Query().Get("start"))
	count, _ := strconv.Atoi(r.URL.Query().Get("count"))
	l.requests = append(l.requests, start)
	if l.before != nil {
		l.before(l, len(l.requests), start)
	}
	if l.most > 0 && count > l.most {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"status":400,"code":"ILLEGAL_ARGUMENT","message":"Invalid parameter"}`)
		return
	}
	if l.cut > 0 {
		count = min(count, l.cut)
	}
	var elements []string
	for _, row := range l.rows[min(start, len(l.rows)):min(start+count, len(l.rows))] {
		if !row.hidden {
			elements = append(elements, element(row.n))
		}
	}
	total := ""
	if l.total != nil {
		total = fmt.Sprintf(`,"total":%d`, l.total(l))
	}
	_, _ = fmt.Fprintf(w, `{"paging":{"start":%d,"count":%d,"links":[]%s},"elements":[%s]}`, start, count, total, strings.Join(elements, ","))
}

// insert puts a row at a position.
func (l *fakeList) insert(at, n int) { l.rows = slices.Insert(l.rows, at, row{n: n}) }

func exactTotal(l *fakeList) int { return len(l.rows) }

func element(n int) string {
	return fmt.Sprintf(`{"id":"r%d","owner":{"organization":"urn:li:organization:9000123"},"leadType":"EVENT",`+
		`"versionedLeadGenFormUrn":"urn:li:versionedLeadGenForm:(urn:li:leadGenForm:71,1)","submittedAt":%d,`+
		`"formResponse":{"answers":[{"questionId":1,"answerDetails":{"textQuestionAnswer":{"answer":"secret-%d"}}}]}}`,
		n, testStart.Add(time.Duration(n)*time.Second).UnixMilli(), n)
}

// gathered are the numbers of the leads that a reading gave, and how often.
type gathered struct {
	times map[int]int
	pages int
}

func (g *gathered) take(rows []lead.Response) error {
	if g.times == nil {
		g.times = map[int]int{}
	}
	g.pages++
	for _, r := range rows {
		n, err := strconv.Atoi(strings.TrimPrefix(r.ID, "r"))
		if err != nil {
			return err
		}
		g.times[n]++
	}
	return nil
}

// lacks are those of 1 to n that are missing.
func (g *gathered) lacks(n int) (missing []int) {
	for i := range n {
		if g.times[i+1] == 0 {
			missing = append(missing, i+1)
		}
	}
	return missing
}

func (g *gathered) repeated() (n int) {
	for _, times := range g.times {
		n += times - 1
	}
	return n
}

// countingServer serves over TCP and counts the connections.
type countingServer struct {
	*httptest.Server
	opened atomic.Int64
}

func startServer(t *testing.T, h http.Handler) *countingServer {
	t.Helper()
	s := &countingServer{Server: httptest.NewUnstartedServer(h)}
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.opened.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}
