package web

import (
	"html"
	"strings"
	"testing"
	"time"
)

func TestSpanReadsAtAGlance(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 0: "0 ms", 620 * time.Millisecond: "620 ms", time.Second: "1 s", 1340 * time.Millisecond: "1.3 s",
		59 * time.Second: "59 s", 60 * time.Second: "1 min", 59*time.Minute + 59*time.Second: "59 min", time.Hour: "1 h",
		2*time.Hour + 14*time.Minute: "2 h 14 min", 23*time.Hour + 50*time.Minute: "23 h", 47 * time.Hour: "47 h",
		48 * time.Hour: "2 days", 365 * day: "365 days", 1999 * day: "1,999 days",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestTimesAreToldFromNow(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{ago(noon.Add(time.Minute), noon), "just now"}, // another machine's clock
		{ago(noon.Add(-1500*time.Millisecond), noon), "just now"},
		{ago(noon.Add(-9900*time.Millisecond), noon), "9 s ago"},
		{ago(noon.Add(-3*time.Hour), noon), "3 h ago"},
		{left(noon.Add(48*day), noon), "48 days left"},
		{left(noon.Add(-3*day), noon), "expired 3 days ago"},
		{left(noon, noon), "expired just now"},
		{dateTime(noon.In(time.FixedZone("", 3600))), "23 Nov 2026, 12:20 UTC"},
		{machine(noon.In(time.FixedZone("", 3600))), "2026-11-23T12:20:30Z"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestNumbersAreGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -12: "-12"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestWhatIsNotDoneIsNeverHundredPercent(t *testing.T) {
	for _, c := range []struct {
		ratio float64
		done  bool
		want  int
	}{{0, false, 0}, {-1, false, 0}, {0.634, false, 63}, {0.9999, false, 99}, {1, false, 99}, {7, false, 99}, {1, true, 100}, {0.2, true, 100}} {
		if got := percent(c.ratio, c.done); got != c.want {
			t.Errorf("percent(%v, %v) = %d, want %d", c.ratio, c.done, got, c.want)
		}
	}
}

func TestErrorsBecomeSentences(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "",
		"  kafka is away ":                  "Kafka is away.",
		"reading the events: LinkedIn …":    "Reading the events: LinkedIn …",
		"broker-2:9092: refused":            "broker-2:9092: refused.",
		"linkedin.client_id is wrong.":      "linkedin.client_id is wrong.",
		"leadstream waits":                  "leadstream waits.",
		"what now?":                         "What now?",
		"run `leadstream auth login`":       "Run <code>leadstream auth login</code>.",
		"a ` alone":                         "A ` alone.",
		"<b>bold</b> & `<i>x</i>` \"said\"": "&lt;b&gt;bold&lt;/b&gt; &amp; <code>&lt;i&gt;x&lt;/i&gt;</code> &#34;said&#34;.",
		"été":                               "été.",
	} {
		if got := string(prose(text)); got != want {
			t.Errorf("prose(%q) = %q, want %q", text, got, want)
		}
	}
}

// FuzzProse: whatever an error says, the page shows those words and lets no
// mark-up through but its own.
func FuzzProse(f *testing.F) {
	for _, seed := range []string{"", "a", "`", "``", "`a`b`", "<script>alert(1)</script>", "`</code><script>`", "&lt;", "é", "\xff`\xfe"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := string(prose(text))
		bare := strings.ReplaceAll(strings.ReplaceAll(got, "<code>", ""), "</code>", "")
		if strings.ContainsAny(bare, `<>"'`) {
			t.Fatalf("prose(%q) = %q holds mark-up", text, got)
		}
		if strings.Count(got, "<code>") != strings.Count(got, "</code>") {
			t.Fatalf("prose(%q) = %q is not closed", text, got)
		}
		want := strings.ReplaceAll(sentence(text), "`", "")
		shown := strings.ReplaceAll(html.UnescapeString(bare), "`", "")
		if strings.ReplaceAll(want, "\x00", "\ufffd") != shown {
			t.Fatalf("prose(%q) shows %q, want %q", text, shown, want)
		}
	})
}
