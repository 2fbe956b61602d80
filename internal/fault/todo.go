package fault

import "errors"

// TodoOf is what a person can do about an error, in a sentence without a full
// stop, as the outermost error of the chain that says so has it; empty when none
// does. Its text stands in the error's own text as well, for logs.
func TodoOf(err error) string {
	var t interface{ Todo() string }
	if errors.As(err, &t) {
		return t.Todo()
	}
	return ""
}
