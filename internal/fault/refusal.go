package fault

import "errors"

// Refusal is why the far side refuses a request for good. The three call for
// different actions, so that whoever handles a refusal says which one it means.
type Refusal uint8

const (
	// NotRefused: the error is no refusal, or does not say which one.
	NotRefused Refusal = iota
	// Gone: what was asked for does not exist, or not any more.
	Gone
	// Forbidden: a role, a scope or the token does not suffice.
	Forbidden
	// Wrong: the request itself is not accepted. That is a fault of ours, or a
	// change of the far side's API, and says nothing about what was asked for.
	Wrong
)

// String is the refusal's name in lower case.
func (r Refusal) String() string {
	switch r {
	case NotRefused:
		return "not refused"
	case Gone:
		return "gone"
	case Forbidden:
		return "forbidden"
	case Wrong:
		return "wrong request"
	}
	return "unknown"
}

// RefusalOf is the refusal that the outermost error of the chain with an opinion
// declares, NotRefused when there is none.
func RefusalOf(err error) Refusal {
	var r interface{ Refusal() Refusal }
	if errors.As(err, &r) {
		return r.Refusal()
	}
	return NotRefused
}

// Refuse makes err a refusal, of kind Suspend; the text and the chain stay as
// they are.
func Refuse(r Refusal, err error) error {
	return &refused{kinded: kinded{kind: Suspend, error: err}, refusal: r}
}

type refused struct {
	kinded
	refusal Refusal
}

func (r *refused) Refusal() Refusal { return r.refusal }

// Answered reports whether err is what the other side answered to this one request, and not the
// lack of an answer: an error that has a method Answered says so.
func Answered(err error) bool {
	var a interface{ Answered() bool }
	return errors.As(err, &a) && a.Answered()
}
