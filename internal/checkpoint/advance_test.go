package checkpoint

import (
	"maps"
	"slices"
	"testing"
	"time"

	"leadstream/internal/lead"
)

func recordKeys(r Records) []string { return slices.Sorted(maps.Keys(r)) }

// Each advance moves its own part of the state, also where the others have moved since
// its window was read.
func TestEachAdvanceMovesItsOwnPartAlone(t *testing.T) {
	ladder := NewLadder(time.Minute, time.Hour)
	begin := func() *State {
		s := NewState()
		s.Sources[src] = Start(t0, 10*time.Hour, ladder)
		s.Replays["r"] = Replay{From: hours(-20, 0).From, To: hours(-20, -2).To, Mode: All, Next: map[string]time.Time{src.String(): hours(-20, 0).From}}
		s.Deferred[DeferredID{src, "7"}], _ = DeferredWindow{}.Defer(t0, Bound{}, 1)
		return s
	}
	_, after := begin().Sources[src].Poll(ladder, t0.Add(time.Minute), t0.Add(time.Minute))
	for _, tt := range []struct {
		name    string
		advance Advance
		keys    []string
		check   func(*State) bool
	}{
		{"a poll", Polled{Source: src, After: after, Read: lead.Window{From: t0, To: t0.Add(time.Minute)}, ReadAt: 2},
			[]string{SourceKey(src)}, func(s *State) bool {
				p := s.Sources[src]
				return p.Live.Equal(t0.Add(time.Minute)) && slices.Equal(covered(p), []lead.Window{hours(-10, 0)})
			}},
		{"a poll that reaches into the backlog", Polled{Source: src, After: after, Read: hours(-2, 1), ReadAt: 2},
			[]string{SourceKey(src)}, func(s *State) bool {
				return slices.Equal(covered(s.Sources[src]), []lead.Window{hours(-10, -2)})
			}},
		{"a poll with too much", Polled{Source: src, After: after, Read: hours(2, 3), ReadAt: 2, Later: hours(-1, 2), Fresh: t0, AsOf: 3},
			[]string{SourceKey(src)}, func(s *State) bool {
				return slices.Equal(covered(s.Sources[src]), []lead.Window{hours(-10, 0), hours(0, 2)})
			}},
		{"a part of the backlog", BacklogDone{Source: src, Kind: Backfill, Part: hours(-10, -7), ReadAt: 2},
			[]string{SourceKey(src)}, func(s *State) bool {
				p := s.Sources[src]
				return p.Live.Equal(t0) && slices.Equal(covered(p), []lead.Window{hours(-7, 0)}) && p.Backlog[0].Leads == 5
			}},
		{"a part of a replay beside the backlog", ReplayDone{ID: "r", Source: src, Part: hours(-20, -15), ReadAt: 2},
			[]string{ReplayKey("r")}, func(s *State) bool {
				r := s.Replays["r"]
				return r.Next[src.String()].Equal(hours(-15, 0).From) && r.Leads == 5 && slices.Equal(covered(s.Sources[src]), []lead.Window{hours(-10, 0)})
			}},
		{"a part of a replay that the backlog had", ReplayDone{ID: "r", Source: src, Part: hours(-9, -8), ReadAt: 2},
			[]string{ReplayKey("r"), SourceKey(src)}, func(s *State) bool {
				return slices.Equal(covered(s.Sources[src]), []lead.Window{hours(-10, -9), hours(-8, 0)})
			}},
		{"what is deferred", DeferredDone{ID: DeferredID{src, "7"}, Part: hours(-1, 1), ReadAt: 2},
			[]string{DeferredKey(src, "7")}, func(s *State) bool { return len(s.Deferred) == 0 }},
		{"what was deferred again since it was read", DeferredDone{ID: DeferredID{src, "7"}, Part: hours(-1, 1), ReadAt: 0},
			[]string{DeferredKey(src, "7")}, func(s *State) bool { return len(s.Deferred) == 1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := begin()
			s := before.Clone()
			if got := recordKeys(tt.advance.On(s, 5)); !slices.Equal(got, tt.keys) || !tt.check(s) {
				t.Errorf("records %v, want %v; the state is %+v", got, tt.keys, s)
			}
			if p := before.Sources[src]; !p.Live.Equal(t0) || len(before.Deferred) != 1 || before.Replays["r"].Leads != 0 {
				t.Errorf("the state that was cloned has changed: %+v", before)
			}
		})
	}
}
