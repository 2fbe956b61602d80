package checkpoint

import (
	"sort"
	"testing"
	"time"

	"leadstream/internal/lead"
)

var t0 = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func TestLadderReachesTheLookbackAndGrowsFourfold(t *testing.T) {
	for _, tt := range []struct {
		name               string
		interval, lookback time.Duration
		steps              int
	}{
		{"defaults", time.Minute, 168 * time.Hour, 7},
		{"fast", time.Second, 168 * time.Hour, 10},
		{"interval longer than the look-back", 24 * time.Hour, time.Hour, 1},
		{"short look-back", time.Minute, 10 * time.Minute, 2},
		{"a period that is more than two thirds of it", time.Minute, 80 * time.Hour, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := NewLadder(tt.interval, tt.lookback)
			if len(l) != tt.steps {
				t.Fatalf("steps = %v, want %d of them", l, tt.steps)
			}
			for i, s := range l {
				if s.Length <= 0 || s.Period <= 0 {
					t.Errorf("step %d = %v, want positive", i, s)
				}
				if i > 0 && s.Period != 4*l[i-1].Period {
					t.Errorf("period of step %d = %v, want four times %v", i, s.Period, l[i-1].Period)
				}
			}
			top := l[len(l)-1]
			if top.Length < tt.lookback/3 {
				t.Errorf("the longest step looks back %v, want at least a third of %v", top.Length, tt.lookback)
			}
			if tt.interval < tt.lookback && top.Length+top.Period != tt.lookback {
				t.Errorf("the longest step reaches %v, want exactly %v", top.Length+top.Period, tt.lookback)
			}
		})
	}
}

// polls runs steady polling from start to end and gives every window read.
func polls(p Progress, l Ladder, start, end time.Time, every time.Duration) (windows []lead.Window, after Progress) {
	for now := start; !now.After(end); now = now.Add(every) {
		var w lead.Window
		w, p = p.Poll(l, now)
		windows = append(windows, w)
	}
	return windows, p
}

// firstEnding is the first window that ends at t or later.
func firstEnding(windows []lead.Window, t time.Time) int {
	return sort.Search(len(windows), func(i int) bool { return !windows[i].To.Before(t) })
}

func TestALeadIsFetchedAtMostTwelveTimesOnAverage(t *testing.T) {
	l := NewLadder(time.Minute, 168*time.Hour)
	windows, _ := polls(Start(t0, 0, l), l, t0.Add(time.Minute), t0.Add(40*24*time.Hour), time.Minute)
	fetched := 0
	const leads = 400
	for i := range leads { // spread over ten days in the middle, every phase of the steps
		at := t0.Add(15*24*time.Hour + time.Duration(i)*10*24*time.Hour/leads)
		for _, w := range windows[firstEnding(windows, at):] {
			if w.Contains(at) {
				fetched++
			}
			if w.To.Sub(at) > 169*time.Hour {
				break // no step reaches back that far
			}
		}
	}
	if avg := float64(fetched) / leads; avg > 12 || avg < 5 {
		t.Errorf("a lead is fetched %.2f times on average, want about ten and at most 12", avg)
	}
}

func TestALateLeadIsFoundWithinFourTimesItsDelay(t *testing.T) {
	l := NewLadder(time.Minute, 168*time.Hour)
	windows, _ := polls(Start(t0, 0, l), l, t0.Add(time.Minute), t0.Add(40*24*time.Hour), time.Minute)
	for _, delay := range []time.Duration{0, 30 * time.Second, time.Minute, 5 * time.Minute, time.Hour, 10 * time.Hour, 48 * time.Hour, 56 * time.Hour} {
		for phase := range 97 {
			submitted := t0.Add(12*24*time.Hour + time.Duration(phase)*29*time.Minute + time.Duration(phase)*time.Second)
			appears := submitted.Add(delay)
			found := time.Time{}
			for _, w := range windows[firstEnding(windows, appears):] {
				if w.Contains(submitted) {
					found = w.To
					break
				}
			}
			if limit := 4*delay + 2*time.Minute; found.IsZero() || found.Sub(appears) > limit {
				t.Fatalf("a lead %v late was found %v after it appeared, want within %v", delay, found.Sub(appears), limit)
			}
		}
	}
}

func TestAnOutageLeavesNoHoleForLateLeads(t *testing.T) {
	l := NewLadder(time.Minute, 168*time.Hour)
	down, up := t0.Add(20*24*time.Hour), t0.Add(50*24*time.Hour)
	_, p := polls(Start(t0, 0, l), l, t0.Add(time.Minute), down, time.Minute)
	windows, _ := polls(p, l, up, up.Add(24*time.Hour), time.Minute)
	// A lead submitted shortly before the outage, which appeared in its midst,
	// a third of the look-back late.
	submitted := down.Add(-50 * time.Hour)
	for _, w := range windows {
		if w.Contains(submitted) {
			return
		}
	}
	t.Errorf("no window after the outage reads %v", submitted)
}

func TestPollWithAClockThatDoesNotMoveIsEmpty(t *testing.T) {
	l := NewLadder(time.Minute, time.Hour)
	p := Start(t0, 0, l)
	for _, now := range []time.Time{t0, t0.Add(-time.Hour)} {
		w, after := p.Poll(l, now)
		if !w.Empty() || !after.Live.Equal(p.Live) {
			t.Errorf("Poll(%v) = %v, live %v; want an empty window and no movement", now, w, after.Live)
		}
	}
}

func TestALongerLookbackTakesOverWhatTheShorterOneKnew(t *testing.T) {
	short, long := NewLadder(time.Minute, time.Hour), NewLadder(time.Minute, 168*time.Hour)
	_, p := polls(Start(t0, 0, short), short, t0.Add(time.Minute), t0.Add(3*time.Hour), time.Minute)
	w, after := p.Poll(long, t0.Add(3*time.Hour+time.Minute))
	if !w.From.Before(t0.Add(3 * time.Hour)) {
		t.Errorf("first window of the longer ladder = %v, want one that looks back", w)
	}
	if len(after.Lookback) != len(long) {
		t.Errorf("steps kept = %d, want %d", len(after.Lookback), len(long))
	}
	// What the longest one had not looked at when it was changed, no longer one has.
	known := p.Lookback[len(p.Lookback)-1].Last
	if last := after.Lookback[len(long)-1].Last; !last.Equal(known) || !last.Before(p.Live) {
		t.Errorf("the new step counts as run at %v, want %v, when the longest before it ran", last, known)
	}
}

func TestEveryPollLooksBackByTheShortestStep(t *testing.T) {
	l := NewLadder(time.Minute, time.Hour)
	p := Start(t0, 0, l)
	if w, _ := p.Poll(l, t0.Add(time.Second)); !w.From.Equal(t0.Add(-l[0].Length)) {
		t.Errorf("a poll a second after the last begins at %v, want %v before that", w.From, l[0].Length)
	}
}

// TestOnlyTheRangeThatWasWorkedOnShrinks: a backfill and a catch-up may begin at
// the same moment and end at others.
func TestOnlyTheRangeThatWasWorkedOnShrinks(t *testing.T) {
	p := Start(t0, 10*time.Hour, NewLadder(time.Minute, time.Hour))
	from := t0.Add(-10 * time.Hour)
	p = p.Defer(lead.Window{From: from, To: t0}, t0)
	p = p.Done(CatchUp, lead.Window{From: from, To: from.Add(time.Hour)}, 7)
	for _, r := range p.Backlog {
		next, leads := from, int64(0)
		if r.Kind == CatchUp {
			next, leads = from.Add(time.Hour), 7
		}
		if !r.Next.Equal(next) || r.Leads != leads || !r.To.Equal(t0) {
			t.Errorf("%s stands at %v of %v with %d leads, want %v of %v with %d", r.Kind, r.Next, r.To, r.Leads, next, t0, leads)
		}
	}
	if len(p.Backlog) != 2 {
		t.Errorf("backlog = %+v, want both ranges", p.Backlog)
	}
}

func TestDeferredWindowsMergeAndAreWorkedThroughOnce(t *testing.T) {
	at := func(h int) time.Time { return t0.Add(time.Duration(h) * time.Hour) }
	p := Progress{Live: at(10)}
	p = p.Defer(lead.Window{From: at(2), To: at(6)}, at(5))
	p = p.Defer(lead.Window{From: at(4), To: at(9)}, at(8))
	if len(p.Backlog) != 1 {
		t.Fatalf("backlog = %+v, want one merged range", p.Backlog)
	}
	r := p.Backlog[0]
	if !r.Next.Equal(at(2)) || !r.To.Equal(at(9)) || !r.Fresh.Equal(at(5)) {
		t.Errorf("range = %+v, want [2h, 9h) fresh from 5h", r)
	}
	p = p.Done(CatchUp, lead.Window{From: at(2), To: at(4)}, 5)
	if !p.Backlog[0].Next.Equal(at(4)) || p.Backlog[0].Leads != 5 {
		t.Errorf("next = %v after %d leads, want 4h after 5", p.Backlog[0].Next, p.Backlog[0].Leads)
	}
	if same := p.Done(CatchUp, lead.Window{From: at(3), To: at(9)}, 5); !same.Backlog[0].Next.Equal(at(4)) {
		t.Errorf("a part that does not begin where the range begins moved it to %v", same.Backlog[0].Next)
	}
	if p = p.Done(CatchUp, lead.Window{From: at(4), To: at(9)}, 5); len(p.Backlog) != 0 {
		t.Errorf("backlog = %+v, want none", p.Backlog)
	}
}

func TestAMergedRangeIsFreshFromWhereOneOfThemIs(t *testing.T) {
	at := func(m int) time.Time { return t0.Add(time.Duration(m) * time.Minute) }
	w := func(from, to int) lead.Window { return lead.Window{From: at(from), To: at(to)} }
	for _, tt := range []struct {
		name  string
		first func(Progress) Progress
		next  func(Progress) Progress
		want  time.Time
	}{
		{"both covered before",
			func(p Progress) Progress { return p.Defer(w(0, 100), at(150)) },
			func(p Progress) Progress { return p.Defer(w(50, 200), at(250)) }, at(200)},
		{"the first covered before",
			func(p Progress) Progress { return p.Defer(w(0, 100), at(150)) },
			func(p Progress) Progress { return p.Defer(w(50, 200), at(180)) }, at(180)},
		{"the second covered before",
			func(p Progress) Progress { return p.Defer(w(0, 100), at(60)) },
			func(p Progress) Progress { return p.Defer(w(50, 200), at(250)) }, at(60)},
		{"the second inside the first, which was covered before",
			func(p Progress) Progress { return p.Defer(w(0, 200), at(300)) },
			func(p Progress) Progress { return p.Defer(w(50, 100), at(120)) }, at(200)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.next(tt.first(Progress{Live: at(300)}))
			if len(p.Backlog) != 1 || !p.Backlog[0].Fresh.Equal(tt.want) {
				t.Errorf("backlog = %+v, want one range, fresh from %v on", p.Backlog, tt.want)
			}
		})
	}
}

func TestBackfillAndCatchUpDoNotMerge(t *testing.T) {
	p := Start(t0, 24*time.Hour, NewLadder(time.Minute, time.Hour))
	p = p.Defer(lead.Window{From: t0.Add(-2 * time.Hour), To: t0.Add(-time.Hour)}, t0)
	if len(p.Backlog) != 2 || p.Backlog[0].Kind != Backfill {
		t.Errorf("backlog = %+v, want the backfill and the catch-up apart, oldest first", p.Backlog)
	}
}

func TestOntoKeepsTheBacklogOfTheOther(t *testing.T) {
	l := NewLadder(time.Minute, time.Hour)
	p := Start(t0, time.Hour, l)
	_, after := p.Poll(l, t0.Add(time.Minute))
	worked := p.Done(Backfill, lead.Window{From: t0.Add(-time.Hour), To: t0}, 5)
	if got := after.Onto(worked); !got.Live.Equal(after.Live) || len(got.Backlog) != 0 {
		t.Errorf("got live %v and backlog %v, want the poll's position and the finished backlog", got.Live, got.Backlog)
	}
}
