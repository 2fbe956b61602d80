package connector

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

const neighbour = "urn:li:organization:9000456"

// guarded is LinkedIn that refuses the leads of organizations without a role.
type guarded struct {
	*fakeLinkedIn
	listed atomic.Int64 // how often the roles were read
}

func (g *guarded) Organizations(ctx context.Context) ([]lead.Organization, error) {
	g.listed.Add(1)
	return g.fakeLinkedIn.Organizations(ctx)
}

func (g *guarded) Responses(ctx context.Context, src lead.Source, w lead.Window, limit int, fn func([]lead.Response) error) error {
	g.mu.Lock()
	may := slices.ContainsFunc(g.orgs, func(o lead.Organization) bool { return o.URN == src.Owner && o.Problem == "" })
	g.mu.Unlock()
	switch {
	case !may:
		return fault.As(fault.Suspend, errors.New("403: the role is missing"))
	case src.Owner != owner:
		return nil
	}
	return g.fakeLinkedIn.Responses(ctx, src, w, limit, fn)
}

func (f *fakeLinkedIn) member(orgs ...lead.Organization) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.orgs = orgs
}

func with(urn string, roles ...string) lead.Organization {
	problem, todo := lead.Access(roles)
	return lead.Organization{URN: urn, Name: "Sim " + urn[len(urn)-3:], Roles: roles, Problem: problem, Todo: todo}
}

// working is a connector at work until the test ends.
func (w *world) working() *Connector {
	w.t.Helper()
	c := New(w.opts)
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	return c
}

// waitUntil lets LinkedIn's time pass until done says so.
func (w *world) waitUntil(what string, done func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("in 20 s not %s", what)
		}
		w.linkedin.mu.Lock()
		w.linkedin.clock = w.linkedin.clock.Add(50 * time.Millisecond)
		w.linkedin.mu.Unlock()
	}
}

func access(c *Connector, urn string) (OrganizationStatus, bool) {
	for _, o := range c.Status().Organizations {
		if o.URN == urn {
			return o, true
		}
	}
	return OrganizationStatus{}, false
}

func source(c *Connector, urn string) SourceStatus {
	for _, s := range c.Status().Sources {
		if s.Owner == urn {
			return s
		}
	}
	return SourceStatus{}
}

// A role that is lost while working is looked for as soon as LinkedIn refuses
// something, however rare the discoveries are; the others go on; and once it is
// back, what was missed is read, without waiting for anything.
func TestALostRoleIsToldAtOnceAndWhatWasMissedIsReadOnceItIsBack(t *testing.T) {
	for _, left := range [][]lead.Organization{nil, {with(owner, "ANALYST")}} {
		w := newWorld(t)
		g := &guarded{fakeLinkedIn: w.linkedin}
		w.opts.LinkedIn, w.opts.Interval, w.opts.Discovery = g, 20*time.Millisecond, time.Hour
		good, both := with(neighbour, "ADMINISTRATOR"), []lead.Organization{with(owner, "CONTENT_ADMINISTRATOR"), with(neighbour, "ADMINISTRATOR")}
		w.linkedin.member(both...)
		c := w.working()
		w.waitUntil("reading both", func() bool { return !source(c, owner).Success.IsZero() && !source(c, neighbour).Success.IsZero() })

		w.linkedin.member(append(left, good)...)
		w.waitUntil("telling of the lost role", func() bool { o, _ := access(c, owner); return o.Problem != "" })
		o, _ := access(c, owner)
		if o.Name != "Sim 123" || !strings.Contains(o.Todo, "ADMINISTRATOR") || !strings.Contains(o.Todo, "Manage admins") {
			t.Errorf("organization = %+v, want its name and where the role comes from", o)
		}
		if n := w.logs.FilterMessage("organization cannot be read").Len(); n != 1 {
			t.Errorf("told %d times, want once", n)
		}
		if n := g.listed.Load(); n > 3 {
			t.Errorf("the roles were read %d times", n)
		}
		before := source(c, neighbour).Success
		w.linkedin.submit("meanwhile", w.now().Add(10*time.Millisecond))
		w.waitUntil("the other read on", func() bool { return source(c, neighbour).Success.After(before) })
		w.expectIDs(formID)

		w.linkedin.member(both...)
		c.mu.Lock()
		e := c.current
		c.mu.Unlock()
		if _, err := e.discovery.organizations(t.Context()); err != nil { // the next discovery
			t.Fatal(err)
		}
		w.waitUntil("reading it again", func() bool { return source(c, owner).Problem == "" && len(w.topic(formID)) == 1 })
		w.expectIDs(formID, "meanwhile")
		if o, _ := access(c, owner); o.Problem != "" || o.Todo != "" || w.logs.FilterMessage("organization can be read again").Len() != 1 {
			t.Errorf("organization = %+v", o)
		}
	}
}

// Another member consents, who has the role that the first one lost: that shows at
// once, not with the next discovery, and so does a page that the first one had not.
func TestANewConsentHasTheRolesReadAtOnce(t *testing.T) {
	w := newWorld(t)
	g := &guarded{fakeLinkedIn: w.linkedin}
	w.opts.LinkedIn, w.opts.Interval, w.opts.Discovery = g, 20*time.Millisecond, time.Hour
	w.linkedin.member(with(owner, "CONTENT_ADMINISTRATOR"))
	c := w.working()
	w.waitUntil("discovering", func() bool { return len(c.Status().Forms) == 1 && !source(c, owner).Success.IsZero() })
	w.linkedin.member(with(owner, "CONTENT_ADMINISTRATOR"), with(neighbour, "ADMINISTRATOR"))
	before := g.listed.Load()
	c.Resume() // as the heartbeat does after the consent
	w.waitUntil("showing the other page", func() bool { n, found := access(c, neighbour); return found && n.Problem == "" })
	if n := g.listed.Load() - before; n > 2 {
		t.Errorf("the roles were read %d times for one consent", n)
	}

	w.linkedin.member(with(neighbour, "ADMINISTRATOR"))
	w.waitUntil("telling of the lost role", func() bool { o, _ := access(c, owner); return o.Problem != "" })
	w.linkedin.member(with(owner, "CONTENT_ADMINISTRATOR")) // within accessAgain
	c.Resume()
	w.waitUntil("calling it readable", func() bool { o, _ := access(c, owner); return o.Problem == "" })
}

// A process that stands by must not call readable what cannot be read, although an
// idle connector commits nothing else.
func TestALostRoleIsInTheTopicThoughNothingElseIsCommitted(t *testing.T) {
	w := newWorld(t)
	g := &guarded{fakeLinkedIn: w.linkedin}
	w.opts.LinkedIn, w.opts.Interval, w.opts.Discovery = g, 20*time.Millisecond, time.Hour
	w.linkedin.member(with(owner, "CONTENT_ADMINISTRATOR"))
	c := w.working()
	w.waitUntil("reading it", func() bool { return !source(c, owner).Success.IsZero() })
	told := func() string {
		for _, o := range StatusOf(w.state(), w.store.Prefix).Organizations {
			if o.URN == owner {
				return o.Problem
			}
		}
		return ""
	}
	w.linkedin.member()
	w.waitUntil("recording the lost role", func() bool { return told() != "" })
	w.linkedin.member(with(owner, "CONTENT_ADMINISTRATOR"))
	c.Resume()
	w.waitUntil("recording that it is back", func() bool { return told() == "" })
	if n := w.checkpointRecords()[checkpoint.OrganizationsKey]; n > 4 {
		t.Errorf("the organizations were written %d times", n)
	}
}

// Organizations that nobody lists are missed all the same.
func TestOrganizationsWithoutAnyRoleAreShown(t *testing.T) {
	w := newWorld(t)
	w.opts.Organizations = []string{owner, neighbour}
	e := w.start()
	if got := e.status().Organizations; len(got) != 2 || got[1].URN != neighbour || got[1].Problem == "" || got[1].Todo == "" {
		t.Errorf("organizations = %+v, want the one of the configuration, too", got)
	}
	w.tick(e, time.Minute)
	if err := e.publisher.saveProgress(t.Context()); err != nil {
		t.Fatal(err)
	}

	// The next process knows from the progress which were read before.
	w.opts.Organizations = nil
	w.linkedin.member()
	e = w.start()
	if got := e.status().Organizations; len(got) != 1 || got[0].URN != owner || got[0].Problem == "" {
		t.Errorf("organizations = %+v, want the one that was read before", got)
	}
	e.opts.Organizations = []string{neighbour}
	e.discovery.noteOrganizations([]lead.Organization{with(neighbour, "ADMINISTRATOR")})
	if got := e.status().Organizations; len(got) != 1 || got[0].URN != neighbour || got[0].Problem != "" {
		t.Errorf("organizations = %+v, want only the one that is wanted", got)
	}
}

// Work that waits for a person goes on when the person has acted, not when its
// pause is over.
func TestResumeEndsThePauseOfWhatWaitsForAPerson(t *testing.T) {
	w := newWorld(t)
	w.opts.Interval, w.opts.Discovery = 20*time.Millisecond, time.Hour
	w.linkedin.down = fault.As(fault.Pause, errors.New("consent is needed"))
	c := w.working()
	w.waitUntil("waiting", w.logged("waiting to try again"))
	w.linkedin.mu.Lock()
	w.linkedin.down = nil
	w.linkedin.mu.Unlock()
	w.linkedin.submit("meanwhile", w.now().Add(time.Second))
	resumed := time.Now()
	c.Resume()
	w.waitUntil("read", func() bool {
		forms := c.Status().Forms
		return len(forms) == 1 && forms[0].Leads == 1
	})
	if took := time.Since(resumed); took > 4*time.Second { // the shortest pause is five
		t.Errorf("it took %v to go on", took)
	}
	w.expectIDs(formID, "meanwhile")
}
