package web

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"go.uber.org/zap"
)

// probes are served to whoever reaches the port, without a password: an orchestrator
// and Prometheus ask by address or by service name. Whether the process is alive is
// told under any name, as load balancers may ask by the name of what they serve.
var probes = map[string]bool{"/healthz": true, "/readyz": true, "/metrics": true}

// forwarding are headers by which a proxy says that the request is not its own, and
// forwardings how the names of others begin (RFC 7239; RFC 9110, 7.6.3; Envoy's HTTP
// header manipulation).
var (
	forwarding  = map[string]bool{"Forwarded": true, "Via": true, "X-Real-Ip": true, "X-Client-Ip": true, "True-Client-Ip": true, "Cf-Connecting-Ip": true}
	forwardings = []string{"X-Forwarded-", "X-Original-", "X-Envoy-"}
)

// guard is what stands before every route. It decides by the connection, the
// Host header and the password who may come in at all.
func (s *Server) guard(next http.Handler) http.Handler {
	changes := http.NewCrossOriginProtection()
	changes.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.strange.Warn("a request that another site made a browser send was refused", zap.String("path", clip(r.URL.Path)), zap.String("origin", clip(r.Header.Get("Origin"))),
			zap.String("todo", "nothing; if it was sent from the status page, see that the proxy before it leaves Host and Origin as they are"))
		s.refuse(w, http.StatusForbidden, "This request came from another site and was refused.",
			"Open the status page itself and try again there.")
	}))
	next = changes.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.protect(w.Header())
		local := fromHere(r)
		probe := probes[r.URL.Path]
		switch host := hostname(r.Host); {
		case probe && (host == "" || ofNobody(host)), r.URL.Path == "/healthz" && !local:
		case !s.knows(r.Host, local):
			s.strange.Warn("a request by a name that is not known for this server was refused",
				zap.String("host", clip(host)), zap.String("path", clip(r.URL.Path)), zap.String("todo", "if the name is this server's, list it in http.hosts; else nothing"))
			s.refuse(w, http.StatusMisdirectedRequest, "This server is not known under the name it was asked by.",
				"Ask it by its address, or by the host of linkedin.redirect_url, or name it in http.hosts.")
			return
		case !probe && s.opts.Password == "" && !s.private(r, local):
			s.refuse(w, http.StatusForbidden, "Without a password this is served on the machine itself only.",
				"Set http.password to reach it from elsewhere. /healthz, /readyz and /metrics are always served.")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// protect sets the headers that every answer carries. The policy allows what is
// embedded here and nothing else; form-action names LinkedIn because browsers
// apply it to the redirect that answers the Connect button as well.
func (s *Server) protect(h http.Header) {
	h.Set("Content-Security-Policy", s.policy)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin") // no-referrer would blank the Origin of our own forms
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// policy is the Content-Security-Policy.
func policy(formTargets ...*url.URL) string {
	forms := "form-action 'self'"
	for _, u := range formTargets {
		if u != nil {
			forms += " " + u.Scheme + "://" + u.Host
		}
	}
	return "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
		forms + "; frame-ancestors 'none'; base-uri 'none'"
}

// fromHere tells whether the other end of the connection is a program of this
// machine. A connection to any loopback address comes from 127.0.0.1 or ::1 unless
// somebody takes care that it does not: from 127.0.0.6, say, come those of strangers
// that Istio's sidecar passes on.
func fromHere(r *http.Request) bool {
	a := remote(r)
	return a == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || a == netip.IPv6Loopback()
}

// remote is the address at the other end of the connection; the zero Addr when
// it is none of IP.
func remote(r *http.Request) netip.Addr {
	address, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return address.Addr().Unmap()
}

// knows tells whether the server may be asked under this Host header. A web
// page that has its own name point at our address (DNS rebinding) comes with
// that name: so names must be ours, while an address may be any.
func (s *Server) knows(hostport string, local bool) bool {
	host := hostname(hostport)
	if s.hosts[host] || s.hosts[strings.ToLower(hostport)] {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return local && isLocalhost(host)
}

// private tells whether a request may come in without any password: from this
// machine, to this machine, not passed on by a proxy. A callback may be passed
// on, since its state is proof enough.
func (s *Server) private(r *http.Request, local bool) bool {
	if r.URL.Path == callbackPath { // and no other path that the redirect URL may have: nothing proves those
		return remote(r).IsLoopback()
	}
	if !local || passedOn(r) {
		return false
	}
	host := hostname(r.Host)
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || isLocalhost(host)
}

// passedOn tells whether a proxy says that it passes the request on. Requests that
// begin on this machine have no such header, with kubectl port-forward either. nginx
// says nothing unless it is told to, and names us by our own address, but used to
// speak HTTP/1.0, as no browser does (ngx_http_proxy_module, proxy_http_version).
func passedOn(r *http.Request) bool {
	if !r.ProtoAtLeast(1, 1) {
		return true
	}
	for name := range r.Header {
		if forwarding[name] || slices.ContainsFunc(forwardings, func(begin string) bool { return strings.HasPrefix(name, begin) }) {
			return true
		}
	}
	return false
}

// ofNobody tells names that nobody can register, so that no page of a stranger has
// them: those without a dot, as of services under Docker, of services under Kubernetes, and
// those that ICANN keeps for private use (.internal, resolution 2024.07.29.06).
func ofNobody(host string) bool {
	return host != "" && !strings.Contains(host, ".") || strings.HasSuffix(host, ".svc") || strings.HasSuffix(host, ".svc.cluster.local") ||
		strings.HasSuffix(host, ".internal")
}

// clip is what a log shows of what a stranger sent.
func clip(text string) string {
	const most = 100
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// isLocalhost tells the names that always mean this machine (RFC 6761, 6.3).
func isLocalhost(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// hostname is the Host header without its port, in lower case, without the
// brackets of an IPv6 address and the dot of a full name.
func hostname(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport // without a port
	}
	host = strings.TrimPrefix(strings.TrimSuffix(host, "]"), "[")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// secure tells whether the browser speaks HTTPS, to us or to the proxy in front
// of us, so that cookies may be limited to it. Whoever forges the header only
// loses his own cookie.
func (s *Server) secure(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" ||
		s.redirect != nil && s.redirect.Scheme == "https" && hostname(r.Host) == s.redirect.Hostname()
}
