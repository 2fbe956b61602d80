package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Plain is err in the words of people where it comes from one of Go's decoders,
// which name Go's types, its functions and the value; else err as it is. The
// chain stays.
func Plain(err error) error {
	if words, cause := plainly(err); cause != nil {
		return &plain{error: err, text: strings.Replace(err.Error(), cause.Error(), words, 1)}
	}
	return err
}

// plainly are the words for the part of err that is a decoder's, and that part.
func plainly(err error) (words string, cause error) {
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		found, _, _ := strings.Cut(kind.Value, " ") // behind it stands a number of the text
		if kind.Field == "" {
			return "it is a JSON " + found + ", which does not belong there", kind
		}
		return fmt.Sprintf("%s is a JSON %s, which does not belong there", kind.Field, found), kind
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("it is not JSON from byte %d on", syntax.Offset), syntax
	}
	if number, ok := errors.AsType[*strconv.NumError](err); ok {
		if errors.Is(number, strconv.ErrRange) {
			return fmt.Sprintf("%.40q is too large", number.Num), number
		}
		return fmt.Sprintf("%.40q is no number", number.Num), number
	}
	if moment, ok := errors.AsType[*time.ParseError](err); ok {
		return fmt.Sprintf("%.40q is no time; one is written as 2026-11-23T08:00:00Z", moment.Value), moment
	}
	// encoding/json gives what a type of the standard library says of itself.
	if err != nil && strings.Contains(err.Error(), "Time.UnmarshalJSON: ") {
		return "a time is a text, written as 2026-11-23T08:00:00Z", innermost(err)
	}
	return "", nil
}

// innermost is the last error of a chain.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

type plain struct {
	error
	text string
}

func (p *plain) Error() string { return p.text }
func (p *plain) Unwrap() error { return p.error }
