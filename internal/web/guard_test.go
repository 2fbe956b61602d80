package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// from makes a request come from an address and ask for a host.
func from(remote, host string, headers ...string) func(*http.Request) {
	return func(r *http.Request) {
		r.RemoteAddr, r.Host = remote, host
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
}

func TestWithoutPasswordOnlyTheMachineItselfSeesMoreThanTheProbes(t *testing.T) {
	const far, near = "192.0.2.7:40000", "127.0.0.1:40000"
	s := newTestServer(t, nil)
	for _, c := range []struct {
		name  string
		path  string
		from  func(*http.Request)
		wants int
	}{
		{"page at home", "/", from(near, "localhost:8480"), 200},
		{"page at home by address", "/", from(near, "127.0.0.1:8480"), 200},
		{"page at home by IPv6", "/", from("[::1]:40000", "[::1]:8480"), 200},
		{"page at home by mapped IPv4", "/", from("[::ffff:127.0.0.1]:40000", "127.0.0.1:8480"), 200},
		{"page at home by a localhost name", "/", from(near, "leads.localhost:8480"), 200},
		{"page from afar", "/", from(far, "198.51.100.1:8480"), 403},
		{"page from afar that says localhost", "/", from(far, "localhost:8480"), 403},
		{"status from afar", "/api/status", from(far, "198.51.100.1:8480"), 403},
		{"consent from afar", "/oauth/login", from(far, "198.51.100.1:8480"), 403},
		{"callback from afar", "/oauth/callback", from(far, "198.51.100.1:8480"), 403},
		{"style from afar", "/style.css", from(far, "198.51.100.1:8480"), 403},
		{"nothing from afar", "/nothing", from(far, "198.51.100.1:8480"), 403},
		{"alive from afar", "/healthz", from(far, "198.51.100.1:8480"), 200},
		{"ready from afar by service name", "/readyz", from(far, "leadstream.default.svc:8480"), 200},
		{"metrics from afar by service name", "/metrics", from(far, "leadstream:8480"), 200},
		{"page through a proxy at home", "/", from(near, "localhost:8480", "X-Forwarded-For", "192.0.2.7"), 403},
		{"page through a standard proxy at home", "/", from(near, "localhost:8480", "Forwarded", "for=192.0.2.7"), 403},
		{"page through a proxy at home that tells the scheme alone", "/", from(near, "localhost:8480", "X-Forwarded-Proto", "https"), 403},
		{"page through a proxy at home that tells the port alone", "/", from(near, "localhost:8480", "X-Forwarded-Port", "443"), 403},
		{"page through a proxy at home that names itself", "/", from(near, "localhost:8480", "Via", "1.1 proxy"), 403},
		{"page through Envoy at home", "/", from(near, "localhost:8480", "X-Envoy-External-Address", "203.0.113.5"), 403},
		{"status through a proxy at home", "/api/status", from(near, "localhost:8480", "X-Forwarded-Proto", "https"), 403},
		{"page through Istio's sidecar, which tells nothing", "/", from("127.0.0.6:40000", "localhost:8480"), 403},
		{"metrics by service name through a sidecar", "/metrics", from("127.0.0.6:40000", "leadstream.default.svc:8480"), 200},
		{"metrics by another name through Istio's sidecar", "/metrics", from("127.0.0.6:40000", "leadstream.cluster.example.com"), 421},
		{"alive by service name through a proxy at home", "/healthz", from(near, "leadstream.default.svc:8480"), 200},
		{"ready by service name through a proxy at home", "/readyz", from(near, "leadstream.default.svc.cluster.local:8480", "X-Forwarded-For", "192.0.2.7"), 200},
		{"metrics by short service name through a proxy at home", "/metrics", from(near, "leadstream:8480"), 200},
		{"metrics by a foreign name through what calls itself a proxy", "/metrics", from(near, "evil.example.net", "X-Forwarded-For", "192.0.2.7"), 421},
		{"page by service name at home", "/", from(near, "leadstream.default.svc:8480"), 421},
		{"callback through Istio's proxy", "/oauth/callback", from("127.0.0.6:40000", "leads.example.com"), 200},
		{"page by the public name through a proxy", "/", from(near, "leads.example.com"), 403},
		{"callback through a proxy at home", "/oauth/callback", from(near, "leads.example.com", "X-Forwarded-For", "192.0.2.7"), 200},
		{"page from no address", "/", from("@", "localhost:8480"), 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := s
			if strings.Contains(c.name, "proxy") {
				s = newTestServer(t, func(o *Options) { o.RedirectURL = "https://leads.example.com/oauth/callback" })
			}
			if w := get(t, s, c.path, c.from); w.Code != c.wants {
				t.Errorf("GET %s = %d %q, want %d", c.path, w.Code, w.Body, c.wants)
			}
		})
	}
}

// The redirect URL may name a path that something else of ours has, as where
// consent is always given by leadstream auth login --paste.
func TestTheRedirectURLOpensNothingButTheCallback(t *testing.T) {
	for _, path := range []string{"/", "/api/status", "/oauth/login", "/oauth/disconnect"} {
		s := newTestServer(t, func(o *Options) { o.RedirectURL = "https://leads.example.com" + path })
		for _, host := range []string{"leads.example.com", "127.0.0.1:8480"} {
			for _, stranger := range []func(*http.Request){
				from("127.0.0.1:40000", host, "X-Forwarded-For", "192.0.2.7"), from("127.0.0.6:40000", host),
			} {
				if w := get(t, s, path, stranger); w.Code != http.StatusForbidden {
					t.Errorf("GET %s by the name %s through a proxy = %d, want 403", path, host, w.Code)
				}
			}
		}
	}
}

// nginx with proxy_pass alone: from this machine, to its address, without a header.
func TestAProxyThatSaysNothingIsKnownByItsProtocol(t *testing.T) {
	s := newTestServer(t, nil)
	old := func(r *http.Request) {
		from("127.0.0.1:40000", "127.0.0.1:8480", "Connection", "close")(r)
		r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.0", 1, 0
	}
	for path, want := range map[string]int{"/": 403, "/api/status": 403, "/oauth/login": 403, "/healthz": 200, "/metrics": 200, "/oauth/callback": 200} {
		if w := get(t, s, path, old); w.Code != want {
			t.Errorf("GET %s = %d, want %d", path, w.Code, want)
		}
	}
}

// A page that had its own name point at this server, wherever that listens, must
// read no probe that tells anything. Who asks for the probes in earnest does so by an
// address, by a name that nobody can register, or by one that the server was given.
func TestProbesAreNotReadUnderForeignNames(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	s := newTestServer(t, func(o *Options) {
		o.RedirectURL, o.Hosts, o.Log = "https://leads.example.com/oauth/callback", []string{"vm7.example.com"}, zap.New(core)
	})
	for host, known := range map[string]bool{
		"198.51.100.1:8480": true, "10.0.3.7": true, "[2001:db8::1]:8480": true, // the kubelet's and Prometheus's way
		"leadstream:8480": true, "leadstream.default.svc": true, "leadstream.default.svc.cluster.local:8480": true, "10-0-3-7.leadstream.default.svc.cluster.local.": true,
		"host.docker.internal:8480": true, "vm7.us-central1-a.c.project.internal": true,
		"leads.example.com": true, "vm7.example.com:8480": true, "VM7.example.com": true,
		"":                 true, // HTTP/1.0, as of a load balancer
		"evil.example.net": false, "evil.example.net:8480": false, "leadstream.evil.example.net": false, "svc.example.net": false, "leadstream.svc.example.net": false,
		"internal.example.net": false, "localhost.example.net": false, "198.51.100.1.nip.io": false, "localhost.:8480": true,
	} {
		for _, remote := range []string{"192.0.2.7:40000", "127.0.0.1:40000", "127.0.0.6:40000"} {
			for _, path := range []string{"/metrics", "/readyz", "/readyz?strict=1"} {
				w := get(t, s, path, from(remote, host))
				if got := w.Code != http.StatusMisdirectedRequest; got != known {
					t.Errorf("%s from %s, Host %q: %d, want known %v", path, remote, host, w.Code, known)
				}
				if !known && (strings.Contains(w.Body.String(), "leadstream_") || !strings.Contains(w.Body.String(), "http.hosts")) {
					t.Errorf("%s, Host %q: %s", path, host, w.Body)
				}
			}
		}
		if w := get(t, s, "/healthz", from("192.0.2.7:40000", host)); w.Code != http.StatusOK {
			t.Errorf("/healthz, Host %q: %d, want 200", host, w.Code)
		}
	}
	if n := logs.FilterMessageSnippet("a name that is not known").Len(); n == 0 || n > strangeLines {
		t.Errorf("it was said %d times, want some and no more than %d a minute", n, strangeLines)
	}
}

func TestForeignHostNamesAreRefused(t *testing.T) {
	s := newTestServer(t, func(o *Options) {
		o.Password, o.Hosts = "open sesame", []string{"Status.example.com", "ported.example.com:8480"}
		o.RedirectURL = "https://leads.example.com/oauth/callback"
		o.Listen = "leads.internal:8480"
	})
	for _, c := range []struct {
		remote, host string
		known        bool
	}{
		{"192.0.2.7:1", "leads.example.com", true},
		{"192.0.2.7:1", "LEADS.example.com.:443", true},
		{"192.0.2.7:1", "status.example.com:9999", true},
		{"192.0.2.7:1", "ported.example.com:8480", true},
		{"192.0.2.7:1", "ported.example.com:8481", false},
		{"192.0.2.7:1", "leads.internal:8480", true},
		{"192.0.2.7:1", "198.51.100.1:8480", true},
		{"192.0.2.7:1", "[2001:db8::1]:8480", true},
		{"192.0.2.7:1", "evil.example.net", false},
		{"192.0.2.7:1", "localhost:8480", false},
		{"192.0.2.7:1", "leads.example.com.evil.example.net", false},
		{"192.0.2.7:1", "", false},
		{"127.0.0.1:1", "localhost:8480", true},
		{"127.0.0.1:1", "evil.example.net", false},
		{"127.0.0.1:1", "evillocalhost", false},
	} {
		w := get(t, s, "/login", from(c.remote, c.host))
		if known := w.Code != http.StatusMisdirectedRequest; known != c.known {
			t.Errorf("from %s, Host %q: answered %d, want known %v", c.remote, c.host, w.Code, c.known)
		}
	}
	// A page that had its name point at this machine must not read the probes.
	if w := get(t, s, "/metrics", from("127.0.0.1:1", "evil.example.net")); w.Code != http.StatusMisdirectedRequest {
		t.Errorf("metrics on loopback under a foreign name = %d, want 421", w.Code)
	}
}

func TestChangesFromOtherSitesAreRefused(t *testing.T) {
	for _, path := range []string{"/oauth/login", "/oauth/disconnect", "/login", "/logout"} {
		for _, c := range []struct {
			name    string
			headers []string
			refused bool
		}{
			{"from another site", []string{"Sec-Fetch-Site", "cross-site"}, true},
			{"from a sibling", []string{"Sec-Fetch-Site", "same-site"}, true},
			{"from another origin, older browser", []string{"Origin", "https://evil.example.net"}, true},
			{"from nowhere", []string{"Origin", "null"}, true},
			{"from our page", []string{"Sec-Fetch-Site", "same-origin"}, false},
			{"from our page, older browser", []string{"Origin", "http://localhost:8480"}, false},
		} {
			consent := &fakeConsent{}
			s := newTestServer(t, func(o *Options) { o.Consent = consent })
			w := ask(t, s, http.MethodPost, path, from("127.0.0.1:1", "localhost:8480", c.headers...))
			if refused := w.Code == http.StatusForbidden; refused != c.refused {
				t.Errorf("POST %s %s = %d, want refused %v", path, c.name, w.Code, c.refused)
			}
			if c.refused && (consent.disconnected > 0 || len(consent.begun) > 0) {
				t.Errorf("POST %s %s was refused and still done", path, c.name)
			}
		}
	}
}

func TestEveryAnswerIsProtected(t *testing.T) {
	s := newTestServer(t, nil)
	for _, path := range []string{"/", "/healthz", "/readyz", "/metrics", "/api/status", "/style.css", "/page.js", "/icon.svg",
		"/oauth/login", "/oauth/callback", "/oauth/disconnect", "/nothing"} {
		w := get(t, s, path, nil)
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
			"X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := w.Header().Get(name); !strings.HasPrefix(got, want) {
				t.Errorf("GET %s: %s = %q, want it to begin with %q", path, name, got, want)
			}
		}
		if csp := w.Header().Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Errorf("GET %s: the policy %q is not strict", path, csp)
		}
	}
	csp := get(t, s, "/", nil).Header().Get("Content-Security-Policy")
	want := "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
		"form-action 'self' https://www.linkedin.com http://localhost:8480; frame-ancestors 'none'; base-uri 'none'"
	if csp != want {
		t.Errorf("the policy is %q, want %q", csp, want)
	}
}

func TestPagesHoldNothingThatThePolicyForbids(t *testing.T) {
	s := newTestServer(t, nil)
	for _, path := range []string{"/", "/oauth/login", "/oauth/disconnect", "/oauth/callback"} {
		body := get(t, s, path, nil).Body.String()
		for _, forbidden := range []string{"<style", " style=", " onclick=", " onload=", "javascript:", "http://", "https://", "//cdn"} {
			if strings.Contains(body, forbidden) {
				t.Errorf("GET %s holds %q", path, forbidden)
			}
		}
	}
}

func TestOnlyTheMethodsThatAreMeantAreServed(t *testing.T) {
	s := newTestServer(t, nil)
	for _, c := range []struct{ method, path string }{
		{http.MethodPost, "/"}, {http.MethodPost, "/healthz"}, {http.MethodDelete, "/api/status"}, {http.MethodGet, "/logout"}, {http.MethodPost, "/oauth/callback"},
	} {
		if w := ask(t, s, c.method, c.path, nil); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s %s = %d, want 405", c.method, c.path, w.Code)
		}
	}
}

func TestWithoutConsentThereIsNoConsentToFind(t *testing.T) {
	s := newTestServer(t, func(o *Options) { o.Consent = nil })
	for _, path := range []string{"/oauth/login", "/oauth/callback", "/oauth/disconnect"} {
		if w := get(t, s, path, nil); w.Code != http.StatusNotFound {
			t.Errorf("GET %s = %d, want 404", path, w.Code)
		}
	}
	if body := get(t, s, "/", nil).Body.String(); strings.Contains(body, "oauth/") {
		t.Error("the page offers a consent that cannot be done here")
	}
}

// With a port that others reach, strangers may ask the callback whatever they like.
func TestStrangersCannotFillTheLog(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	s := newTestServer(t, func(o *Options) {
		o.Listen, o.Password, o.Log = "0.0.0.0:8480", secret, zap.New(core)
		o.Consent = &fakeConsent{callback: fmt.Errorf("%w: forged", ErrForeignState)}
	})
	for range 1000 {
		if w := get(t, s, "/oauth/callback?state=x&code=y", from("192.0.2.7:4", "198.51.100.1:8480")); w.Code != http.StatusUnauthorized {
			t.Fatalf("callback = %d, want 401", w.Code)
		}
	}
	if n := logs.Len(); n == 0 || n > 2*strangeLines { // a minute may have begun meanwhile
		t.Errorf("1,000 requests of a stranger made %d lines, want some and at most %d", n, strangeLines)
	}
}
