package checkpoint

import (
	"math/rand/v2"
	"slices"
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
		w, p = p.Poll(l, now, now)
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

func TestAClockThatStandsStillOrGoesBackMovesNoPosition(t *testing.T) {
	l := NewLadder(time.Minute, time.Hour)
	p := Start(t0, 0, l)
	if w, after := p.Poll(l, t0, t0); w.Empty() || !w.To.Equal(t0) || !after.Live.Equal(t0) {
		t.Errorf("Poll(same moment) = %v, live %v; want a look back and no movement", w, after.Live)
	}
	if w, after := p.Poll(l, t0.Add(-time.Hour), t0); !w.Empty() || !after.Live.Equal(p.Live) {
		t.Errorf("Poll(an hour back) = %v, live %v; want an empty window and no movement", w, after.Live)
	}
}

func TestAClockFarAheadMovesThePositionNoFurtherThanOurs(t *testing.T) {
	l := NewLadder(time.Minute, time.Hour)
	p := Start(t0, 0, l)
	ours := t0.Add(time.Minute)
	w, after := p.Poll(l, t0.AddDate(0, 0, 30), ours)
	if !after.Live.Equal(ours) || !w.To.Equal(t0.AddDate(0, 0, 30)) {
		t.Errorf("window %v, live %v; want LinkedIn's moment to be read and ours to be the position", w, after.Live)
	}
	for _, r := range after.Lookback {
		if r.Last.After(ours) {
			t.Errorf("the step of %d ms counts as run at %v, want no later than %v", r.LengthMillis, r.Last, ours)
		}
	}
}

func TestAPositionThatIsTakenBackLeavesNothingInTheFuture(t *testing.T) {
	future, back := t0.AddDate(0, 0, 30), t0.Add(time.Hour)
	p := Progress{Live: future, Lookback: []Run{{60000, future}, {240000, t0}}, Backlog: []Range{
		{Kind: CatchUp, From: t0, Next: t0, To: future, Fresh: t0},
		{Kind: CatchUp, From: t0.Add(2 * time.Hour), Next: t0.Add(2 * time.Hour), To: future, Fresh: future}}}.Rewind(back)
	if !p.Live.Equal(back) || !p.Lookback[0].Last.Equal(back) || !p.Lookback[1].Last.Equal(t0) ||
		len(p.Backlog) != 1 || !p.Backlog[0].To.Equal(back) {
		t.Errorf("taken back to %v it is %+v", back, p)
	}
}

func TestALongerLookbackTakesOverWhatTheShorterOneKnew(t *testing.T) {
	short, long := NewLadder(time.Minute, time.Hour), NewLadder(time.Minute, 168*time.Hour)
	_, p := polls(Start(t0, 0, short), short, t0.Add(time.Minute), t0.Add(3*time.Hour), time.Minute)
	w, after := p.Poll(long, t0.Add(3*time.Hour+time.Minute), t0.Add(3*time.Hour+time.Minute))
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
	if w, _ := p.Poll(l, t0.Add(time.Second), t0.Add(time.Second)); !w.From.Equal(t0.Add(-l[0].Length)) {
		t.Errorf("a poll a second after the last begins at %v, want %v before that", w.From, l[0].Length)
	}
}

// hours is a window in hours after t0.
func hours(from, to int) lead.Window {
	return lead.Window{From: t0.Add(time.Duration(from) * time.Hour), To: t0.Add(time.Duration(to) * time.Hour)}
}

// covered is what the backlog lists, as windows.
func covered(p Progress) (windows []lead.Window) {
	for _, r := range p.Backlog {
		windows = append(windows, r.Window())
	}
	return windows
}

func TestDeferredWindowsJoinAndAreWorkedThroughOnce(t *testing.T) {
	at := func(h int) time.Time { return t0.Add(time.Duration(h) * time.Hour) }
	p := Progress{Live: at(10)}
	p = p.Defer(hours(2, 6), at(5), 1)
	p = p.Defer(hours(4, 9), at(8), 2)
	p = p.Done(CatchUp, hours(2, 4), 5, 3)
	if got := covered(p); got[0].From != at(4) || p.Backlog[0].Leads != 5 {
		t.Errorf("left is %v after %d leads, want it to begin at 4h after 5", got, p.Backlog[0].Leads)
	}
	p = p.Done(CatchUp, hours(4, 6), 5, 3)
	if p = p.Done(CatchUp, hours(6, 9), 5, 3); len(p.Backlog) != 0 {
		t.Errorf("backlog = %+v, want none", p.Backlog)
	}
}

// What is never covered and what was looked at before are told apart, whatever joins.
func TestNoJoinMakesFreshWhatWasCoveredBefore(t *testing.T) {
	for seed := range 200 {
		rnd := rand.New(rand.NewPCG(1, uint64(seed)))
		fresh := map[int]bool{} // by hour: what the first to record it said
		p := Progress{Live: t0.Add(100 * time.Hour)}
		for i := range 12 {
			from := rnd.IntN(40)
			to := from + 1 + rnd.IntN(10)
			boundary := from + rnd.IntN(to-from+3) - 1
			p = p.Defer(hours(from, to), t0.Add(time.Duration(boundary)*time.Hour), ReadMark(i))
			for h := from; h < to; h++ {
				if _, known := fresh[h]; !known {
					fresh[h] = h >= boundary
				}
			}
		}
		for h := range 60 {
			at := t0.Add(time.Duration(h) * time.Hour)
			in, isFresh := 0, false
			for _, r := range p.Backlog {
				if r.Window().Contains(at) {
					in, isFresh = in+1, !at.Before(r.Fresh)
				}
			}
			want, recorded := fresh[h]
			if in > 1 || (in == 1) != recorded || isFresh != want {
				t.Fatalf("seed %d, hour %d: in %d ranges, fresh %v; recorded %v, fresh %v: %+v", seed, h, in, isFresh, recorded, want, p.Backlog)
			}
		}
	}
}

func TestTheBackfillStaysOneRangeBesideACatchUp(t *testing.T) {
	p := Start(t0, 24*time.Hour, NewLadder(time.Minute, time.Hour))
	p = p.Defer(hours(-2, 3), t0, 1)
	if len(p.Backlog) != 2 || p.Backlog[0].Kind != Backfill || p.Backlog[0].Window() != hours(-24, 0) || p.Backlog[1].Window() != hours(0, 3) {
		t.Errorf("backlog = %+v, want the backfill as it was and a catch-up behind it", p.Backlog)
	}
}

// What is recorded while a part is on its way was not seen by who read that part.
func TestAPartThatWasReadBeforeItWasRecordedAgainStays(t *testing.T) {
	at := func(h int) time.Time { return t0.Add(time.Duration(h) * time.Hour) }
	for _, tt := range []struct {
		name   string
		second lead.Window // recorded after [4h, 6h) was read
		part   lead.Window
		left   []lead.Window
	}{
		{"a poll that reaches into the part and beyond", hours(5, 20), hours(4, 6), []lead.Window{hours(5, 20)}},
		{"a poll that reaches over all of it", hours(3, 20), hours(4, 6), []lead.Window{hours(3, 20)}},
		{"one that lies inside the part", hours(5, 6), hours(4, 8), []lead.Window{hours(5, 6), hours(8, 10)}},
		{"one that lies behind the part", hours(7, 9), hours(4, 6), []lead.Window{hours(6, 10)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := Progress{Live: at(30)}.Defer(hours(4, 10), at(30), 1)
			const read = 2
			p = p.Defer(tt.second, at(30), 3)
			p = p.Done(CatchUp, tt.part, 0, read)
			if got := covered(p); !slices.Equal(got, tt.left) {
				t.Errorf("left is %v, want %v", got, tt.left)
			}
			if p = p.Done(CatchUp, hours(3, 20), 0, 4); len(p.Backlog) != 0 || len(p.renewed) != 0 {
				t.Errorf("after all was read again there is left %+v, %+v", p.Backlog, p.renewed)
			}
		})
	}
}

// Polls that leave more and more for later beside a reader take nothing away from it
// that it has not read, and let it get through.
func TestWhatIsRecordedWhileReadingIsReadLater(t *testing.T) {
	for seed := range 300 {
		rnd := rand.New(rand.NewPCG(2, uint64(seed)))
		var p Progress
		var mark ReadMark
		recorded := map[int]ReadMark{} // by hour, the last time
		type part struct {
			lead.Window
			from, to int
			readAt   ReadMark
		}
		var under []part // way
		done := func(x part) {
			p = p.Reconciled(x.Window, x.readAt)
			for h := x.from; h < x.to; h++ {
				if recorded[h] < x.readAt {
					delete(recorded, h)
				}
			}
		}
		for range 60 {
			mark++
			from := rnd.IntN(50)
			to := from + 1 + rnd.IntN(8)
			switch rnd.IntN(3) {
			case 0:
				p = p.Defer(hours(from, to), t0, mark)
				for h := from; h < to; h++ {
					recorded[h] = mark
				}
			case 1:
				under = append(under, part{hours(from, to), from, to, mark})
			default:
				if len(under) > 0 {
					done(under[0])
					under = under[1:]
				}
			}
		}
		for h := range 60 {
			at := t0.Add(time.Duration(h)*time.Hour + time.Minute)
			_, want := recorded[h]
			if got := slices.ContainsFunc(p.Backlog, func(r Range) bool { return r.Window().Contains(at) }); want && !got {
				t.Fatalf("seed %d: hour %d was recorded and not read since, and is not in the backlog %v", seed, h, covered(p))
			}
		}
		mark++
		if p = p.Reconciled(hours(0, 100), mark); len(p.Backlog) != 0 {
			t.Fatalf("seed %d: what was read last of all leaves %v", seed, covered(p))
		}
	}
}

func TestOnlyTheBackfillIsFresh(t *testing.T) {
	p := Start(t0, 24*time.Hour, NewLadder(time.Minute, time.Hour)).Defer(hours(1, 3), t0, 1)
	p = p.Reconciled(hours(-5, -4), 2)
	if got := p.Fresh(); !slices.Equal(got, []lead.Window{hours(-24, -5), hours(-4, 0)}) {
		t.Errorf("fresh = %v, want the backfill without what a poll has covered", got)
	}
}

func TestOntoKeepsTheBacklogOfTheOther(t *testing.T) {
	l := NewLadder(time.Minute, time.Hour)
	p := Start(t0, time.Hour, l)
	_, after := p.Poll(l, t0.Add(time.Minute), t0.Add(time.Minute))
	worked := p.Done(Backfill, lead.Window{From: t0.Add(-time.Hour), To: t0}, 5, 1)
	if got := after.Onto(worked); !got.Live.Equal(after.Live) || len(got.Backlog) != 0 {
		t.Errorf("got live %v and backlog %v, want the poll's position and the finished backlog", got.Live, got.Backlog)
	}
}
