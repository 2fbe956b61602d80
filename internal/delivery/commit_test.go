package delivery

import "testing"

func TestAnErrorSaysWhatWasToBeCommitted(t *testing.T) {
	for _, c := range []struct {
		batch Batch
		want  string
	}{
		{Batch{Leads: make([]Lead, 3), Records: map[string]any{"source/a": nil}}, "3 leads, 1 checkpoint record"},
		{Batch{DeadLetters: make([]DeadLetter, 1), Resolved: []string{"a", "b"}}, "1 dead letter, 2 removed dead letters"},
		{Batch{Deletions: make([]Deletion, 2)}, "2 tombstones"},
	} {
		if got := c.batch.String(); got != c.want {
			t.Errorf("a batch is %q, want %q", got, c.want)
		}
	}
}
