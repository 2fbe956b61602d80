package web

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
)

// day is what people mean by one where only days are counted.
const day = 24 * time.Hour

// span is a duration in words, in its one or two largest units: "45 s",
// "3 min", "2 h 5 min", "4 days".
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Second:
		return strconv.Itoa(int(d.Milliseconds())) + " ms"
	case d < 10*time.Second:
		return strings.TrimSuffix(strconv.FormatFloat(d.Seconds(), 'f', 1, 64), ".0") + " s"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min"
	case d < 2*day:
		h, m := int(d.Hours()), int(d.Minutes())%60
		if m == 0 || h >= 10 {
			return strconv.Itoa(h) + " h"
		}
		return fmt.Sprintf("%d h %d min", h, m)
	}
	return count(int64(d/day), "day", "days")
}

// spanSeconds is span of a number of seconds.
func spanSeconds(s float64) string {
	return span(time.Duration(s * float64(time.Second)))
}

// ago is how long t is past at now; what lies ahead by another machine's clock
// counts as just now.
func ago(t, now time.Time) string {
	d := now.Sub(t)
	if d < 2*time.Second {
		return "just now"
	}
	if d < 10*time.Second {
		d = d.Truncate(time.Second)
	}
	return span(d) + " ago"
}

// left is how long until t: "12 days left", "expired 3 days ago".
func left(t, now time.Time) string {
	d := t.Sub(now)
	if d <= 0 {
		return "expired " + ago(t, now)
	}
	return span(d) + " left"
}

// dateTime is a time for people, to the minute, in UTC.
func dateTime(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04") + " UTC" }

// machine is a time for the datetime attribute.
func machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// number groups the digits of n by thousands.
func number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// count is n with its noun.
func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// percent is a part of the whole, 0 to 100; what is not done is never 100.
func percent(ratio float64, done bool) int {
	if done {
		return 100
	}
	return min(max(int(ratio*100), 0), 99)
}

// sentence makes an error's text one: a capital first, a full stop last. What
// begins with a name in lower case, such as a setting's, keeps it.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	first, _, _ := strings.Cut(text, " ")
	if first = strings.TrimRight(first, ":,;"); first != "leadstream" && strings.IndexFunc(first, notLower) < 0 {
		text = capital(text)
	}
	if strings.ContainsAny(text[len(text)-1:], ".!?") || strings.HasSuffix(text, "…") {
		return text
	}
	return text + "."
}

// prose is sentence for a page: what stands between backquotes is code.
func prose(text string) template.HTML {
	var b strings.Builder
	parts := strings.Split(sentence(text), "`")
	for i, part := range parts {
		escaped := template.HTMLEscapeString(part)
		switch {
		case i%2 == 0:
			b.WriteString(escaped)
		case i == len(parts)-1: // opened and never closed
			b.WriteString("`" + escaped)
		default:
			b.WriteString("<code>" + escaped + "</code>")
		}
	}
	return template.HTML(b.String()) // every part was escaped above
}

// capital begins a name or a word with a capital letter. A URN is neither.
func capital(word string) string {
	if word == "" || notLower(rune(word[0])) || strings.HasPrefix(word, "urn:") {
		return word
	}
	return strings.ToUpper(word[:1]) + word[1:]
}

// notLower tells what is not an ASCII lower-case letter.
func notLower(r rune) bool { return r < 'a' || r > 'z' }

// badge is a state's word and shape.
type badge struct{ State, Shape, Word string }

// badgeOf shows a state under a word of the connector's own, or the usual one.
func badgeOf(s State, word string) badge {
	usual := map[State]badge{
		OK:      {"ok", "✓", "OK"},
		Waiting: {"waiting", "…", "Waiting"},
		Warning: {"warning", "!", "Look soon"},
		Failing: {"failing", "✕", "Failing"},
	}
	b, known := usual[s]
	if !known {
		b = badge{"waiting", "?", "Unknown"}
	}
	if word != "" {
		b.Word = word
	}
	return b
}
