package connector

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"leadstream/internal/fault"
	"leadstream/internal/kafka"
)

// loud is a list with its log.
func loud(connection func(error) (about, said bool)) (*Issues, *observer.ObservedLogs) {
	core, logs := observer.New(zap.DebugLevel)
	list := NewIssues(time.Now, zap.New(core))
	list.connection = connection
	return list, logs
}

// lines are the log's, as level and what stands in the field todo.
func lines(logs *observer.ObservedLogs) string {
	var all []string
	for _, e := range logs.All() {
		all = append(all, strings.TrimSpace(fmt.Sprint(e.Level, " ", e.Message, " ", e.ContextMap()["todo"])))
	}
	return strings.Join(all, "\n")
}

var refused = fault.As(fault.Suspend, errors.New("403 ACCESS_DENIED"))

func TestHoweverMuchWorkMeetsItOneIssueIsOneLineAndItsEndAnother(t *testing.T) {
	list, logs := loud(nil)
	for round := range 3 {
		for i := range 50 {
			list.Report(owner, fmt.Sprint("polling source ", i), fmt.Errorf("attempt %d: %w", round, errAway))
		}
	}
	if logs.Len() != 1 || logs.FilterLevelExact(zap.WarnLevel).Len() != 1 || logs.All()[0].ContextMap()["todo"] == "" {
		t.Errorf("said\n%s\nwant one warning with what to do", lines(logs))
	}
	for i := range 50 {
		list.Resolve(fmt.Sprint("polling source ", i))
	}
	if said := logs.FilterMessage("recovered"); logs.Len() != 2 || said.Len() != 1 {
		t.Errorf("said\n%s\nwant its end once", lines(logs))
	}
	list.Report(owner, "polling source 1", errAway)
	if n := logs.FilterLevelExact(zap.WarnLevel).Len(); n != 2 {
		t.Errorf("met again it was said %d times in all, want twice", n)
	}
}

func TestEachThingThatAPersonMustDoIsSaid(t *testing.T) {
	list, logs := loud(nil)
	for range 2 {
		for _, operation := range []string{"Create", "Write"} {
			list.Report("", "reaching Kafka", &kafka.AuthorizationError{Resource: "cluster", Operation: operation})
		}
	}
	if n := logs.FilterLevelExact(zap.ErrorLevel).Len(); n != 2 || logs.Len() != 2 {
		t.Errorf("said\n%s\nwant each missing permission once", lines(logs))
	}
}

func TestARefusalWaitsForTheRolesToBeLookedAt(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(list *Issues)
		want int    // errors
		says string // the error
	}{
		{"the role is missing, and that is said alone", func(list *Issues) {
			list.ReportAs(owner, "access", "organization cannot be read", &accessError{"no role", "ask for it"})
			list.Report(owner, "polling", refused)
			list.Report(owner, "working through the backlog", refused)
		}, 1, "organization cannot be read"},
		{"the role is there", func(list *Issues) { list.Report(owner, "working through the backlog", refused) }, 1, "waiting to try again"},
		{"it was for a moment", func(list *Issues) { list.Resolve("polling") }, 0, ""},
		{"another process has taken over", func(list *Issues) { list.resolveCleared() }, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				list, logs := loud(nil)
				list.Report(owner, "polling", refused)
				time.Sleep(time.Second)
				c.then(list)
				time.Sleep(time.Minute)
				synctest.Wait()
				if logs.FilterLevelExact(zap.ErrorLevel).Len() != c.want || logs.Len() != c.want || c.want == 1 && logs.All()[0].Message != c.says {
					t.Errorf("said\n%s\nwant %d errors, %q", lines(logs), c.want, c.says)
				}
			})
		})
	}
}

// Who looks after the connection may be unable to say what this process meets: a
// single endpoint may refuse a token that the others take.
func TestWhatConcernsTheConnectionIsSaidByWhoLooksAfterItOrAtLastHere(t *testing.T) {
	for said, want := range map[bool]int{true: 0, false: 1} {
		synctest.Test(t, func(t *testing.T) {
			list, logs := loud(func(error) (bool, bool) { return true, said })
			for i := range 5 {
				list.Report(owner, fmt.Sprint("work ", i), fault.As(fault.Pause, errors.New("consent is needed")))
			}
			time.Sleep(3 * time.Minute)
			synctest.Wait()
			if logs.Len() != 0 {
				t.Errorf("said within three minutes:\n%s", lines(logs))
			}
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if logs.Len() != want {
				t.Errorf("said elsewhere %t: said here\n%s\nwant %d lines", said, lines(logs), want)
			}
		})
	}
}

func TestATakeoverDoesNotSayAgainWhatWasSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, logs := loud(nil)
		for _, pause := range []time.Duration{0, time.Second, 9 * time.Minute} {
			time.Sleep(pause)
			list.Report(formID, "publishing", fault.As(fault.Suspend, errors.New("incompatible")))
			list.resolveCleared()
		}
		if logs.Len() != 1 {
			t.Errorf("said\n%s\nwant one line for what has gone on", lines(logs))
		}
		time.Sleep(11 * time.Minute)
		list.Report(formID, "publishing", fault.As(fault.Suspend, errors.New("incompatible")))
		if logs.Len() != 2 {
			t.Errorf("said\n%s\nwant what may have been over meanwhile said again", lines(logs))
		}
	})
}

func TestWhatWasHeldBackWhenTheWorkEndedIsSaidByTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, logs := loud(nil)
		list.Report(owner, "polling", refused)
		list.resolveCleared()
		list.Report(owner, "polling", refused)
		time.Sleep(time.Minute)
		synctest.Wait()
		if logs.Len() != 1 {
			t.Errorf("said\n%s\nwant one line", lines(logs))
		}
	})
}

func TestWithManyWithAnIssueEachIsSaidOnce(t *testing.T) {
	const many = 400
	list, logs := loud(nil)
	for range 3 {
		for i := range many {
			urn := fmt.Sprint("urn:li:organization:", i)
			list.ReportAs(urn, "the access to "+urn, "organization cannot be read", &accessError{"no role", "ask for it"})
		}
	}
	if logs.Len() != many {
		t.Errorf("%d lines for %d organizations", logs.Len(), many)
	}
	if n := len(list.List()); n != maxIssues {
		t.Errorf("%d are shown, want %d", n, maxIssues)
	}
}

func TestThatTheRegistryIsAwayIsNotSaidBesideWhatAPersonMustDoAboutIt(t *testing.T) {
	list, logs := loud(nil)
	list.Report("", "registering", fault.As(fault.Suspend, errRegistry))
	list.Report("", "asking", errRegistry)
	if logs.Len() != 1 || logs.FilterLevelExact(zap.ErrorLevel).Len() != 1 {
		t.Errorf("said\n%s\nwant the error alone", lines(logs))
	}
}

func TestWhatEndsTheProcessIsSaidByItsEndAlone(t *testing.T) {
	list, logs := loud(nil)
	list.Report("", "the work", fault.As(fault.Fatal, errors.New("unreadable")))
	if logs.Len() != 0 || len(list.List()) != 1 {
		t.Errorf("said\n%s\nwant nothing, and the page to have it", lines(logs))
	}
}

func TestOfTwoCausesTheOneThatIsLeftIsTold(t *testing.T) {
	list, _ := loud(nil)
	list.Report(owner, "subscribing", fault.As(fault.Suspend, errors.New("the webhook is refused")))
	list.ReportAs(owner, "access", "organization cannot be read", &accessError{"no role", "ask for it"})
	list.Resolve("access")
	if got := list.List(); len(got) != 1 || got[0].Resolved || got[0].Text != "the webhook is refused" {
		t.Errorf("issues = %+v, want the webhook, which is still refused", got)
	}
	if err := list.failing("subscribing"); err == nil || list.failing("access") != nil {
		t.Errorf("failing = %v and %v", err, list.failing("access"))
	}
}

func TestWhatHasHappenedIsShownForADayAndHidesNothing(t *testing.T) {
	list, now := troubled()
	lost := &lostError{from: *now, to: now.Add(time.Hour)}
	list.Report(owner, "what LinkedIn no longer has", lost)
	list.ReportAs(owner, "access", "organization cannot be read", &accessError{"no role", "ask for it"})
	list.Resolve("access")
	over := func() (states []string) {
		for _, x := range list.List() {
			states = append(states, fmt.Sprint(x.Text[:5], " ", x.Resolved))
		}
		return states
	}
	if got := fmt.Sprint(over()); !strings.Contains(got, "leads false") || !strings.Contains(got, "no ro true") {
		t.Errorf("issues = %s, want the lost leads, and the role as over", got)
	}
	*now = now.Add(25 * time.Hour)
	if got := fmt.Sprint(over()); !strings.Contains(got, "leads true") {
		t.Errorf("after a day: %s", got)
	}
}

// A replay that waits for a form or an organization is told as that, not as if
// LinkedIn were out of order.
func TestAReplayThatWaitsIsNotTakenForLinkedInsFault(t *testing.T) {
	list, logs := loud(nil)
	list.Report("", replaying+"r", errNothingToReplay)
	list.Report("", "discovery", fault.As(fault.Retry, errors.New("LinkedIn answered 500")))
	list.Report("", replaying+"r", fault.As(fault.Retry, errors.New("LinkedIn answered 500")))
	var parts []string
	for _, x := range list.List() {
		parts = append(parts, fmt.Sprint(x.Part, " ", x.Resolved))
	}
	if got := fmt.Sprint(parts); !strings.Contains(got, "replay true") || !strings.Contains(got, "linkedin false") || logs.FilterLevelExact(zap.WarnLevel).Len() != 2 {
		t.Errorf("issues = %s, said\n%s", got, lines(logs))
	}
}
