package linkedin

import (
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// decodeRefusal reads LinkedIn's error envelope. What is not one, such as the
// HTML of a gateway, leaves the error without details.
func decodeRefusal(body []byte) *APIError {
	e := &APIError{}
	r := newReader(body)
	if !r.open(jsontext.KindBeginObject) {
		return e
	}
	for r.more() {
		switch r.name() {
		case "code":
			s, _ := r.text()
			e.Code, e.daily = clean(s), e.daily || ofTheDay(s)
		case "message":
			s, _ := r.text()
			e.Message, e.daily = clean(s), e.daily || ofTheDay(s)
		case "serviceErrorCode":
			n, _ := r.integer()
			e.ServiceCode = int(n)
		case "errorDetails":
			e.Parameter = decodeParameter(r)
		default:
			r.skip()
		}
	}
	if r.end() != nil {
		return &APIError{}
	}
	return e
}

// ofTheDay reports a text that speaks of a limit of the day, as in "Resource level
// throttle APPLICATION_AND_MEMBER DAY limit for calls to this resource is reached".
func ofTheDay(s string) bool {
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) })
	has := func(any ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(any, w) })
	}
	return has("day", "daily") && has("limit", "limits", "throttle", "throttled", "quota")
}

// decodeParameter finds errorDetails.inputErrors[].input.inputPath.fieldPath,
// the first.
func decodeParameter(r *reader) (parameter string) {
	in := func(name string, read func()) {
		if !r.open(jsontext.KindBeginObject) {
			return
		}
		for r.more() {
			if r.name() == name {
				read()
			} else {
				r.skip()
			}
		}
	}
	in("inputErrors", func() {
		if !r.open(jsontext.KindBeginArray) {
			return
		}
		for r.more() {
			in("input", func() {
				in("inputPath", func() {
					in("fieldPath", func() {
						if s, _ := r.text(); parameter == "" {
							parameter = clean(s)
						}
					})
				})
			})
		}
	})
	return parameter
}
