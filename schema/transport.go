package schema

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// bounded is a transport whose answers have an end, and which follows nobody: the
// password is for the registry that registry.url names, not for whoever that one
// names, and a POST that is redirected becomes a GET.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if to := resp.Header.Get("Location"); to != "" && resp.StatusCode >= 300 && resp.StatusCode < 400 {
		_ = resp.Body.Close() // nothing of it is wanted
		return nil, &redirectError{Status: resp.StatusCode, To: target(req.URL, to)}
	}
	resp.Body = &ended{ReadCloser: resp.Body, left: mostAnswer}
	return resp, nil
}

// CloseIdleConnections is what http.Client calls.
func (b bounded) CloseIdleConnections() {
	if t, ok := b.next.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

// target is where a redirect leads, without what may be secret in an address.
func target(from *url.URL, to string) string {
	u, err := from.Parse(to)
	if err != nil {
		return "an address that cannot be read"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return fmt.Sprintf("%.200s", u)
}

// redirectError says that the registry sent us elsewhere.
type redirectError struct {
	Status int
	To     string
}

func (e *redirectError) Error() string {
	return fmt.Sprintf("it redirects to %s (%d), where no password is sent: let registry.url be the address that answers itself", e.To, e.Status)
}

// oversizeError says that there is more of something than leadstream takes.
type oversizeError struct{ what string }

func (e *oversizeError) Error() string { return e.what }

// ended is an answer that is refused when it is longer than it may be.
type ended struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (e *ended) Read(p []byte) (int, error) {
	if int64(len(p)) > e.left+1 {
		p = p[:e.left+1]
	}
	n, err := e.ReadCloser.Read(p)
	if e.left -= int64(n); e.left < 0 {
		return 0, &oversizeError{fmt.Sprintf("the answer is longer than %d bytes", mostAnswer)}
	}
	return n, err
}
