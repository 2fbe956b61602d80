package fault

import (
	"errors"
	"fmt"
	"testing"
)

func TestARefusalKeepsItsReasonItsKindAndItsChain(t *testing.T) {
	cause := errors.New("404")
	for _, want := range []Refusal{Gone, Forbidden, Wrong} {
		err := As(Suspend, fmt.Errorf("reading form 7: %w", Refuse(want, cause)))
		if got := RefusalOf(err); got != want || KindOf(err) != Suspend || !errors.Is(err, cause) || err.Error() != "reading form 7: 404" {
			t.Errorf("%v is %v of kind %v, want %v of kind suspend", err, got, KindOf(err), want)
		}
	}
	for _, err := range []error{nil, cause, As(Suspend, cause)} {
		if got := RefusalOf(err); got != NotRefused {
			t.Errorf("%v is %v, want no refusal", err, got)
		}
	}
}
