package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"go.uber.org/zap"

	"leadstream/internal/fault"
)

// script drives the part of Member.Run that decides, under virtual time and
// with events in the group's place.
type script struct {
	t      *testing.T
	m      *Member
	events chan groupEvent
	beats  atomic.Bool // what the group says to a heartbeat

	mu       sync.Mutex
	runs     int // how often the work was begun
	ended    []error
	active   []bool
	departed []string

	finish chan error // has the work return
	result chan error
	cancel context.CancelFunc
	gen    *kafkago.Generation
}

// play runs steps with a member whose work waits for finish or for its end.
func play(t *testing.T, steps func(*script)) { playWith(t, zap.NewNop(), nil, steps) }

func playWith(t *testing.T, log *zap.Logger, work func(context.Context) error, steps func(*script)) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t, events: make(chan groupEvent), finish: make(chan error), result: make(chan error, 1)}
		s.beats.Store(true)
		if work == nil {
			work = s.work
		}
		s.m = (&Client{}).Member(GroupConfig{ID: "g", Topic: "t", Log: log, OnState: s.state}, work)
		s.m.leaveGroup = s.depart
		s.m.heartbeat = func(context.Context, *kafkago.Generation) bool { return s.beats.Load() }
		ctx, cancel := context.WithCancel(t.Context())
		s.cancel = cancel
		go func() { s.result <- s.m.loop(ctx, ctx, s.events) }()
		steps(s)
		cancel()
		synctest.Wait()
		if s.m.cancel != nil {
			t.Error("the work is still running at the end")
		}
	})
}

// depart fails twice before the coordinator is back.
func (s *script) depart(_ context.Context, member string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.departed = append(s.departed, member)
	if len(s.departed)%3 != 0 {
		return errors.New("connection refused")
	}
	return nil
}

func (s *script) state(active bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = append(s.active, active)
}

func (s *script) work(ctx context.Context) error {
	s.mu.Lock()
	s.runs++
	s.mu.Unlock()
	var err error
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case err = <-s.finish:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, err)
	return err
}

// rebalance ends the current generation and begins another after d.
func (s *script) rebalance(held bool, d time.Duration) {
	s.end()
	time.Sleep(d)
	s.begin(held)
}

func (s *script) end() {
	if s.gen != nil {
		s.events <- groupEvent{ended: s.gen}
		s.gen = nil
	}
}

func (s *script) begin(held bool) {
	gen := &kafkago.Generation{ID: int32(time.Now().Unix() % 1e6), MemberID: "me", GroupID: "g", Assignments: map[string][]kafkago.PartitionAssignment{"t": {}}}
	if held {
		gen.Assignments["t"] = []kafkago.PartitionAssignment{{ID: 0}}
	}
	s.gen = gen
	s.events <- groupEvent{began: gen}
	synctest.Wait()
}

func (s *script) want(runs int, active ...bool) {
	s.t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs != runs || !slices.Equal(s.active, active) {
		s.t.Fatalf("work was begun %d times, states %v; want %d, %v", s.runs, s.active, runs, active)
	}
}

func (s *script) over(check func(error) bool) {
	s.t.Helper()
	synctest.Wait()
	select {
	case err := <-s.result:
		if !check(err) {
			s.t.Errorf("the membership ended with %v", err)
		}
	default:
		s.t.Error("the membership goes on")
	}
}

func isNil(err error) bool { return err == nil }

var fencedByOther = &EpochLostError{Op: "writing", Code: codeProducerFenced}

// TestRebalanceThatLeavesTheWorkHereDisturbsNothing: the same call goes on.
func TestRebalanceThatLeavesTheWorkHereDisturbsNothing(t *testing.T) {
	play(t, func(s *script) {
		s.begin(true)
		for range 5 {
			s.rebalance(true, 6*time.Second)
		}
		s.want(1, true)
	})
}

// TestWorkGivenToAnotherIsYielded: and taken up again when it comes back.
func TestWorkGivenToAnotherIsYielded(t *testing.T) {
	play(t, func(s *script) {
		s.begin(false)
		s.want(0)
		s.rebalance(true, time.Second)
		s.want(1, true)
		s.rebalance(false, time.Second)
		s.want(1, true, false)
		if held := s.m.balancer.held.Load(); held != 0 {
			t.Errorf("it still claims the work, since generation %d", held)
		}
		s.rebalance(true, time.Second)
		s.want(2, true, false, true)
	})
}

// TestStandingByIsSaid: once, however often the group is joined anew meanwhile.
func TestStandingByIsSaid(t *testing.T) {
	log, logs := observed()
	playWith(t, log, nil, func(s *script) {
		s.begin(false)
		s.rebalance(false, time.Second)
		s.rebalance(true, time.Second)
		s.rebalance(false, time.Second)
		s.rebalance(false, time.Second)
	})
	if said := logs.FilterMessage("standing by").Len(); said != 2 {
		t.Errorf("standing by was said %d times, want 2", said)
	}
}

// TestWhatToDoMeanwhileIsSaidToWhoStandsBy, and nothing where there is nothing.
func TestWhatToDoMeanwhileIsSaidToWhoStandsBy(t *testing.T) {
	for _, text := range []string{"", "wait for it"} {
		log, logs := observed()
		playWith(t, log, nil, func(s *script) {
			s.m.cfg.StandbyNote = text
			s.begin(false)
			s.rebalance(false, time.Second)
		})
		said := logs.FilterMessage("standing by").All()
		if len(said) != 1 {
			t.Fatalf("standing by was said %d times, want once", len(said))
		}
		if got, given := said[0].ContextMap()["note"]; given != (text != "") || given && got != text {
			t.Errorf("note %v, want %q", got, text)
		}
	}
}

// TestSilenceBeyondTheSessionYields: another member may be active by then.
func TestSilenceBeyondTheSessionYields(t *testing.T) {
	play(t, func(s *script) {
		s.begin(true)
		s.end()
		time.Sleep(6 * time.Second)
		s.want(1, true)
		time.Sleep(time.Second)
		s.want(1, true, false)
		time.Sleep(time.Hour)
		s.begin(true)
		s.want(2, true, false, true)
	})
}

// TestEpochLostWaitsForTheGroup: the work begins again only when the group
// confirms it.
func TestEpochLostWaitsForTheGroup(t *testing.T) {
	t.Run("confirmed", func(t *testing.T) {
		play(t, func(s *script) {
			s.begin(true)
			s.finish <- fencedByOther
			s.want(1, true, false)
			time.Sleep(time.Second)
			s.want(2, true, false, true)
		})
	})
	t.Run("not ours any more", func(t *testing.T) {
		play(t, func(s *script) {
			s.begin(true)
			s.beats.Store(false)
			s.finish <- fencedByOther
			time.Sleep(5 * time.Second)
			s.want(1, true, false)
			s.rebalance(false, time.Second)
			time.Sleep(time.Minute)
			s.want(1, true, false)
		})
	})
	t.Run("assigned anew", func(t *testing.T) {
		play(t, func(s *script) {
			s.begin(true)
			s.beats.Store(false)
			s.finish <- fencedByOther
			s.rebalance(true, time.Second)
			s.want(2, true, false, true)
			// That was no fight: another held it in between.
			s.beats.Store(true)
			s.finish <- fencedByOther
			time.Sleep(time.Second)
			s.want(3, true, false, true, false, true)
		})
	})
}

// TestFencedTwiceInSpiteOfTheGroupEnds: by the type that exits.
func TestFencedTwiceInSpiteOfTheGroupEnds(t *testing.T) {
	play(t, func(s *script) {
		s.begin(true)
		for range 2 {
			s.finish <- fmt.Errorf("committing: %w", fencedByOther)
			time.Sleep(time.Minute)
		}
		s.over(func(err error) bool {
			return errors.Is(err, ErrFenced) && errors.Is(err, ErrEpochLost) && fault.KindOf(err) == fault.Fatal
		})
	})
}

// TestOtherLossesAreNoFight: an expired transaction, one that could not be
// aborted, and two fencings far apart.
func TestOtherLossesAreNoFight(t *testing.T) {
	losses := map[string]error{
		"expired":       &EpochLostError{Code: codeProducerFenced, Expired: true},
		"not aborted":   &EpochLostError{Err: &UnreachableError{}},
		"out of order":  &EpochLostError{Code: codeOutOfOrderSequence},
		"hours between": fencedByOther,
	}
	for name, loss := range losses {
		t.Run(name, func(t *testing.T) {
			play(t, func(s *script) {
				s.begin(true)
				for i := range 5 {
					s.finish <- loss
					time.Sleep(time.Second)
					s.mu.Lock()
					runs := s.runs
					s.mu.Unlock()
					if runs != i+2 {
						t.Fatalf("after loss %d the work was begun %d times", i+1, runs)
					}
					if name == "hours between" {
						time.Sleep(time.Hour)
					}
				}
			})
		})
	}
}

// TestWorkDecidesTheEnd: what it returns is what Member.Run returns, unless it
// was told to end.
func TestWorkDecidesTheEnd(t *testing.T) {
	broken := errors.New("broken")
	fatal := fault.As(fault.Fatal, broken)
	tests := map[string]struct {
		steps func(*script)
		want  func(error) bool
	}{
		"done":                           {func(s *script) { s.finish <- nil }, isNil},
		"fails":                          {func(s *script) { s.finish <- broken }, func(err error) bool { return err == broken }},
		"context ends":                   {func(s *script) { s.cancel() }, isNil},
		"context ends while standing by": {func(s *script) { s.rebalance(false, 0); s.cancel() }, isNil},
		"no permission for the group": {func(s *script) { s.events <- groupEvent{err: kafkago.GroupAuthorizationFailed} },
			func(err error) bool {
				got, ok := errors.AsType[*AuthorizationError](err)
				return ok && *got == AuthorizationError{"group", "g", "Read"}
			}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			play(t, func(s *script) {
				s.begin(true)
				s.want(1, true)
				tt.steps(s)
				s.over(tt.want)
				if len(s.ended) != 1 || s.active[len(s.active)-1] {
					t.Errorf("the work ended %d times, states %v", len(s.ended), s.active)
				}
			})
		})
	}
	t.Run("fatal while yielding", func(t *testing.T) {
		work := func(ctx context.Context) error { <-ctx.Done(); return fatal }
		playWith(t, zap.NewNop(), work, func(s *script) {
			s.begin(true)
			s.rebalance(false, 0)
			s.over(func(err error) bool { return errors.Is(err, broken) })
		})
	})
}

// TestFormerIdIsTakenBack: after a failure kafka-go joins under a new id, and
// nobody shall wait for the old one.
func TestFormerIdIsTakenBack(t *testing.T) {
	play(t, func(s *script) {
		s.begin(true)
		for range 3 {
			s.events <- groupEvent{err: errors.New("connection refused")}
		}
		time.Sleep(time.Minute)
		s.events <- groupEvent{err: kafkago.RebalanceInProgress}
		s.rebalance(true, time.Second)
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if want := []string{"me", "me", "me"}; !slices.Equal(s.departed, want) {
			t.Errorf("departed %v, want %v: until it is heard, and no more", s.departed, want)
		}
	})
}

// TestUnreachableGroupIsSaidOnce: however long it lasts.
func TestUnreachableGroupIsSaidOnce(t *testing.T) {
	log, logs := observed()
	playWith(t, log, nil, func(s *script) {
		for range 2 {
			for range 100 {
				s.events <- groupEvent{err: errors.New("connection refused")}
			}
			s.begin(false)
		}
		s.events <- groupEvent{err: kafkago.RebalanceInProgress}
	})
	said := []string{}
	for _, e := range logs.All() {
		said = append(said, e.Level.String())
	}
	// The second info is that it stands by.
	if want := []string{"warn", "info", "info", "warn", "info"}; !slices.Equal(said, want) {
		t.Errorf("log levels = %v, want %v", said, want)
	}
}

// TestStickyBalancer: whoever held the work last keeps it; standbys and stale
// claims change nothing; members of another release take part.
func TestStickyBalancer(t *testing.T) {
	data := func(held int32) []byte {
		var s sticky
		s.held.Store(held)
		d, err := s.UserData()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	partitions := []kafkago.Partition{{Topic: "t", ID: 0}}
	tests := map[string]struct {
		members map[string][]byte
		want    string
	}{
		"nobody yet":           {map[string][]byte{"b": data(0), "a": data(0)}, "a"},
		"a standby joins":      {map[string][]byte{"z": data(3), "a": data(0)}, "z"},
		"a paused one returns": {map[string][]byte{"a": data(3), "z": data(5)}, "z"},
		"another release":      {map[string][]byte{"a": {2, 0, 0, 0, 9}, "b": append(data(4), 7, 7), "c": nil}, "b"},
		"alone":                {map[string][]byte{"a": data(0)}, "a"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var members []kafkago.GroupMember
			for id, d := range tt.members {
				members = append(members, kafkago.GroupMember{ID: id, Topics: []string{"t"}, UserData: d})
			}
			got := new(sticky).AssignGroups(members, partitions)
			for id := range tt.members {
				want := 0
				if id == tt.want {
					want = 1
				}
				if n := len(got[id]["t"]); n != want {
					t.Errorf("%s got %d partitions, want %d", id, n, want)
				}
			}
		})
	}
	if got := new(sticky).AssignGroups(nil, partitions); len(got) != 0 {
		t.Errorf("without members: %v", got)
	}
}

// TestMembersTakeTurns: two of them on one broker, through kafka-go's group.
func TestMembersTakeTurns(t *testing.T) {
	c, _ := fake(t)
	create(t, c, 1, "progress")
	type seat struct {
		cancel context.CancelFunc
		began  chan struct{}
		result chan error
	}
	sit := func() seat {
		ctx, cancel := context.WithCancel(t.Context())
		s := seat{cancel, make(chan struct{}, 10), make(chan error, 1)}
		go func() {
			s.result <- c.Member(GroupConfig{ID: "g", Topic: "progress", Heartbeat: 50 * time.Millisecond}, func(ctx context.Context) error {
				s.began <- struct{}{}
				<-ctx.Done()
				return ctx.Err()
			}).Run(ctx)
		}()
		return s
	}
	first := sit()
	<-first.began
	second := sit()
	eventually(t, "two members", func() bool {
		n, err := c.Admin.GroupMembers(t.Context(), "g")
		if err != nil {
			t.Fatal(err)
		}
		return n == 2
	})
	select {
	case <-second.began:
		t.Fatal("a standby took the work away")
	default:
	}
	first.cancel()
	if err := <-first.result; err != nil {
		t.Errorf("Member.Run = %v, want nil", err)
	}
	<-second.began
	second.cancel()
	if err := <-second.result; err != nil {
		t.Errorf("Member.Run = %v, want nil", err)
	}
	if n, err := c.Admin.GroupMembers(t.Context(), "g"); n != 0 || err != nil {
		t.Errorf("%d members after all have left, %v", n, err)
	}
	err := c.Member(GroupConfig{ID: "g", Topic: "gone"}, nil).Run(t.Context())
	if !errors.Is(err, ErrTopicMissing) {
		t.Errorf("Member.Run on a missing topic = %v, want ErrTopicMissing", err)
	}
}
