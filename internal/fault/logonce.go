package fault

import (
	"errors"
	"fmt"
)

// LogOnce tells which errors of one piece of work are worth a line while it
// keeps failing: the first that time may fix (of each subject, where such errors
// tell theirs by About() string), and each that a person must act upon, once. The zero value is ready; it is not safe for concurrent use.
type LogOnce struct {
	said map[string]bool
}

// New reports whether err was not said since the last Reset. Two errors are one
// issue when a person has the same to do: kind, type and, where an error tells
// it by About() string, subject are the same, whatever the texts.
func (t *LogOnce) New(err error) bool {
	key := about(err)
	if KindOf(err).NeedsPerson() {
		key = fmt.Sprintf("%v %T %s", KindOf(err), declares(err), about(err))
	}
	if t.said[key] {
		return false
	}
	if t.said == nil {
		t.said = map[string]bool{}
	}
	t.said[key] = true
	return true
}

// Reset forgets what was said, after a success.
func (t *LogOnce) Reset() { clear(t.said) }

// declares is the error that gives err its kind: the first to declare one
// itself, or the first cause.
func declares(err error) error {
	for {
		var declared interface {
			error
			Fault() Kind
		}
		if !errors.As(err, &declared) {
			return err
		}
		given, ok := declared.(*kinded)
		if !ok {
			return declared
		}
		err = given.error
	}
}

func about(err error) string {
	var subject interface{ About() string }
	if errors.As(err, &subject) {
		return subject.About()
	}
	return ""
}
