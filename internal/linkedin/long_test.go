package linkedin

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"leadstream/internal/lead"
)

// heavy is a list of leads some of which take many bytes. It heeds the projection
// by which the client asks which lead is too long, unless it does something else.
type heavy struct {
	mu         sync.Mutex
	sizes      []int             // of the leads, newest first
	projection string            // "", "ignored" or "refused"
	counts     []int             // that were asked for, in full
	asked      []int             // starts, in the order in which they were asked for
	before     func(request int) // the request is answered
}

func (h *heavy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	query := r.URL.Query()
	start, _ := strconv.Atoi(query.Get("start"))
	count, _ := strconv.Atoi(query.Get("count"))
	h.asked = append(h.asked, start)
	if h.before != nil {
		h.before(len(h.asked))
	}
	brief := query.Get("fields") != ""
	switch {
	case brief && h.projection == "refused":
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"status":400,"errorDetails":{"inputErrors":[{"input":{"inputPath":{"fieldPath":"fields"}}}]}}`)
		return
	case h.projection != "":
		brief = false
	}
	if !brief {
		h.counts = append(h.counts, count)
	}
	var elements []string
	for i := start; i < min(start+count, len(h.sizes)); i++ {
		n := len(h.sizes) - i
		e := element(n)
		if brief {
			e = e[:strings.Index(e, `,"formResponse"`)] + "}"
		} else {
			e = strings.Replace(e, "secret-", strings.Repeat("x", h.sizes[i])+"-", 1)
		}
		elements = append(elements, e)
	}
	_, _ = fmt.Fprintf(w, `{"paging":{"start":%d,"count":%d,"links":[],"total":%d},"elements":[%s]}`, start, count, len(h.sizes), strings.Join(elements, ","))
}

// given are the leads that a reading gave by number, and whether each is too long.
func given(t *testing.T, c *Client) (long map[int]bool, err error) {
	t.Helper()
	long = map[int]bool{}
	err = c.Responses(t.Context(), testSource, testWindow, 0, func(rows []lead.Response) error {
		for _, r := range rows {
			n, err := strconv.Atoi(strings.TrimPrefix(r.ID, "r"))
			if err != nil {
				n = -1
			}
			long[n] = r.Unreadable != ""
			if long[n] && (!strings.Contains(r.Unreadable, "longer than") || len(r.Raw) == 0 || len(r.Raw) > maxHead ||
				n > 0 && (Parse(r.Raw).ID != r.ID || !Parse(r.Raw).SubmittedAt.Equal(r.SubmittedAt) || Parse(r.Raw).Form != r.Form)) {
				t.Errorf("lead %d: %q with %d bytes kept, %.200s", n, r.Unreadable, len(r.Raw), r.Raw)
			}
		}
		return nil
	})
	return long, err
}

// A page that is longer than an answer may be is asked for in fewer rows, and each
// lead is given.
func TestAPageThatIsTooLongIsReadInParts(t *testing.T) {
	for name, sizes := range map[string][]int{
		"all":        slices.Repeat([]int{3000}, 130),
		"large ones": slices.Repeat([]int{20_000}, 25),
		"some":       append(slices.Repeat([]int{10}, 150), slices.Repeat([]int{90_000}, 12)...),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &heavy{sizes: sizes}
				c := newTestClient(t, h, Options{MaxAnswerBytes: 100_000})
				got, err := given(t, c)
				if err != nil || len(got) != len(sizes) {
					t.Fatalf("%d leads (%v), want %d", len(got), err, len(sizes))
				}
				for n, long := range got {
					if long || n < 1 {
						t.Errorf("lead %d was not read", n)
					}
				}
				// It is remembered, and tried again when that was some time ago.
				h.counts = nil
				if _, err := given(t, c); err != nil || slices.Contains(h.counts, 100) {
					t.Errorf("asked for %v rows the next time (%v), want no full page", h.counts, err)
				}
				time.Sleep(sizeLife)
				h.counts, h.sizes = nil, []int{10, 10}
				if _, err := given(t, c); err != nil || h.counts[0] != 100 {
					t.Errorf("asked for %v rows later (%v), want a full page", h.counts, err)
				}
			})
		})
	}
}

// TestALeadThatIsTooLongIsADeadLetterAndTheOthersAreGiven, with its id and time
// where LinkedIn tells them without its answers.
func TestALeadThatIsTooLongIsADeadLetterAndTheOthersAreGiven(t *testing.T) {
	for _, projection := range []string{"", "ignored", "refused"} {
		for most, size := range map[int64]int{100_000: 200_000, 4 << 20: maxElement} {
			for _, at := range []int{0, 1, 6, 57} {
				t.Run(fmt.Sprintf("%s %d at %d", projection, size, at), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						h := &heavy{sizes: slices.Repeat([]int{10}, 58), projection: projection}
						h.sizes[at] = size
						c := newTestClient(t, h, Options{MaxAnswerBytes: most})
						for range 2 {
							got, err := given(t, c)
							if err != nil || len(got) != 58 {
								t.Fatalf("%d leads (%v), want 58", len(got), err)
							}
							for n, long := range got {
								if long != (n == 58-at) {
									t.Errorf("lead %d is too long: %v", n, long)
								}
							}
						}
					})
				})
			}
		}
	}
}

// A response that is fetched by its id is no different.
func TestASingleResponseThatIsTooLongSaysWhichItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(testStart.Add(time.Hour)))
		c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			e := element(7)
			if r.URL.Query().Get("fields") != "" {
				e = e[:strings.Index(e, `,"formResponse"`)] + "}"
			}
			_, _ = io.WriteString(w, strings.Replace(e, "secret-", strings.Repeat("x", 5<<20), 1))
		}), Options{})
		r, err := c.Response(t.Context(), "r7")
		if err != nil || r.ID != "r7" || r.SubmittedAt.IsZero() || !strings.Contains(r.Unreadable, "longer than") || len(r.Raw) == 0 {
			t.Errorf("%+v (%v), want it named as too long", r, err)
		}
	})
}

// What makes an answer too long may be something else than its rows: that is a
// failure of the moment.
func TestAnAnswerThatIsTooLongForNoLeadIsNoDeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat(" ", 5<<20)+emptyPage)
		}), Options{})
		if got, err := given(t, c); !isTooLong(err) || len(got) > 0 {
			t.Errorf("%d leads, error = %v; want an answer that is too long", len(got), err)
		}
	})
}

// Rows that move while a page is read in parts are not lost.
func TestRowsThatMoveBetweenPartsAreNotLost(t *testing.T) {
	for request := 1; request <= 40; request++ {
		synctest.Test(t, func(t *testing.T) {
			h := &heavy{sizes: slices.Repeat([]int{20_000}, 23)}
			h.before = func(n int) {
				if n == request {
					h.sizes = h.sizes[2:] // the two newest are deleted
				}
			}
			c := newTestClient(t, h, Options{Concurrency: 1, MaxAnswerBytes: 100_000})
			got, err := given(t, c)
			if err != nil {
				t.Fatal(err)
			}
			for n := 1; n <= 21; n++ {
				if long, ok := got[n]; !ok || long {
					t.Errorf("two vanished before request %d: lead %d was never given", request, n)
				}
			}
		})
	}
}
