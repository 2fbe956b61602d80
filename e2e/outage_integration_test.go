//go:build integration

package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"leadstream/internal/realstack"
)

// gate stands before a service and lets it disappear and come back.
type gate struct {
	listener net.Listener
	target   string

	mu   sync.Mutex
	shut bool
	open map[net.Conn]bool
}

func newGate(t testing.TB, target string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: l, target: target, open: map[net.Conn]bool{}}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go g.carry(c)
		}
	}()
	return g
}

func (g *gate) carry(client net.Conn) {
	defer client.Close() //nolint:errcheck // one of both ends has gone
	g.mu.Lock()
	if g.shut {
		g.mu.Unlock()
		return
	}
	g.open[client] = true
	g.mu.Unlock()
	service, err := net.Dial("tcp", g.target)
	if err != nil {
		return
	}
	defer service.Close() //nolint:errcheck // one of both ends has gone
	done := make(chan error, 2)
	for _, pair := range [][2]net.Conn{{client, service}, {service, client}} {
		go func() {
			_, err := io.Copy(pair[0], pair[1])
			done <- err
		}()
	}
	<-done
}

// set shuts or opens the gate.
func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	for c := range g.open {
		_ = c.Close()
	}
	clear(g.open)
}

// TestOutages: registry, LinkedIn and Kafka go and come back, one after the
// other; the connector waits and goes on by itself.
func TestOutages(t *testing.T) {
	t.Parallel()
	kafka := ownKafka(t)
	behind, err := url.Parse(stack.registry.URL())
	if err != nil {
		t.Fatal(err)
	}
	registry := newGate(t, behind.Host)
	behind.Host = registry.listener.Addr().String()
	w := newWorld(t, options{
		simulate: []string{"--leads", "300"}, brokers: kafka.Addr(realstack.PLAINTEXT),
		settings: map[string]string{"LEADSTREAM_REGISTRY_URL": behind.String()},
	})
	c := w.run()
	w.await(30 * time.Second)
	l := w.linkedin
	form := l.ledger()[0].FormID

	// Without the registry, known schemas go on; what needs a new one is deferred.
	registry.set(true)
	l.submit(object{"count": 20})
	w.await(20 * time.Second)
	l.goWrong(object{"kind": "change_form", "form": form, "change": object{"what": "add_question", "text": "Asked in an outage?"}})
	l.submit(object{"form": form, "count": 10})
	others := l.submit(object{"count": 40}) // of all forms
	eventually(t, 20*time.Second, func() error {
		for i := range others {
			if s := &others[i]; s.FormID != form && !w.seen.saw(s.identity()) {
				return fmt.Errorf("%s, which needs no new schema, is not there", describe(s))
			}
		}
		return nil
	})
	registry.set(false)
	w.await(60 * time.Second)
	w.verify()

	// LinkedIn fails in every way.
	for _, fault := range []object{
		{"kind": "status", "status": 503, "for": "2s"}, {"kind": "html", "for": "1s"},
		{"kind": "truncated", "for": "1s"}, {"kind": "no_elements", "for": "1s"}, {"kind": "reset", "for": "1s"},
	} {
		l.goWrong(fault)
		l.submit(object{"count": 10})
		time.Sleep(1200 * time.Millisecond)
	}
	l.wellAgain()
	w.await(60 * time.Second)
	w.verify()

	// Kafka dies and comes back.
	if err := kafka.Kill(); err != nil {
		t.Fatal(err)
	}
	l.submit(object{"count": 50})
	time.Sleep(2 * time.Second)
	if err := kafka.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.await(60 * time.Second)
	w.verify()
	if !c.running() {
		t.Fatalf("the process ended with %d", c.cmd.ProcessState.ExitCode())
	}
	if code, _ := c.stop(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
}

// Kafka is away for half a minute, and somebody looks at both pages meanwhile, as
// people do. Afterwards nobody opens them: a monitor that asks the strict probes is
// told soon that all is well.
func TestTheStrictProbesAreGreenAMinuteAfterAnOutageThatSomebodyLookedAt(t *testing.T) {
	t.Parallel()
	kafka := ownKafka(t)
	w := newWorld(t, options{simulate: []string{"--leads", "50"}, brokers: kafka.Addr(realstack.PLAINTEXT)})
	active, standby := w.pair()
	w.await(30 * time.Second)
	both := []*connector{active, standby}
	look := func() {
		t.Helper()
		for _, c := range both {
			if _, err := c.page(); err != nil {
				t.Error(err)
			}
		}
	}
	look()
	if err := kafka.Kill(); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); time.Since(began) < 30*time.Second; time.Sleep(5 * time.Second) {
		w.linkedin.submit(object{"count": 2})
		look()
	}
	if err := kafka.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	up := time.Now()
	w.await(60 * time.Second)
	t.Logf("leads flow again %v after Kafka was started", time.Since(up).Round(time.Second))
	eventually(t, time.Minute, func() error {
		for _, c := range both {
			if r, err := c.ready(); err != nil || r.status != http.StatusOK {
				return fmt.Errorf("%s (active %v): /readyz?strict=1 = %d %+v (%v)", c.name, c.active(), r.status, r.Degraded, err)
			}
		}
		return nil
	})
	t.Logf("both strict probes are green %v after Kafka was started", time.Since(up).Round(time.Second))
	look() // has what was looked at in vain looked at again
	eventually(t, time.Minute, func() error {
		for _, c := range both {
			page, err := c.page()
			if err != nil {
				return err
			}
			for _, state := range []string{"Still there", "Tried again", "need attention", "needs attention"} {
				if at := strings.Index(page, state); at >= 0 {
					return fmt.Errorf("%s (active %v): its page says: %s", c.name, c.active(), page[at:])
				}
			}
		}
		return nil
	})
}
