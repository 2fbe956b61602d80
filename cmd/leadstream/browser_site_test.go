//go:build browser

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"leadstream/internal/browsertest"
	"leadstream/internal/linkedinsim"
)

// site is an installation with a browser in front of it: a simulated LinkedIn,
// Kafka and a registry in this process, the program in others.
type site struct {
	*stack
	browser context.Context
}

// newSite brings up what the program needs, without a token.
func newSite(t *testing.T, world linkedinsim.Config) *site {
	t.Helper()
	t.Parallel() // they wait more than they work
	s := &site{stack: bareStack(t, world), browser: browsertest.Start(t)}
	s.env["LEADSTREAM_POLL_DISCOVERY_INTERVAL"] = "1s"
	s.env["LEADSTREAM_NAME"] = "marketing"
	browsertest.Hurry(t, s.browser)
	return s
}

// child is a process of the program.
type child struct {
	t    *testing.T
	url  string // of its pages
	cmd  *exec.Cmd
	log  bytes.Buffer // to be read once it has ended
	done chan struct{}
}

// start starts "leadstream run" and waits until it answers.
func (s *site) start(args ...string) *child {
	s.t.Helper()
	port := freePort(s.t)
	c := &child{t: s.t, url: fmt.Sprintf("http://localhost:%d", port), done: make(chan struct{})}
	c.cmd = exec.Command(os.Args[0], append([]string{"run"}, args...)...)
	c.cmd.Dir, c.cmd.Env = s.t.TempDir(), s.environ(map[string]string{
		actAs: "program", "PATH": os.Getenv("PATH"), "HOME": s.t.TempDir(),
		"LEADSTREAM_HTTP_LISTEN":           fmt.Sprintf("127.0.0.1:%d", port),
		"LEADSTREAM_LINKEDIN_REDIRECT_URL": c.url + "/oauth/callback",
	})
	c.cmd.Stdout, c.cmd.Stderr = &c.log, &c.log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		_ = c.cmd.Wait() // how it ended is in its state
	}()
	s.t.Cleanup(c.stop)
	c.await("it answers", func() bool { return c.get("/healthz") == "ok\n" })
	return c
}

// freePort is one that nobody listens on, and nobody takes at once.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // it was only to name a port
	return listener.Addr().(*net.TCPAddr).Port
}

// stop has it end in good order, and says what it logged where a test failed.
func (c *child) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-c.done:
	case <-time.After(20 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.done
		c.t.Error("the program did not end within 20 s")
	}
	if c.t.Failed() {
		lines := strings.Split(c.log.String(), "\n")
		c.t.Logf("the program's log ends with\n%s", strings.Join(lines[max(len(lines)-60, 0):], "\n"))
	}
}

// kill ends it as a crash would.
func (c *child) kill() {
	if err := c.cmd.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	<-c.done
}

// get is what it answers, empty when it does not.
func (c *child) get(path string) string {
	request, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.url+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end below
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return ""
	}
	return string(body)
}

// metric is the value of a metric, named with its labels, as its text.
func (c *child) metric(name string) string {
	for line := range strings.Lines(c.get("/metrics")) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// await waits until something holds.
func (c *child) await(what string, holds func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(40 * time.Second); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("waiting until %s", what)
		}
	}
}

// awaitMetric waits until a metric has a value.
func (c *child) awaitMetric(name, value string) {
	c.t.Helper()
	c.await(name+" is "+value, func() bool { return c.metric(name) == value })
}

// open opens the status page of a process.
func (s *site) open(c *child, screen browsertest.Screen) {
	s.t.Helper()
	screen.Look(s.t, s.browser, c.url+"/")
}

// says waits until the page shows all of these texts.
func (s *site) says(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		began := time.Now()
		browsertest.Wait(s.t, s.browser, fmt.Sprintf(`document.body.innerText.replace(/\s+/g, " ").includes(%q)`, text))
		if took := time.Since(began); took > 15*time.Second {
			s.t.Logf("it took %v until the page said %q", took, text)
		}
	}
}

// press presses what a selector names, at once, whatever replaces it meanwhile.
func (s *site) press(selector string) {
	s.t.Helper()
	browsertest.Wait(s.t, s.browser, fmt.Sprintf(`document.querySelector(%q) !== null`, selector))
	browsertest.Eval[bool](s.t, s.browser, fmt.Sprintf(`document.querySelector(%q).click() === undefined`, selector))
}

// consentInBrowser goes through the consent from the page that is open.
func (s *site) consentInBrowser() {
	s.t.Helper()
	s.press("#connect")
	s.press("#approve")
	s.says("Connected to LinkedIn")
}

// leads waits until the page counts so many leads.
func (s *site) leads(n int) {
	s.t.Helper()
	digits := strconv.Itoa(n)
	if n >= 1000 {
		digits = digits[:len(digits)-3] + "," + digits[len(digits)-3:]
	}
	s.says("Leads in 24 hours " + digits + " published")
}

// pictures keeps the page as it looks on the screens, and holds each to what
// everybody can use.
func (s *site) pictures(name string, screens ...browsertest.Screen) {
	s.t.Helper()
	const button = `[...document.querySelectorAll("header button")].find(b => b.textContent.endsWith(" updates"))`
	toggle := func(from, to string) { // the page keeps still for its picture
		browsertest.Wait(s.t, s.browser, fmt.Sprintf(`%s?.textContent === "%s updates"`, button, from))
		browsertest.Eval[bool](s.t, s.browser, button+`.click() === undefined`)
		browsertest.Wait(s.t, s.browser, fmt.Sprintf(`%s.textContent === "%s updates"`, button, to))
	}
	status := browsertest.Eval[bool](s.t, s.browser, `document.body.dataset.page === "status"`)
	if status {
		toggle("Pause", "Resume")
	}
	for _, screen := range screens {
		screen.Use(s.t, s.browser)
		browsertest.Picture(s.t, s.browser, name+"-"+screen.Name)
		browsertest.Fits(s.t, s.browser)
		browsertest.Accessible(s.t, s.browser)
	}
	if status {
		toggle("Resume", "Pause")
	}
}

// addLeads has people submit leads now, to one organization.
func (s *site) addLeads(owner string, count int) {
	s.t.Helper()
	if _, err := s.sim.AddLeads(linkedinsim.LeadSpec{Owner: owner, Count: count}); err != nil {
		s.t.Fatal(err)
	}
}

// number is the id of an organization, by its place.
func (s *site) number(n int) int64 {
	s.t.Helper()
	urn, _ := s.owner(n)
	id, err := strconv.ParseInt(urn[strings.LastIndexByte(urn, ':')+1:], 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

// owner is the URN and the name of an organization, by its place.
func (s *site) owner(n int) (urn, name string) {
	o := s.sim.Describe().Organizations[n]
	return o.URN, o.Name
}
