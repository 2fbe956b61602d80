package linkedin

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
	"leadstream/internal/linkedinsim"
)

// contradictions are the elements of a reading that contradict, by id, and how
// often each was given; good are the others.
func contradictions(t *testing.T, c *Client, src lead.Source, w lead.Window) (odd map[string]int, good []string, err error) {
	t.Helper()
	odd = map[string]int{}
	err = c.Responses(t.Context(), src, w, 0, func(rows []lead.Response) error {
		for _, r := range rows {
			switch {
			case r.Contradicts && (r.Unreadable == "" || len(r.Raw) == 0 || strings.Contains(r.Unreadable, r.ID)):
				t.Errorf("%+v does not say what is wrong, or quotes it", r)
			case r.Contradicts:
				odd[r.ID]++
			default:
				good = append(good, r.ID)
			}
		}
		return nil
	})
	return odd, good, err
}

// A lead that says something else than LinkedIn was asked for is a dead letter
// alone and among others, however often it is read, and hides none of them.
func TestARowThatWasNotAskedForIsNeverSilent(t *testing.T) {
	for _, m := range linkedinsim.Contradictions() {
		for _, beside := range []int{0, 3, 250} {
			t.Run(fmt.Sprintf("%s beside %d", m, beside), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, c := simulate(t, simConfig(0), Options{})
					org := s.Describe().Organizations[0].URN
					at := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
					made, err := s.AddLeads(linkedinsim.LeadSpec{Owner: org, SubmittedAt: at, Malformed: m})
					if err != nil {
						t.Fatal(err)
					}
					if beside > 0 {
						if _, err := s.AddLeads(linkedinsim.LeadSpec{Owner: org, SubmittedAt: at, Every: time.Millisecond, Count: beside}); err != nil {
							t.Fatal(err)
						}
					}
					w := lead.Window{From: at.Add(-30 * time.Second), To: at.Add(30 * time.Second)}
					for range 3 {
						odd, good, err := contradictions(t, c, lead.Source{Owner: org, Type: "EVENT"}, w)
						foreign := m == linkedinsim.OtherOwner || m == linkedinsim.OtherLeadType
						if beside == 0 && foreign {
							if e := (*AnswerError)(nil); !errors.As(err, &e) || fault.KindOf(err) != fault.Retry {
								t.Errorf("error = %v, want an answer for somebody else refused", err)
							}
							continue
						}
						if err != nil || len(odd) != 1 || odd[made[0].ID] != 1 || len(good) != beside {
							t.Errorf("%v beside %d leads (%v), want lead %s once beside %d", odd, len(good), err, made[0].ID, beside)
						}
					}
				})
			})
		}
	}
}

// What LinkedIn shows for its own time is read with that window, and is no dead
// letter of this one: LinkedIn did not heed the range.
func TestRowsThatBelongElsewhereAreLeftThere(t *testing.T) {
	for _, outside := range []int{1, 5, 40, 900} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(testStart.Add(48 * time.Hour)))
			l := newFakeList(outside + 10)
			c := newTestClient(t, l, Options{})
			w := lead.Window{From: testStart.Add(time.Second), To: testStart.Add(11 * time.Second)}
			odd, good, err := contradictions(t, c, testSource, w)
			if err != nil || len(odd) != 0 || len(good) != 10 {
				t.Errorf("%d outside: %v and %d leads (%v), want the ten of the window", outside, odd, len(good), err)
			}
			w = lead.Window{From: testStart.Add(-time.Hour), To: testStart}
			odd, good, err = contradictions(t, c, testSource, w)
			var e *AnswerError
			if !errors.As(err, &e) || fault.KindOf(err) != fault.Retry || len(odd) != 0 || len(good) != 0 {
				t.Errorf("%d outside: %v and %d leads (%v), want an answer about another time refused", outside, odd, len(good), err)
			}
		})
	}
}

// More leads than can be odd, in a list that heeds the range: they are shown for a
// time that they do not have.
func TestAListWhoseTimesAreAllOffIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := simulate(t, simConfig(0), Options{})
		org := s.Describe().Organizations[0].URN
		at := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
		if _, err := s.AddLeads(linkedinsim.LeadSpec{Owner: org, SubmittedAt: at, Every: time.Millisecond, Count: 30, Malformed: linkedinsim.TimeOff}); err != nil {
			t.Fatal(err)
		}
		var e *AnswerError
		odd, good, err := contradictions(t, c, lead.Source{Owner: org, Type: "EVENT"}, lead.Window{From: at.Add(-time.Second), To: at.Add(time.Second)})
		if !errors.As(err, &e) || len(odd)+len(good) > 0 {
			t.Errorf("%v, %v, error = %v; want it refused", odd, good, err)
		}
	})
}

// Bounds that count, or do not, bring a row of the millisecond before and after the
// window: that one is another window's, without a word and without a request.
func TestTheMillisecondsAroundAWindowAreNoContradiction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := simConfig(0)
		cfg.Switches.Bounds = "[]"
		s, c := simulate(t, cfg, Options{})
		org := s.Describe().Organizations[0].URN
		at := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
		if _, err := s.AddLeads(linkedinsim.LeadSpec{Owner: org, SubmittedAt: at.Add(3 * time.Millisecond), Every: time.Millisecond, Count: 4}); err != nil {
			t.Fatal(err)
		}
		before := c.Counters().Requests[EndpointResponses]
		odd, good, err := contradictions(t, c, lead.Source{Owner: org, Type: "EVENT"},
			lead.Window{From: at.Add(time.Millisecond), To: at.Add(3 * time.Millisecond)})
		if err != nil || len(odd) != 0 || len(good) != 2 || c.Counters().Requests[EndpointResponses]-before > 2 {
			t.Errorf("%v and %v (%v), want two leads and no question more", odd, good, err)
		}
	})
}

// TestASingleResponseIsTheOneAskedFor, of a time that can be.
func TestASingleResponseIsTheOneAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(testStart.Add(time.Hour)))
		s := &script{answers: []answer{ok(element(7))}}
		c := newTestClient(t, s, Options{})
		if r, err := c.Response(t.Context(), "r7"); err != nil || r.Unreadable != "" {
			t.Errorf("%+v (%v)", r, err)
		}
		var e *AnswerError
		if _, err := c.Response(t.Context(), "r8"); !errors.As(err, &e) || fault.KindOf(err) != fault.Retry {
			t.Errorf("error = %v, want another response refused", err)
		}
		for _, millis := range []int64{1_793_012_345, 32_503_680_000_000} {
			s.answers = []answer{ok(elementWith(map[string]string{"id": `"r7"`, "submittedAt": strconv.FormatInt(millis, 10)}))}
			if r, err := c.Response(t.Context(), "r7"); err != nil || !r.Contradicts || r.Unreadable == "" {
				t.Errorf("submitted at %d: %+v (%v), want that it contradicts", millis, r, err)
			}
		}
	})
}

// capped serves offsets up to a bound alone, whatever there is behind it.
type capped struct {
	*fakeList
	most   int
	ranged bool // it heeds the range, and its total is that of the range
}

func (h *capped) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var from, to int64
	rest := r.URL.RawQuery[strings.Index(r.URL.RawQuery, "submittedAtTimeRange="):]
	if _, err := fmt.Sscanf(rest, "submittedAtTimeRange=(start:%d,end:%d)", &from, &to); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	inside := newFakeList(0)
	for _, row := range h.rows {
		if t := testStart.Add(time.Duration(row.n) * time.Second).UnixMilli(); from <= t && t < to || !h.ranged {
			inside.rows = append(inside.rows, row)
		}
	}
	inside.total = exactTotal
	all := len(inside.rows)
	inside.rows = inside.rows[:min(all, h.most)]
	inside.total = func(*fakeList) int { return all }
	inside.ServeHTTP(w, r)
}

// A list that ends before LinkedIn's total says so is no list without the rest: the
// window is cut until it fits. A total that is not the window's is no reason to.
func TestAListThatIsKeptShortIsCutInsteadOfLost(t *testing.T) {
	for _, limit := range []int{4000, 0} {
		synctest.Test(t, func(t *testing.T) {
			h := &capped{fakeList: newFakeList(3000), most: 1000, ranged: true}
			c := newTestClient(t, h, Options{})
			var many *TooManyError
			var refused *AnswerError
			err := c.Responses(t.Context(), testSource, testWindow, limit, new(gathered).take)
			if limit > 0 && (!errors.As(err, &many) || many.TooMany() < 3000) || limit == 0 && !errors.As(err, &refused) {
				t.Errorf("limit %d: error = %v, want it cut, or refused where it cannot be", limit, err)
			}
			var g gathered
			if err := c.Responses(t.Context(), testSource, lead.Window{From: testStart, To: testStart.Add(500 * time.Second)}, limit, g.take); err != nil || len(g.times) != 499 {
				t.Errorf("a window that fits: %d leads (%v)", len(g.times), err)
			}
			empty := lead.Window{From: testStart.Add(10 * time.Hour), To: testStart.Add(11 * time.Hour)}
			if err := c.Responses(t.Context(), testSource, empty, limit, new(gathered).take); err != nil {
				t.Errorf("a window without leads: %v", err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // the total is that of all leads, whatever the range
		l := newFakeList(7)
		l.total = func(*fakeList) int { return 900 }
		c := newTestClient(t, l, Options{})
		var g gathered
		for range 3 {
			if err := c.Responses(t.Context(), testSource, testWindow, 4000, g.take); err != nil || len(g.times) != 7 {
				t.Errorf("%d leads (%v)", len(g.times), err)
			}
		}
	})
}

// nothing tells of a list, and shows none of it.
var nothing = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	start := r.URL.Query().Get("start")
	total := 500
	if strings.Contains(r.URL.RawQuery, "(start:0,end:2)") { // of a time without leads it tells the truth
		total = 0
	}
	_, _ = fmt.Fprintf(w, `{"paging":{"start":%s,"count":10,"total":%d},"elements":[]}`, start, total)
})

// TestAListThatShowsNothingOfWhatItTellsOfIsRefused, whatever is listed.
func TestAListThatShowsNothingOfWhatItTellsOfIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestClient(t, nothing, Options{})
		for name, read := range map[string]func() error{
			"leads":         func() error { return c.Responses(t.Context(), testSource, testWindow, 0, new(gathered).take) },
			"forms":         func() error { _, err := c.Forms(t.Context(), testSource.Owner); return err },
			"events":        func() error { _, err := c.Events(t.Context(), testSource.Owner); return err },
			"roles":         func() error { _, err := c.Organizations(t.Context()); return err },
			"subscriptions": func() error { _, err := c.Subscriptions(t.Context(), testSource); return err },
		} {
			if e := (*AnswerError)(nil); !errors.As(read(), &e) {
				t.Errorf("%s: %v, want an answer that is refused", name, read())
			}
		}
	})
}

// TestALinkedInThatDoesNotHeedAParameterIsNoEndlessList, nor one without the rest.
func TestALinkedInThatDoesNotHeedAParameterIsNoEndlessList(t *testing.T) {
	for _, bare := range []bool{false, true} { // whether paging says where the page begins
		synctest.Test(t, func(t *testing.T) {
			l := newFakeList(300)
			var asked atomic.Int64
			c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if asked.Add(1) > 100 {
					t.Error("the list has no end")
					http.Error(w, "", http.StatusForbidden)
					return
				}
				r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "&start=", "&begin=")
				if !bare {
					l.ServeHTTP(w, r)
					return
				}
				rec := &recorder{header: http.Header{}}
				l.ServeHTTP(rec, r)
				_, _ = io.WriteString(w, strings.Replace(rec.body.String(), `"start":0,`, "", 1))
			}), Options{})
			var e *AnswerError
			if err := c.Responses(t.Context(), testSource, testWindow, 0, new(gathered).take); !errors.As(err, &e) {
				t.Errorf("error = %v, want the answer refused", err)
			}
		})
	}
}

// recorder keeps an answer to be changed.
type recorder struct {
	header http.Header
	body   strings.Builder
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(int)             {}
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

// TestWhatBelongsToOthersIsLeftOut of lists of forms, events and subscriptions; a
// list of nothing else is refused.
func TestWhatBelongsToOthersIsLeftOut(t *testing.T) {
	const ours, theirs = `"urn:li:organization:9000123"`, `"urn:li:organization:9999999"`
	list := func(element string, owners ...string) answer {
		var elements []string
		for i, o := range owners {
			elements = append(elements, strings.NewReplacer("$ID", strconv.Itoa(i+1), "$OWNER", o).Replace(element))
		}
		return ok(`{"elements":[` + strings.Join(elements, ",") + `]}`)
	}
	const form, subscription = `{"id":$ID,"owner":{"organization":$OWNER},"name":"F"}`, `{"id":$ID,"owner":{"organization":$OWNER},"leadType":"EVENT","webhook":"w"}`
	const organized = `{"id":$ID,"organizer":$OWNER,"leadGenForm":"urn:li:leadGenForm:7"}`
	for name, owners := range map[string][]string{"mixed": {ours, theirs, ours}, "others alone": {theirs, theirs}} {
		synctest.Test(t, func(t *testing.T) {
			c := newTestClient(t, routes{
				"/rest/leadForms": list(form, owners...), "/rest/leadNotifications": list(subscription, owners...),
				"/rest/events?" + FinderWithForms: list(organized, owners...), "/rest/events?" + FinderAll: list(organized, owners...),
			}, Options{})
			want := strings.Count(strings.Join(owners, ""), ours)
			forms, err := c.Forms(t.Context(), testSource.Owner)
			events, err2 := c.Events(t.Context(), testSource.Owner)
			subs, err3 := c.Subscriptions(t.Context(), testSource)
			for what, got := range map[string]struct {
				n   int
				err error
			}{"forms": {len(forms), err}, "events": {len(events), err2}, "subscriptions": {len(subs), err3}} {
				if e := (*AnswerError)(nil); got.n != want || errors.As(got.err, &e) != (want == 0) {
					t.Errorf("%s: %d %s (%v), want %d", name, got.n, what, got.err, want)
				}
			}
		})
	}
}
