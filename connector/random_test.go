package connector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// seedsVariable asks for more runs than the tests make by themselves.
const seedsVariable = "LEADSTREAM_TEST_SEEDS"

// TestWhateverHappensEachLeadIsPublishedOnce: leads come live, late and again, some show
// long after they were submitted; forms cannot be read for a while and ask new questions;
// polls, backlogs, notifications and deferred windows are worked on at the same time;
// processes are replaced in the midst of it.
func TestWhateverHappensEachLeadIsPublishedOnce(t *testing.T) {
	seeds := 6
	if n, err := strconv.Atoi(os.Getenv(seedsVariable)); err == nil {
		seeds = n
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			r := &run{world: newWorld(t), rand: rand.New(rand.NewPCG(uint64(seed), 1)), submitted: map[string][]time.Time{}}
			r.opts.Backfill = 3 * time.Hour
			r.addOther()
			for range 30 { // from before the first start
				r.submit(-time.Duration(r.rand.IntN(170)) * time.Minute)
			}
			r.leader = r.start()
			for range 40 {
				r.step()
			}
			r.end()
			r.check()
		})
	}
}

// run is a random history.
type run struct {
	*world
	rand      *rand.Rand
	leader    *leader
	submitted map[string][]time.Time // by id
}

// step has something happen, and several kinds of work at once.
func (r *run) step() {
	r.linkedin.mu.Lock()
	r.linkedin.clock = r.linkedin.clock.Add(time.Duration(1+r.rand.IntN(120_000)) * time.Millisecond)
	r.linkedin.mu.Unlock()
	for range r.rand.IntN(4) {
		r.submit(-time.Duration(r.rand.IntN(90)) * time.Second)
	}
	switch r.rand.IntN(10) {
	case 0: // late, within the look-back
		r.submit(-time.Duration(1+r.rand.IntN(100)) * time.Minute)
	case 1, 2:
		r.toggle(formID)
	case 3:
		r.toggle(other)
	case 4:
		r.linkedin.mu.Lock()
		next := formVersion(len(r.linkedin.forms[formID]) + 1)
		next.Questions = append(next.Questions, lead.Question{ID: int64(2 + next.Version), Text: fmt.Sprint("Question ", next.Version), Kind: lead.TextAnswer})
		r.linkedin.forms[formID][next.Version] = next
		r.linkedin.mu.Unlock()
	case 5: // another process takes over
		r.leader = r.start()
	}
	old := r.leader
	group := new(errgroup.Group)
	for _, work := range r.works(old) {
		group.Go(func() error { return work(r.t.Context()) })
	}
	if r.rand.IntN(8) == 0 { // and again, while the old one is at work
		r.leader = r.start()
	}
	if err := group.Wait(); err != nil && (old == r.leader || !errors.Is(err, kafka.ErrEpochLost)) {
		r.t.Fatal(err)
	}
}

// works are some kinds of work that a leader does at the same time.
func (r *run) works(e *leader) []func(context.Context) error {
	all := []func(context.Context) error{
		func(ctx context.Context) error { return e.poller(src).poll(ctx) },
		func(ctx context.Context) error {
			if backlog := e.state().Sources[src].Backlog; len(backlog) > 0 {
				return e.backfiller(src).work(ctx, backlog[0])
			}
			return nil
		},
		func(ctx context.Context) error { return e.deferrer.round(ctx, true) },
		r.push(e),
	}
	r.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:1+r.rand.IntN(len(all))]
}

// push fetches some of the newest leads, as notifications have it done.
func (r *run) push(e *leader) func(context.Context) error {
	due := map[string]time.Time{}
	r.linkedin.mu.Lock()
	defer r.linkedin.mu.Unlock()
	for _, row := range r.linkedin.rows[max(0, len(r.linkedin.rows)-r.rand.IntN(12)):] {
		due[row.ID] = row.SubmittedAt
	}
	return func(ctx context.Context) error {
		_, err := (&notified{session: e.session, src: src}).fetch(ctx, due)
		return err
	}
}

// submit adds a lead submitted that long after now: a new one, or one more of an earlier
// id. It may take a while until it shows.
func (r *run) submit(after time.Duration) {
	at := r.now().Add(after)
	id := fmt.Sprint("lead-", len(r.submitted))
	if r.rand.IntN(6) == 0 && len(r.submitted) > 0 {
		id = fmt.Sprint("lead-", r.rand.IntN(len(r.submitted)))
	}
	if slices.ContainsFunc(r.submitted[id], at.Equal) {
		return
	}
	row := r.linkedin.submit(id, at)
	r.linkedin.mu.Lock()
	defer r.linkedin.mu.Unlock()
	r.submitted[id] = append(r.submitted[id], at)
	row.visible = r.linkedin.clock
	if r.rand.IntN(5) == 0 {
		row.visible = row.visible.Add(time.Duration(r.rand.IntN(600)) * time.Second)
	}
	row.Form.Version = 1 + r.rand.IntN(len(r.linkedin.forms[formID]))
	if id[len(id)-1]%3 == 0 {
		row.Form = lead.FormRef{ID: other, Version: 1}
	}
}

// toggle has a form be readable no more, or again.
func (r *run) toggle(form string) {
	r.linkedin.mu.Lock()
	defer r.linkedin.mu.Unlock()
	if r.linkedin.formDown[form] == nil {
		r.linkedin.formDown[form] = errors.New("503")
	} else {
		delete(r.linkedin.formDown, form)
	}
}

// end has everything be well for long enough that all is read.
func (r *run) end() {
	r.linkedin.mu.Lock()
	clear(r.linkedin.formDown)
	r.linkedin.mu.Unlock()
	for range 6 {
		r.tick(r.leader, time.Hour)
		r.settle(r.leader)
		r.catchUp(r.leader)
	}
	if left := r.leader.state().Deferred; len(left) > 0 {
		r.t.Errorf("deferred windows are left: %v", left)
	}
}

// check compares the topics with what was submitted. A submission that came after a later
// one of its id may be overtaken. Everything else stands there once.
func (r *run) check() {
	r.t.Helper()
	published := map[string]map[time.Time]int{}
	for _, form := range []string{formID, other} {
		err := r.cluster.Reader.Read(r.t.Context(), "linkedin.leads."+form, kafka.From{}, func(record *kafka.Record) error {
			for _, h := range record.Headers {
				if h.Key != "leadstream.submitted_at" {
					continue
				}
				at, err := time.Parse(lead.TimeLayout, string(h.Value))
				if published[string(record.Key)] == nil {
					published[string(record.Key)] = map[time.Time]int{}
				}
				published[string(record.Key)][at.UTC()]++
				return err
			}
			return errors.New("a record without its time of submission")
		})
		if err != nil && !errors.Is(err, kafka.ErrTopicMissing) {
			r.t.Fatal(err)
		}
	}
	for id, times := range r.submitted {
		latest := slices.MaxFunc(times, time.Time.Compare).UTC()
		if published[id][latest] == 0 {
			r.t.Errorf("%s submitted at %s is not in its topic (progress %+v)", id, latest, r.leader.state().Sources[src])
		}
		for at, n := range published[id] {
			if n > 1 || !slices.ContainsFunc(times, at.Equal) {
				r.t.Errorf("%s submitted at %s stands %d times in its topic", id, at, n)
			}
		}
	}
	if extra := slices.Collect(maps.Keys(published)); len(extra) > len(r.submitted) {
		r.t.Errorf("%d leads stand in the topics, of %d", len(extra), len(r.submitted))
	}
}
