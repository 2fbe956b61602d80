package oauth

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestHeartbeatRemindsOnceAnHour(t *testing.T) {
	b := newBeating(t, nil)
	b.after(t, 0)
	b.needsPerson(t, "without a token", string(NoToken))
	b.after(t, 59*time.Minute)
	if n := b.lines("needs a person"); n != 1 {
		t.Errorf("told %d times in 59 minutes, want once", n)
	}
	b.after(t, 4*time.Hour)
	if n := b.lines("needs a person", statusPage); n != 5 {
		t.Errorf("told %d times in five hours, want 5", n)
	}
}

func TestConsentIsWarnedOfBeforeItsEnd(t *testing.T) {
	for _, bearer := range []bool{false, true} {
		b := newBeating(t, nil)
		tok := b.connect()
		end := begin.Add(365 * day)
		if bearer {
			end, tok.Refresh, tok.RefreshExpiresAt = begin.Add(60*day), "", time.Time{}
			b.store.set(func(m *memory) { m.held = tok })
		}
		const ends = "comes to its end"
		at := func(left time.Duration) {
			t.Helper()
			b.clock.Add(end.Add(-left).Sub(b.clock.Now()))
			_, _ = b.AccessToken(t.Context()) // its users renew it meanwhile
			b.after(t, lookEvery)
		}
		steps := []struct {
			left   time.Duration
			warned int
			level  string
			note   string
		}{
			{31 * day, 0, "warn", ""},
			{30*day - time.Minute, 1, "warn", "in 29 days"},
			{29 * day, 1, "warn", "in 29 days"},
			{7*day - time.Minute, 2, "warn", "in 6 days"},
			{2*day - time.Hour, 2, "warn", "in 1 day,"},
			{day - time.Minute, 3, "error", "within a day"},
			{time.Hour, 3, "error", "within a day"},
		}
		for _, s := range steps {
			at(s.left)
			if n := b.lines(ends, statusPage); n != s.warned || b.lines(ends, `"level":"error"`) != map[string]int{"warn": 0, "error": 1}[s.level] {
				t.Errorf("with %v left it was warned %d times, want %d: %s", s.left, n, s.warned, b.world.log)
			}
			if note := b.Health().Note; s.note != "" && (!strings.Contains(note, s.note) || !strings.Contains(note, end.Format(time.DateOnly))) {
				t.Errorf("with %v left the note is %q, want %q", s.left, note, s.note)
			}
			b.works(t, fmt.Sprint(s.left, " before the end"))
		}
		b.connect() // the next consent is warned of in its turn
		b.after(t, lookEvery)
		end = b.clock.Now().Add(365*day - lookEvery)
		at(6 * day)
		if n := b.lines(ends); n != 4 {
			t.Errorf("the next consent was warned of %d times, want once", n-3)
		}
	}
}
