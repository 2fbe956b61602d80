package web

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// bound is the address that Run listens on. It waits until Run listens, and is
// nil when ctx ends before.
func (l *Listener) bound(ctx context.Context) net.Addr {
	select {
	case <-l.listening:
		return l.addr
	case <-ctx.Done():
		return nil
	}
}

// running is a server that listens, and the address it listens on. stop ends
// it and returns what Run returned.
func running(t *testing.T, change func(*Options), limit int) (address string, stop func() error) {
	t.Helper()
	s := newTestServer(t, func(o *Options) {
		o.Now, o.Log = time.Now, zap.NewNop()
		if change != nil {
			change(o)
		}
	})
	if limit > 0 {
		s.limit = limit
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	a := s.bound(t.Context())
	if a == nil {
		t.Fatal("no address, want where Run listens")
	}
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
	return a.String(), stop
}

// fetch gets a page over the network.
func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatalf("dialling: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the server may have closed it already
	return conn
}

func TestRunServesUntilItsContextEnds(t *testing.T) {
	address, stop := running(t, nil, 0)
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": `"ready": true`, "/metrics": "leadstream_active 1", "/": "Everything works", "/api/status": `"marketing"`} {
		if status, body := fetch(t, "http://"+address+path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("GET %s = %d without %q, want 200 with it", path, status, want)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	var d net.Dialer
	if conn, err := d.DialContext(t.Context(), "tcp", address); err == nil {
		_ = conn.Close()
		t.Error("it listens on after Run has returned")
	}
}

func TestRequestsUnderWayFinishWhenItStops(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	address, stop := running(t, func(o *Options) {
		o.View = func(context.Context) View {
			close(asked)
			<-release
			return sampleView()
		}
	}, 0)
	status := make(chan int, 1)
	go func() {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/api/status", nil)
		if err != nil {
			status <- -1
			return
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			status <- -1
			return
		}
		_ = answer.Body.Close()
		status <- answer.StatusCode
	}()
	<-asked
	done := make(chan error, 1)
	go func() { done <- stop() }()
	close(release)
	if got := <-status; got != http.StatusOK {
		t.Errorf("the request under way = %d, want 200", got)
	}
	if err := <-done; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

func TestAddressInUseIsNamed(t *testing.T) {
	address, _ := running(t, nil, 0)
	s := newTestServer(t, func(o *Options) { o.Listen = address })
	err := s.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), address) || !strings.Contains(err.Error(), "http.listen") {
		t.Errorf("Run on a taken address = %v, want an error that names http.listen and %s", err, address)
	}
}

func TestUnusableOptionsAreNamed(t *testing.T) {
	good := func() Options {
		return Options{Listen: "127.0.0.1:0", Log: zap.NewNop(), Metrics: http.NotFoundHandler(),
			View: func(context.Context) View { return View{} }, Ready: func() Readiness { return Readiness{} }}
	}
	if _, err := New(good()); err != nil {
		t.Fatalf("New = %v, want nil", err)
	}
	for want, change := range map[string]func(*Options){
		"View":                  func(o *Options) { o.View = nil },
		"Ready":                 func(o *Options) { o.Ready = nil },
		"Metrics":               func(o *Options) { o.Metrics = nil },
		"Log":                   func(o *Options) { o.Log = nil },
		"http.listen":           func(o *Options) { o.Listen = "8480" },
		"linkedin.redirect_url": func(o *Options) { o.RedirectURL = "localhost:8480/oauth/callback" },
		"linkedin.auth_url":     func(o *Options) { o.AuthURL = "http://" },
	} {
		o := good()
		change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New without a usable %s = %v, want an error that names it", want, err)
		}
	}
}

func TestEveryPhaseOfAConnectionHasAnEnd(t *testing.T) {
	h := newTestServer(t, nil).server(t.Context())
	for name, d := range map[string]time.Duration{"header": h.ReadHeaderTimeout, "read": h.ReadTimeout, "write": h.WriteTimeout, "idle": h.IdleTimeout} {
		if d <= 0 || d > time.Minute {
			t.Errorf("%s timeout = %v, want one within a minute", name, d)
		}
	}
}

func TestOversizedRequestsAreRefused(t *testing.T) {
	address, _ := running(t, func(o *Options) { o.Password = secret }, 0)
	for _, c := range []struct{ name, request, want string }{
		{"header", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("a", 2*maxHeader) + "\r\n\r\n", " 431 "},
		{"body", "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " + strconv.Itoa(2*maxBody) + "\r\n\r\n" + strings.Repeat("a", 2*maxBody), " 400 "},
		{"nonsense", "\x16\x03\x01\x02\x00\x01\r\n\r\n", " 400 "},
		{"no host", "GET / HTTP/1.1\r\n\r\n", " 400 "},
	} {
		conn := dial(t, address)
		if _, err := io.WriteString(conn, c.request); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.Contains(line, c.want) {
			t.Errorf("%s: answered %q, %v, want%s", c.name, line, err, c.want)
		}
	}
	if status, _ := fetch(t, "http://"+address+"/healthz"); status != http.StatusOK {
		t.Errorf("afterwards /healthz = %d, want 200", status)
	}
}

func TestSlowClientsNeverKeepOthersOut(t *testing.T) {
	const limit = 8
	address, _ := running(t, nil, limit)
	first := dial(t, address)
	if _, err := io.WriteString(first, "GET /healthz HTTP/1.1\r\n"); err != nil { // and no more
		t.Fatal(err)
	}
	for range 4 * limit {
		slow := dial(t, address)
		if _, err := io.WriteString(slow, "GET / HT"); err != nil {
			t.Fatal(err)
		}
		if status, _ := fetch(t, "http://"+address+"/healthz"); status != http.StatusOK {
			t.Fatalf("/healthz beside slow clients = %d, want 200", status)
		}
	}
	if _, err := first.Read(make([]byte, 1)); err == nil {
		t.Error("the slowest client was answered, want it cut")
	}
}

func TestAThousandSlowConnectionsAreNothing(t *testing.T) {
	address, _ := running(t, nil, 0)
	for range 1000 {
		if _, err := io.WriteString(dial(t, address), "GET / HTTP/1.1\r\nX: "); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		begun := time.Now()
		if status, _ := fetch(t, "http://"+address+"/healthz"); status != http.StatusOK {
			t.Fatalf("/healthz = %d, want 200", status)
		}
		if took := time.Since(begun); took > time.Second { // far above what it takes, for a busy machine
			t.Errorf("/healthz took %v, want it at once", took)
		}
	}
}

func TestTheLongestWaitingConnectionMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := newConnections(3, time.Now)
		accept := func() (net.Conn, context.Context) {
			client, server := net.Pipe()
			t.Cleanup(func() { _, _ = client.Close(), server.Close() })
			return client, open.accept(t.Context(), server)
		}
		cut := func(client net.Conn) bool {
			_ = client.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, err := client.Read(make([]byte, 1))
			return err == io.EOF
		}
		busy, ctx := accept()
		leave := enter(ctx)
		time.Sleep(time.Second)
		waiting, _ := accept()
		time.Sleep(time.Second)
		fresh, freshCtx := accept()

		leaveFresh := enter(freshCtx)
		time.Sleep(time.Second)
		late, _ := accept()
		if !cut(waiting) || cut(busy) || cut(fresh) {
			t.Error("want the one that waits longest cut, and it alone")
		}
		time.Sleep(patience)
		leave()
		enter(ctx) // so that the fresh one's request is the oldest, and older than the late one's wait
		if _, _ = accept(); !cut(late) || cut(busy) || cut(fresh) {
			t.Error("want no request cut while a connection only waits")
		}
		leaveFresh()
	})
}

func TestFreshRequestsAreNotCutForNewConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := newConnections(1, time.Now)
		busyClient, busyServer := net.Pipe()
		newClient, newServer := net.Pipe()
		for _, c := range []net.Conn{busyClient, busyServer, newClient, newServer} {
			t.Cleanup(func() { _ = c.Close() })
		}
		enter(open.accept(t.Context(), busyServer))
		open.accept(t.Context(), newServer)
		if _, err := newClient.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the new connection reads %v, want it refused", err)
		}
		time.Sleep(patience)
		lateClient, lateServer := net.Pipe()
		t.Cleanup(func() { _, _ = lateClient.Close(), lateServer.Close() })
		open.accept(t.Context(), lateServer)
		if _, err := busyClient.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the request past patience reads %v, want it cut", err)
		}
		open.follow(lateServer, http.StateClosed)
		if len(open.open) != 0 {
			t.Errorf("%d connections are counted after all have closed, want 0", len(open.open))
		}
	})
}
