package schema

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"leadstream/internal/fault"
)

// peak is the most memory of the heap that comes into use while fn runs.
func peak(fn func()) uint64 {
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var most atomic.Uint64
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		for {
			metrics.Read(sample)
			most.Store(max(most.Load(), sample[0].Value.Uint64()))
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	fn()
	close(done)
	watching.Wait()
	return most.Load() - before.HeapAlloc
}

// manyFields is a schema of so many bytes that is Avro and none of ours.
func manyFields(bytes int) string {
	var b strings.Builder
	b.WriteString(`{"type":"record","name":"Lead","namespace":"linkedin.form_` + formID + `","fields":[`)
	for i := 0; b.Len() < bytes-40; i++ {
		fmt.Fprintf(&b, `{"name":"a%d","type":"int"},`, i)
	}
	return b.String() + `{"name":"z","type":"int"}]}`
}

// TestWhateverARegistryAnswersHasAnEnd: no answer is taken in beyond what a form's
// schema can be, each is refused as what it is, and all of them fit into little memory.
func TestWhateverARegistryAnswersHasAnEnd(t *testing.T) {
	numbers := func(n int) string {
		out := make([]string, n)
		for i := range out {
			out[i] = strconv.Itoa(i + 1)
		}
		return "[" + strings.Join(out, ",") + "]"
	}
	ours := New(formID, Array).Schema()
	for name, test := range map[string]struct {
		answers scripted
		shown   string
	}{
		"a schema of 100 MB":          {scripted{versionS: {200, `[1]`}, version1: {200, `{"id":1,"version":1,"schema":"~"}`}}, "longer than"},
		"a lookup of 100 MB":          {scripted{lookup: {200, `{"id":1,"version":1,"schema":"~"}`}}, "longer than"},
		"an error of 100 MB":          {scripted{versionS: {500, `{"error_code":50001,"message":"~"}`}}, "longer than"},
		"a million versions":          {scripted{versionS: {200, numbers(1_000_000)}}, "longer than"},
		"a hundred thousand versions": {scripted{versionS: {200, numbers(100_000)}}, "100000 versions"},
		"a schema of 3 MB":            {scripted{versionS: {200, `[1]`}, version1: {200, asBody(t, manyFields(3<<20), 1, 1)}}, "version 1 has"},
		"a megabyte of fields":        {scripted{versionS: {200, `[1]`}, version1: {200, asBody(t, manyFields(1000<<10), 1, 1)}}, "not a field of the form"},
		"an answer for each version":  {scripted{versionS: {200, numbers(mostRegistered)}, "GET": {200, asBody(t, manyFields(900<<10), 1, 1)}}, "of a subject"},
		"no JSON":                     {scripted{versionS: {200, `<html>`}}, "not one of a Confluent API"},
		"another JSON":                {scripted{versionS: {200, `{"versions":[1]}`}}, "not one of a Confluent API"},
		"numbers of another kind":     {scripted{versionS: {200, `[12345678901234567890123]`}}, "not one of a Confluent API"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.answers[lookup].status == 0 {
				test.answers[lookup] = answer{404, `{"error_code":40403}`}
			}
			r := test.answers.start(t)
			var err error
			used := peak(func() { _, err = r.Ensure(t.Context(), "s", ours) })
			if err == nil || !strings.Contains(err.Error(), test.shown) {
				t.Errorf("Ensure = %.300v, want %q", err, test.shown)
			}
			for _, word := range []string{"json:", "Go value", "unmarshal", "strconv"} {
				if err != nil && strings.Contains(err.Error(), word) {
					t.Errorf("the error speaks Go (%s): %v", word, err)
				}
			}
			if used > 150<<20 {
				t.Errorf("%d MB of memory", used>>20)
			}
			if len(fmt.Sprint(err)) > 3000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

// TestASubjectThatHoldsTooMuchStopsItsFormAlone, and says what to do.
func TestASubjectThatHoldsTooMuchStopsItsFormAlone(t *testing.T) {
	_, err := scripted{versionS: {200, "[" + strings.Repeat("1,", mostRegistered) + "2]"}}.start(t).Versions(t.Context(), "s")
	if fault.KindOf(err) != fault.Suspend || !strings.Contains(fault.TodoOf(err), "kafka.topic_prefix") {
		t.Errorf("Versions = %v (%v), to do: %q", err, fault.KindOf(err), fault.TodoOf(err))
	}
}

func TestARegistryThatNeverFinishesItsAnswerIsGivenUp(t *testing.T) {
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-over
	}))
	defer server.Close()
	defer close(over)
	_, err := registry(t, RegistryOptions{URL: server.URL, Timeout: 100 * time.Millisecond}).Versions(t.Context(), "s")
	if !strings.Contains(fmt.Sprint(err), "no answer in time") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Versions = %v", err)
	}
}

// TestThePasswordIsNotSentWhereARedirectLeads, neither to another host nor to
// another port or path of the same one, and the address is named without what may
// be secret in it.
func TestThePasswordIsNotSentWhereARedirectLeads(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		var asked atomic.Int32
		other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
		defer other.Close()
		for name, to := range map[string]string{
			"another port": other.URL + "/apis?token=s3cret", "another name": strings.Replace(other.URL, "127.0.0.1", "localhost", 1),
			"another path": "/elsewhere", "a login": "http://who:s3cret@" + strings.TrimPrefix(other.URL, "http://"), "nonsense": "http://%zz",
		} {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/elsewhere" {
					asked.Add(1)
				}
				w.Header().Set("Location", to)
				w.WriteHeader(status)
			}))
			r := registry(t, RegistryOptions{URL: server.URL, Username: "who", Password: "pass"})
			for call, err := range calls(t.Context(), r, New(formID, Array).Schema()) {
				if err == nil || !strings.Contains(err.Error(), "redirects to") || !strings.Contains(err.Error(), "registry.url") || strings.Contains(err.Error(), "s3cret") {
					t.Errorf("%d to %s: %s = %v", status, name, call, err)
				}
			}
			server.Close()
		}
		if asked.Load() > 0 {
			t.Errorf("%d was followed", status)
		}
	}
}

// TestARegistryThatDoesNotLetItselfBeRestoredIsLeftAsItIs: no mode, no permission,
// somebody at work on it, or an id that is given away; only what may pass by itself
// is an error.
func TestARegistryThatDoesNotLetItselfBeRestoredIsLeftAsItIs(t *testing.T) {
	const (
		mode    = "PUT /mode/s"
		imports = `{"mode":"IMPORT"}`
		fine    = `{"compatibility":"BACKWARD_TRANSITIVE"}`
	)
	for name, test := range map[string]struct {
		answers scripted
		fails   bool
	}{
		"no modes":              {scripted{mode: {404, `no`}}, false},
		"forbidden":             {scripted{mode: {422, `{"error_code":42205}`}}, false},
		"read only":             {scripted{"GET /mode": {200, `{"mode":"READONLY"}`}}, false},
		"is being forwarded":    {scripted{"GET /mode/s": {200, `{"mode":"FORWARD"}`}}, false},
		"the id is another's":   {scripted{mode: {200, imports}, register: {422, `{"error_code":42205}`}, "DELETE /mode/s": {200, imports}}, false},
		"another id":            {scripted{mode: {200, imports}, register: {200, `{"id":1}`}, "DELETE /mode/s": {405, ``}}, false},
		"fails for the moment":  {scripted{mode: {200, imports}, register: {500, `{"error_code":50001}`}, "DELETE /mode/s": {200, imports}}, true},
		"the mode stays":        {scripted{mode: {200, imports}, register: {200, `{"id":9}`}, byID: {200, asBody(t, `"string"`, 0, 0)}, "DELETE /mode/s": {500, ``}}, true},
		"asking for modes ends": {scripted{"GET /mode/s": {500, ``}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			test.answers[level] = answer{200, fine}
			restored, err := test.answers.start(t).Restore(t.Context(), "s", []RegisteredSchema{{ID: 9, Schema: New(formID, Array).Schema()}})
			if len(restored) > 0 || (err != nil) != test.fails {
				t.Errorf("Restore = %v, %v, want an error: %v", restored, err, test.fails)
			}
		})
	}
}
