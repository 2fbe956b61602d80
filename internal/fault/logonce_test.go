package fault

import (
	"errors"
	"fmt"
	"testing"
)

// refusal is an error that waits for a person.
type refusal struct{ subject, detail string }

func (r *refusal) Error() string { return r.subject + " " + r.detail }
func (r *refusal) Fault() Kind   { return Pause }
func (r *refusal) About() string { return r.subject }

// retired is another that does.
type retired struct{}

func (retired) Error() string { return "retired" }
func (retired) Fault() Kind   { return Pause }

func TestWhatAPersonMustActUponIsSaidWhenItIsMet(t *testing.T) {
	var once LogOnce
	for i, step := range []struct {
		err error
		new bool
	}{
		{errors.New("503"), true},
		{errors.New("504"), false}, // time fixes both
		{fmt.Errorf("polling: %w", &refusal{"topic a", "request 1"}), true},
		{&refusal{"topic a", "request 2"}, false},
		{&refusal{"topic b", "request 3"}, true}, // another thing to do
		{retired{}, true},
		{errors.New("503"), false},
		{retired{}, false},
		{As(Suspend, errors.New("role lost")), true},
		{As(Suspend, retired{}), true}, // the same cause, and something else to do about it
	} {
		if got := once.New(step.err); got != step.new {
			t.Errorf("step %d: New(%v) = %v, want %v", i, step.err, got, step.new)
		}
	}
	once.Reset()
	if !once.New(errors.New("503")) {
		t.Error("an issue that begins again is not said")
	}
}
