package webhook

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// Nothing that LinkedIn signed is thrown away without a word that a person meets:
// as long as that is what becomes of what comes, all deletions may be missed.
func TestWhatLinkedInSignedIsNotThrownAwayInSilence(t *testing.T) {
	at := func(age time.Duration) string {
		return strings.Replace(example, "1793012345678", fmt.Sprint(occurredAt.Add(-age).UnixMilli()), 1)
	}
	unreadable := strings.Replace(example, "urn:li:leadGenFormResponse:8f0c2b9e-41d7-4c55-9e0b-6a1d2f3c4b5a-6", "8", 1)
	unreadable = strings.Replace(unreadable, `"leadType":"EVENT",`, "", 1)
	for _, c := range []struct {
		name, body, signature string
		says, todo            string
		outcome               string
	}{
		{"another form of signature", example, bareSignature, "another form", "`webhook.signature` to any", outcomeUnusual},
		{"the prefix in front", example, prefix + documentedSignature, "another form", "`webhook.signature` to any", outcomeUnusual},
		{"another form, of something else", `{"type":"SOMETHING"}`, sign(secret, `{"type":"SOMETHING"}`), "another form", "`webhook.signature` to any", outcomeUnusual},
		{"a member that is missing", unreadable, sign(secret, prefix, unreadable), "owner or leadType", "newer release", outcomeMalformed},
		{"no JSON", "lead", sign(secret, prefix, "lead"), "not the JSON", "newer release", outcomeMalformed},
		{"of long ago", at(8 * 24 * time.Hour), sign(secret, prefix, at(8*24*time.Hour)), "its time", "clock", outcomeStale},
		{"of the future", at(-2 * time.Hour), sign(secret, prefix, at(-2*time.Hour)), "its time", "clock", outcomeStale},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := occurredAt.Add(time.Second)
			b := newBench(t, func(o *Options) { o.Now = func() time.Time { return now } })
			if issue, is := b.Issue(); is {
				t.Fatalf("before anything came: %+v", issue)
			}
			for range 10 {
				if status := b.deliver(c.body, c.signature); status < 400 {
					t.Fatalf("answered %d, want a refusal: LinkedIn is to send it again", status)
				}
			}
			issue, is := b.Issue()
			if !is || !strings.Contains(issue.Reason, c.says) || !strings.Contains(issue.Todo, c.todo) {
				t.Errorf("Issue = %+v, %v", issue, is)
			}
			if n := b.logs.FilterLevelExact(zap.ErrorLevel).Len() + b.logs.FilterLevelExact(zap.WarnLevel).Len(); n != 1 || b.outcome(c.outcome) != 10 {
				t.Errorf("it was said %d times and counted %d times as %s, want 1 and 10", n, b.outcome(c.outcome), c.outcome)
			}
			now = now.Add(time.Hour - time.Second)
			if _, is := b.Issue(); !is {
				t.Error("it is forgotten within an hour")
			}
			b.deliver(example, "nonsense") // a stranger takes nothing back
			if _, is := b.Issue(); !is {
				t.Error("a stranger has it forgotten")
			}
			if status := b.deliver(example, documentedSignature); status != http.StatusOK {
				t.Fatalf("a good one is answered %d", status)
			}
			if issue, is := b.Issue(); is {
				t.Errorf("after a good one: %+v", issue)
			}
			if b.logs.FilterMessageSnippet("taken again").Len() != 1 {
				t.Error("it is not said that it is over")
			}
		})
	}
}

// What anybody may send degrades nothing, whatever it is signed with that he can have.
func TestStrangersBringNoIssueAbout(t *testing.T) {
	b := newBench(t, nil)
	code := "0123456789abcdef"
	w := httptest.NewRecorder()
	b.ServeHTTP(w, httptest.NewRequest(http.MethodGet, Path+"?challengeCode="+code, nil))
	for _, forgery := range []struct{ body, signature string }{
		{example, ""}, {example, "nonsense"}, {example, sign("another", prefix, example)},
		{code, ChallengeResponse(secret, code)}, // we sign that for everybody
		{code, prefix + ChallengeResponse(secret, code)},
	} {
		if status := b.deliver(forgery.body, forgery.signature); status != http.StatusUnauthorized {
			t.Errorf("%q is answered %d, want 401", forgery.body, status)
		}
	}
	if issue, is := b.Issue(); is {
		t.Errorf("Issue = %+v", issue)
	}
}

func TestIssueThatIsADayOldIsOver(t *testing.T) {
	now := occurredAt
	b := newBench(t, func(o *Options) { o.Now = func() time.Time { return now } })
	b.deliver(example, bareSignature)
	now = now.Add(issueLife + time.Second)
	if issue, is := b.Issue(); is {
		t.Errorf("Issue = %+v", issue)
	}
}

// All that comes may be about something that is ignored, which is acknowledged.
func TestWhatIsIgnoredIsNamedInTheLog(t *testing.T) {
	b := newBench(t, nil)
	for _, body := range []string{
		strings.Replace(example, "LEAD_ACTION", "LEAD_ACTION_V2", 1), strings.Replace(example, "LEAD_ACTION", "LEAD_ACTION_V2", 1), strings.Replace(example, "CREATED", "MOVED", 1),
	} {
		if status := b.signed(body); status != http.StatusOK {
			t.Errorf("answered %d", status)
		}
	}
	lines := b.logs.FilterMessageSnippet("ignored").All()
	if len(lines) != 1 || !strings.Contains(fmt.Sprint(lines[0].ContextMap()), "LEAD_ACTION_V2") {
		t.Errorf("said: %v, want once an hour, with the type", lines)
	}
	if _, is := b.Issue(); is {
		t.Error("it is issue")
	}
}
