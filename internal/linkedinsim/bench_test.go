package linkedinsim

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func benchServer(b *testing.B, leads int) (*Server, string) {
	b.Helper()
	s, err := New(Config{Organizations: 1, Events: 5, Forms: 5, Leads: leads, Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	return s, s.IssueToken().AccessToken
}

func benchRequest(b *testing.B, root, token, target string) *http.Request {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, root+target, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("LinkedIn-Version", "202607")
	r.Header.Set("X-Restli-Protocol-Version", "2.0.0")
	return r
}

// BenchmarkPage serves pages of 100 leads with 10 answers over HTTP, from the
// middle of a window that holds all leads.
func BenchmarkPage(b *testing.B) {
	s, token := benchServer(b, 100_000)
	web := httptest.NewServer(s)
	b.Cleanup(web.Close)
	r := benchRequest(b, web.URL, token, responses(50_000, 100, ""))
	b.ReportAllocs()
	for b.Loop() {
		answer, err := web.Client().Do(r)
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			b.Fatal(answer.Status, err)
		}
		b.SetBytes(n)
		if err := answer.Body.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pages/s")
}

// discard is a ResponseWriter that keeps nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// BenchmarkPageAlone is the same without the network.
func BenchmarkPageAlone(b *testing.B) {
	s, token := benchServer(b, 100_000)
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, responses(50_000, 100, ""), nil)
	r.Header = benchRequest(b, "http://localhost", token, "/").Header
	b.ReportAllocs()
	for b.Loop() {
		s.ServeHTTP(discard{http.Header{}}, r)
	}
}

// BenchmarkWorld makes a world of a million leads.
func BenchmarkWorld(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		benchServer(b, 1_000_000)
	}
}

// BenchmarkLedger writes a ledger of 100,000 leads.
func BenchmarkLedger(b *testing.B) {
	s, _ := benchServer(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.WriteLedger(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
