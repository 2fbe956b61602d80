//go:build !race

package linkedin

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"leadstream/internal/lead"
)

// hostile are bodies that take far more memory than LinkedIn's answers, or that
// never end.
var hostile = map[string]func(w io.Writer, r *http.Request){
	"elements without end":     repeated(`{"elements":[`, `{},`, 30<<20),
	"a page of empty elements": repeated(`{"paging":{"start":0,"count":100},"elements":[`, `{},`, 100<<10, "{}]}"),
	"elements that are none":   repeated(`{"elements":[`, `0,`, 3<<20, "0]}"),
	"answers":                  inElement(`"formResponse":{"answers":[`, `{},`, `{}]}`),
	"answers again and again":  inElement(`"formResponse":{`, `"answers":[{},{},{},{}],`, `"x":0}`),
	"options": inElement(`"formResponse":{"answers":[{"questionId":1,"answerDetails":{"multipleChoiceAnswer":{"options":[`, `1,`,
		`1]}}}]}`),
	"consents":                  inElement(`"formResponse":{"consentResponses":[`, `{},`, `{}]}`),
	"broken parts":              inElement(``, `"testLead":0,`, `"x":0`),
	"an id":                     inElement(`"id":"`, `xxxxxxxx`, `"`),
	"members":                   inElement(``, `"a":0,`, `"x":0`),
	"nesting":                   inElement(`"associatedEntity":`, `[`, `0`),
	"questions":                 inElement(`"content":{"questions":[`, `{"questionId":1},`, `{}]}`),
	"form options":              inElement(`"content":{"questions":[{"questionId":1,"questionDetails":{"multipleChoiceQuestionDetails":{"options":[`, `{"id":1},`, `{}]}}}]}`),
	"hidden fields":             inElement(`"hiddenFields":[`, `{},`, `{}]`),
	"form consents":             inElement(`"content":{"legalInfo":{"consents":[`, `{"id":1},`, `{}]}}`),
	"broken consents of a form": inElement(`"content":{"legalInfo":{"consents":[`, `0,`, `{}]}}`),
	"locales": func(w io.Writer, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"elements":[`)
		for range 5 {
			_, _ = fmt.Fprint(w, `{"id":7,"name":{"localized":{`)
			for i := range 60_000 {
				_, _ = fmt.Fprintf(w, `"%d":"",`, i)
			}
			_, _ = fmt.Fprint(w, `"x":""}}},`)
		}
		_, _ = fmt.Fprint(w, `{}]}`)
	},
	"no end":  repeated(``, " ", 1<<40),
	"no JSON": repeated(`{"elements":`, "\xff\"a", 8<<20),
	"deep":    repeated(``, `{"elements":[`, 3<<20),
	"heavy rows": func(w io.Writer, r *http.Request) {
		start, _ := strconv.Atoi(r.URL.Query().Get("start"))
		count, _ := strconv.Atoi(r.URL.Query().Get("count"))
		_, _ = fmt.Fprintf(w, `{"paging":{"start":%d,"total":1000000},"elements":[`, start)
		for i := range count {
			_, _ = io.WriteString(w, strings.Replace(element(start+i+1), "secret-", strings.Repeat("x", 39_000), 1)+",")
		}
		_, _ = io.WriteString(w, element(start+count+1)+`]}`)
	},
}

// ofLeadsOrForms are those that mean nothing to other questions.
var ofLeadsOrForms = map[string]bool{"answers": true, "answers again and again": true, "options": true, "consents": true, "broken parts": true, "questions": true,
	"form options": true, "hidden fields": true, "form consents": true, "broken consents of a form": true, "heavy rows": true}

// repeated is a body of a beginning, so many bytes of a part, and an end.
func repeated(begin, part string, bytes int, end ...string) func(io.Writer, *http.Request) {
	return func(w io.Writer, _ *http.Request) {
		_, _ = io.WriteString(w, begin)
		block := strings.Repeat(part, max(64<<10/len(part), 1))
		for sent := 0; sent < bytes; sent += len(block) {
			if _, err := io.WriteString(w, block); err != nil {
				return
			}
		}
		_, _ = io.WriteString(w, strings.Join(end, ""))
	}
}

// inElement is a list of elements, or one where one is asked for, with something of
// great length in each.
func inElement(begin, part, end string) func(io.Writer, *http.Request) {
	return func(w io.Writer, r *http.Request) {
		body := func(length int) {
			_, _ = io.WriteString(w, `{"id":"7130000000000000001",`)
			repeated(begin, part, length, end)(w, nil)
			_, _ = io.WriteString(w, `}`)
		}
		if r.URL.Query().Get("q") == "" {
			body(3 << 20)
			return
		}
		_, _ = io.WriteString(w, `{"elements":[`)
		for range 5 {
			body(600 << 10)
			_, _ = io.WriteString(w, `,`)
		}
		_, _ = io.WriteString(w, `null]}`)
	}
}

// serveHostile answers every request with the body that its path begins with, also
// compressed, as a refusal, or in headers.
func serveHostile(w http.ResponseWriter, r *http.Request) {
	name, form, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	r.URL.Path = "/" + form[strings.Index(form, "/")+1:]
	body := hostile[strings.ReplaceAll(name, "-", " ")]
	switch form[:strings.Index(form, "/")] {
	case "plain":
		body(w, r)
	case "gzip":
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		body(z, r)
		_ = z.Close()
	case "refused":
		w.WriteHeader(http.StatusBadRequest)
		body(w, r)
	case "headers":
		for i := range 100_000 {
			w.Header().Set(fmt.Sprintf("X-Header-%d", i), strings.Repeat("x", 100))
		}
		w.Header().Set("Retry-After", strings.Repeat("9", 100_000))
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

const hostileURL = "HOSTILE_LINKEDIN"

// TestHostileAnswersAreBounded: whatever is answered to whatever question, a whole
// process stays small, and what it is given is refused or bounded.
func TestHostileAnswersAreBounded(t *testing.T) {
	if address := os.Getenv(hostileURL); address != "" {
		readHostile(t, address)
		return
	}
	server := httptest.NewServer(http.HandlerFunc(serveHostile))
	defer server.Close()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHostileAnswersAreBounded$", "-test.v")
	cmd.Env = append(os.Environ(), hostileURL+"="+server.URL)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the process did not survive: %v\n%.5000s", err, out)
	}
	_, peak, _ := strings.Cut(string(out), "peak of ")
	kilobytes, err := strconv.Atoi(strings.Fields(peak)[0])
	if err != nil || kilobytes > 192<<10 {
		t.Errorf("the process took %d KiB (%v), want less than 192 MiB", kilobytes, err)
	}
	t.Logf("peak of %d MiB", kilobytes>>10)
}

// readHostile asks for everything, several times at once.
func readHostile(t *testing.T, address string) {
	var asking errgroup.Group
	asking.SetLimit(4) // one request each: as many as one client makes
	for name := range hostile {
		for _, form := range []string{"plain", "gzip", "refused", "headers"} {
			if form != "plain" && name != "no end" {
				continue
			}
			c, err := New(Options{APIURL: address + "/" + strings.ReplaceAll(name, " ", "-") + "/" + form, Version: "202607",
				HTTP: NewTransport(1), Concurrency: 1, Timeout: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			asking.Go(func() error {
				askAll(t, c, name+" "+form)
				return nil
			})
		}
	}
	_ = asking.Wait() // what failed was said
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Println("peak of", strings.Fields(peak)[0], "KiB")
}

// askAll asks every question of the client; an answer may be refused, and no lead
// that is given may be large.
func askAll(t *testing.T, c *Client, name string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var asking sync.WaitGroup
	once := func(ask func() error) {
		asking.Go(func() {
			if err := ask(); errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
				t.Errorf("%s: no end of it: %v", name, err)
			}
		})
	}
	once(func() error {
		given := 0
		return c.Responses(ctx, testSource, testWindow, 0, func(rows []lead.Response) error {
			if given += lead.Weigh(rows); given > 20_000 {
				return errors.New("enough")
			}
			return nil
		})
	})
	once(func() error { _, err := c.Forms(ctx, testSource.Owner); return err })
	once(func() error { _, err := c.Form(ctx, "7130000000000000001"); return err })
	once(func() error { _, err := c.Response(ctx, "7130000000000000001"); return err })
	if !ofLeadsOrForms[strings.TrimSuffix(name, " plain")] {
		once(func() error { _, err := c.Events(ctx, testSource.Owner); return err })
		once(func() error { _, err := c.Organizations(ctx); return err })
		once(func() error { _, err := c.Subscriptions(ctx, testSource); return err })
		once(func() error { return c.AnyRole(ctx) })
		once(func() error { return c.Me(ctx) })
	}
	asking.Wait()
}
