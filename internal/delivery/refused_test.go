package delivery

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestATopicThatRefusesItsTombstonesIsTriedLessAndLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		began, tries := time.Now(), 0
		for range 60 * 60 * 4 {
			if !s.Deletions.rests("a") {
				s.Deletions.refuses("a", errors.New("too large"))
				tries++
			}
			if s.Deletions.rests("b") {
				t.Fatal("one topic's refusal keeps another waiting")
			}
			time.Sleep(noticed)
		}
		if most := int(time.Since(began)/refusedMost) + 8; tries > most || tries < most-10 {
			t.Errorf("tried %d times in %v, want about each %v", tries, time.Since(began), refusedMost)
		}
		var refused *RefusedError
		if err := s.Deletions.refused(); !errors.As(err, &refused) || refused.Topics["a"].Tries != tries {
			t.Errorf("refused = %v, want that of topic a with %d tries", err, tries)
		}
	})
}

// noticed is how often the deletions are looked at.
const noticed = 250 * time.Millisecond
