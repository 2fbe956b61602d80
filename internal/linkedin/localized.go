package linkedin

import (
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// localized is a text in several languages, by locale as in en_US.
type localized map[string]string

// maxLocales bounds the languages that are kept of a text: LinkedIn has about 30.
const maxLocales = 200

// plainLocale stands for a text that came without locales.
const plainLocale = ""

// decodeLocalized reads {"localized":{"en_US":"…"}}, where the text may also be
// an object with rawText, or a bare string. what names the kind of anything
// else.
func decodeLocalized(r *reader) (t localized, what string) {
	switch k := r.kind(); k {
	case jsontext.KindString:
		s, _ := r.text()
		return localized{plainLocale: s}, ""
	case jsontext.KindBeginObject:
	default:
		r.skip()
		return nil, kindName(k)
	}
	t, _ = decodeName(r)
	return t, ""
}

// decodeName reads an object with localized and perhaps preferredLocale.
func decodeName(r *reader) (t localized, preferred string) {
	t = localized{}
	if !r.open(jsontext.KindBeginObject) {
		return t, ""
	}
	for r.more() {
		switch r.name() {
		case "localized":
			t.read(r)
		case "preferredLocale":
			preferred = decodeLocale(r)
		default:
			r.skip()
		}
	}
	return t, preferred
}

func (t localized) read(r *reader) {
	if !r.open(jsontext.KindBeginObject) {
		return
	}
	for r.more() {
		locale := r.name()
		if s, ok := decodeRawText(r); ok && len(t) < maxLocales {
			t[locale] = s
		}
	}
}

func decodeRawText(r *reader) (s string, ok bool) {
	if r.kind() != jsontext.KindBeginObject {
		bare, what := r.text()
		return bare, what == ""
	}
	for r.open(jsontext.KindBeginObject); r.more(); {
		if r.name() != "rawText" {
			r.skip()
		} else if t, what := r.text(); what == "" {
			s, ok = t, true
		}
	}
	return s, ok
}

// in is the text in the locale, else in the first one in sorted order; empty
// when there is none.
func (t localized) in(locale string) string {
	if s, ok := t[locale]; ok {
		return s
	}
	if len(t) == 0 {
		return ""
	}
	return t[slices.Min(slices.Collect(maps.Keys(t)))]
}

// decodeLocale reads {"country":"US","language":"en"} as en_US; empty when it
// cannot be read.
func decodeLocale(r *reader) string {
	if r.kind() == jsontext.KindString {
		s, _ := r.text()
		return s
	}
	var country, language string
	if !r.open(jsontext.KindBeginObject) {
		return ""
	}
	for r.more() {
		switch r.name() {
		case "country":
			country, _ = r.text()
		case "language":
			language, _ = r.text()
		default:
			r.skip()
		}
	}
	if country == "" || language == "" {
		return language
	}
	return language + "_" + country
}
