package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// parse reads a raw value as the setting's type and checks its bounds. The
// reason is empty when it is good, else it says what would be; with a secret
// it never quotes.
func (s *setting) parse(v raw) (value reflect.Value, reason string) {
	switch {
	case s.kind.Kind() == reflect.Slice:
		return s.parseList(v)
	case s.kind.Kind() == reflect.Map:
		return s.parseMap(v)
	case v.shape != scalar:
		return value, "needs one plain value" + s.orBound()
	case s.kind == secretType:
		return s.parseSecret(v.text)
	case s.kind == durationType:
		return s.parseDuration(v.text)
	}
	switch s.kind.Kind() {
	case reflect.Int:
		return s.parseInt(v.text)
	case reflect.Bool:
		if v.text != "true" && v.text != "false" {
			return value, "must be true or false"
		}
		return reflect.ValueOf(v.text == "true"), ""
	default:
		return reflect.ValueOf(v.text), s.checkText(v.text)
	}
}

func (s *setting) orBound() string {
	if s.Bound == "" {
		return ""
	}
	return ": " + s.Bound
}

// checkText holds one string against oneof or rule.
func (s *setting) checkText(text string) string {
	if reason := unprintable(text); reason != "" {
		return reason
	}
	if found := unseen(text); found != "" {
		return "must be plain text, and " + found
	}
	if one, ok := s.tag.Lookup("oneof"); ok {
		if !slices.Contains(strings.Fields(one), text) {
			return "must be " + s.Bound + didYouMean(text, strings.Fields(one))
		}
		return ""
	}
	name, ok := s.tag.Lookup("rule")
	switch {
	case text == "" && ok:
		return "must not be empty: " + s.Bound
	case text == "":
		return "must not be empty"
	case ok && !rules[name].ok(text):
		return "must be " + s.Bound
	}
	return ""
}

// unprintable says why a text cannot be a value, empty when it can.
func unprintable(text string) string {
	switch {
	case text != strings.TrimSpace(text):
		return "must not hold line breaks nor begin or end with blanks"
	case !Printable(text):
		return "must not hold line breaks, control characters or others that are not seen"
	}
	return ""
}

// Printable reports whether a text is UTF-8 without anything that would break a line,
// command a terminal or not be seen where it becomes a name, a key or a header. The
// empty text is.
func Printable(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
	}) < 0
}

func (s *setting) parseSecret(text string) (value reflect.Value, reason string) {
	if text == "" {
		return value, "must not be empty"
	}
	if found := unseen(text); found != "" {
		return value, found + "; it would be taken for a part of the secret"
	}
	return reflect.ValueOf(NewSecret(text)), ""
}

// unseen says what a text holds that nobody sees, and that came along by mistake when
// it was copied, saved or mounted; empty when there is nothing. It never quotes.
func unseen(text string) string {
	notSeen := func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }
	first, _ := utf8.DecodeRuneInString(text)
	last, _ := utf8.DecodeLastRuneInString(text)
	switch {
	case !utf8.ValidString(text):
		return "it is not UTF-8, perhaps UTF-16: save it as UTF-8"
	case strings.ContainsRune(text, '\ufeff'):
		return "it holds a byte order mark (U+FEFF): save it without"
	case strings.ContainsAny(text, "\r\n\u0085\u2028\u2029"):
		return "it holds a line break, besides the one that may end a file"
	case strings.ContainsFunc(text, unicode.IsControl):
		return "it holds a NUL or another control character"
	case text != "" && (notSeen(first) || notSeen(last)):
		return "it begins or ends with a blank, or with a character of no width"
	}
	return ""
}

func (s *setting) parseDuration(text string) (value reflect.Value, reason string) {
	d, err := ParseDuration(text)
	if err != nil {
		return value, err.Error() + "; must be " + s.Bound
	}
	if d < mustDuration(s.tag.Get("min")) || d > mustDuration(s.tag.Get("max")) {
		return value, "must be " + s.Bound
	}
	return reflect.ValueOf(d), ""
}

// mustDuration reads a bound out of a tag; a test reads them all.
func mustDuration(text string) time.Duration {
	d, err := ParseDuration(text)
	if err != nil {
		return -1
	}
	return d
}

func (s *setting) parseInt(text string) (value reflect.Value, reason string) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return value, "must be a whole number, " + s.Bound
	}
	low, errLow := strconv.Atoi(s.tag.Get("min"))
	high, errHigh := strconv.Atoi(s.tag.Get("max"))
	inside := errLow == nil && errHigh == nil && n >= low && n <= high
	if !inside && text != s.tag.Get("also") {
		return value, "must be " + s.Bound
	}
	return reflect.ValueOf(n), ""
}

func (s *setting) parseList(v raw) (value reflect.Value, reason string) {
	if v.shape == mapping {
		return value, "is a list" + s.orBound()
	}
	items := v.list
	if v.shape == scalar {
		items = splitList(v.text)
	}
	if len(items) == 0 && s.Default != "" {
		return value, "must not be empty" + s.orBound()
	}
	out := make([]string, 0, len(items))
	for _, item := range items {
		if reason := s.checkText(item); reason != "" {
			return value, fmt.Sprintf("%q %s", clip(withoutLogin(item)), reason)
		}
		if s.tag.Get("rule") == "organization" {
			item = organizationURN(item)
		}
		if !slices.Contains(out, item) {
			out = append(out, item)
		}
	}
	return reflect.ValueOf(out), ""
}

func (s *setting) parseMap(v raw) (value reflect.Value, reason string) {
	if v.shape == list {
		return value, "is a map, key: value, not a list"
	}
	pairs := v.pairs
	if v.shape == scalar {
		var bad string
		if pairs, bad = splitPairs(v.text); bad != "" {
			return value, fmt.Sprintf("is a list k=v,k=v with each k once; %q does not fit", clip(bad))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(pairs)) {
		if reason := s.checkText(k); reason != "" {
			return value, fmt.Sprintf("%q %s", clip(k), reason)
		}
		if reason := unprintable(pairs[k]); reason != "" {
			return value, fmt.Sprintf("%q of %s %s", clip(pairs[k]), k, reason)
		}
	}
	return reflect.ValueOf(pairs), ""
}

// written is a value as it could stand in an environment variable; a secret
// is redacted.
func written(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return FormatDuration(x)
	case []string:
		return strings.Join(x, ",")
	case map[string]string:
		parts := make([]string, 0, len(x))
		for _, k := range slices.Sorted(maps.Keys(x)) {
			parts = append(parts, k+"="+x[k])
		}
		return strings.Join(parts, ",")
	default:
		return fmt.Sprint(x)
	}
}

// display is a raw value for a problem's text, empty for secrets.
func (s *setting) display(v raw) string {
	switch {
	case s.Secret:
		return ""
	case v.shape == list:
		shown := make([]string, len(v.list))
		for i, item := range v.list {
			shown[i] = withoutLogin(item)
		}
		return strings.Join(shown, ",")
	case v.shape == mapping:
		return written(reflect.ValueOf(v.pairs))
	}
	return withoutLogin(v.text)
}

// withoutLogin takes out of an address what people put there although it is
// secret: user and password before the host, and the query.
func withoutLogin(text string) string {
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		start := 0
		if i := strings.Index(text[:at], "://"); i >= 0 {
			start = i + len("://")
		}
		text = text[:start] + redacted + text[at:]
	}
	if i := strings.IndexByte(text, '?'); i >= 0 && strings.Contains(text[:i], "://") {
		text = text[:i+1] + "…"
	}
	return text
}
