//go:build integration

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// noAccess waits until page, probe and log say that an organization cannot be
// read, why, and where the role comes from.
func (c *connector) noAccess(within time.Duration, owner, problem string) {
	c.t.Helper()
	eventually(c.t, within, func() error {
		s, err := c.status()
		if err != nil {
			return err
		}
		found := false
		for _, o := range s.Organizations {
			if o.URN == owner {
				found = o.Access == "failing" && strings.Contains(o.Problem, problem) &&
					strings.Contains(o.Todo, "ADMINISTRATOR or CONTENT_ADMINISTRATOR") && strings.Contains(o.Todo, "Manage admins")
			} else if o.Access != "ok" {
				return fmt.Errorf("%s is shown as %s: %s", o.URN, o.Access, o.Problem)
			}
		}
		if !found {
			return fmt.Errorf("/api/status says of %s: %+v", owner, s.Organizations)
		}
		page, err := c.page()
		if err != nil || !strings.Contains(page, "No access") || !strings.Contains(page, problem) || !strings.Contains(page, "Manage admins") {
			return fmt.Errorf("the page does not say %q (%v): %.900s", problem, err, page)
		}
		r, err := c.ready()
		reason, todo, ok := r.degraded("role")
		if err != nil || !ok || r.status != http.StatusServiceUnavailable || !strings.Contains(reason, problem) || !strings.Contains(todo, "Manage admins") {
			return fmt.Errorf("/readyz?strict=1 = %d %+v (%v)", r.status, r.Degraded, err)
		}
		return nil
	})
	c.says(time.Second, `"level":"error"`, "organization cannot be read", owner, "Manage admins")
}

// access waits until every organization can be read.
func (c *connector) access(within time.Duration, organizations int) {
	c.t.Helper()
	eventually(c.t, within, func() error {
		s, err := c.status()
		if err != nil {
			return err
		}
		good := 0
		for _, o := range s.Organizations {
			if o.Access == "ok" && o.Problem == "" {
				good++
			}
		}
		r, err := c.ready()
		if _, _, degraded := r.degraded("role"); err != nil || degraded || good != organizations {
			return fmt.Errorf("%d organizations can be read, want %d: %+v, %+v (%v)", good, organizations, s.Organizations, r.Degraded, err)
		}
		return nil
	})
}

// of are the leads that consumers saw of one organization, and that were made.
func (w *world) of(owner string) (saw, made int) {
	w.t.Helper()
	for _, s := range w.linkedin.ledger() {
		if s.Owner == owner {
			made++
			if w.seen.saw(s.identity()) {
				saw++
			}
		}
	}
	return saw, made
}

func (w *world) awaitOf(owner string) {
	w.t.Helper()
	eventually(w.t, 20*time.Second, func() error {
		if saw, made := w.of(owner); saw < made {
			return fmt.Errorf("consumers saw %d of %d leads of %s", saw, made, owner)
		}
		return nil
	})
}

// owners are the organizations of the ledger.
func (l *linkedin) owners() []string {
	l.t.Helper()
	var urns []string
	seen := map[string]bool{}
	for _, s := range l.ledger() {
		if !seen[s.Owner] {
			seen[s.Owner] = true
			urns = append(urns, s.Owner)
		}
	}
	return urns
}

// A role is lost while the connector works, LinkedIn says so in one of its two
// ways, and is given back.
func TestRoleLostAndRegained(t *testing.T) {
	for name, status := range map[string]int{"403": 403, "401": 401} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{simulate: small})
			w.linkedin.post("/sim/switches", object{"roleMissingStatus": status})
			c := w.atWork()
			owners := w.linkedin.owners()
			lost, kept := owners[0], owners[1]
			w.linkedin.goWrong(object{"kind": "lose_role", "owner": lost})
			c.noAccess(20*time.Second, lost, "has no role on this page")
			w.linkedin.submit(object{"count": 12, "owner": lost})
			w.linkedin.submit(object{"count": 8, "owner": kept})
			w.awaitOf(kept)
			if saw, made := w.of(lost); made-saw != 12 {
				t.Errorf("without the role %d of %d leads were read", saw, made)
			}
			c.connected(5 * time.Second) // the token is good, whatever the status
			w.linkedin.goWrong(object{"kind": "grant_role", "owner": lost, "role": "CONTENT_ADMINISTRATOR"})
			c.access(20*time.Second, 2)
			c.says(time.Second, "organization can be read again", lost)
			w.recovered(c)
		})
	}
}

// One organization is there from the start on which the member's role does not
// read leads, and one on which there is none.
func TestOrganizationsWithoutRoleBesideGoodOnes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: []string{"--leads", "60", "--organizations", "3", "--events", "3", "--forms", "3"}})
	owners := w.linkedin.owners()
	w.linkedin.goWrong(object{"kind": "lose_role", "owner": owners[0]})
	w.linkedin.goWrong(object{"kind": "grant_role", "owner": owners[0], "role": "ANALYST"})

	// Nobody has asked for that page: it is shown, and no failure.
	unasked := w.run()
	eventually(t, 30*time.Second, func() error {
		s, err := unasked.status()
		if err != nil {
			return err
		}
		for _, o := range s.Organizations {
			if o.URN == owners[0] && o.Access == "warning" && strings.Contains(o.Problem, "is ANALYST of this page") && o.Todo != "" {
				return nil
			}
		}
		return fmt.Errorf("/api/status says of %s: %+v", owners[0], s.Organizations)
	})
	if r, err := unasked.ready(); err != nil || len(r.Degraded) > 0 {
		t.Errorf("/readyz?strict=1 = %+v (%v), want nothing of a page that nobody asked for", r, err)
	}
	unasked.stop()

	c := w.runWith("wanted", map[string]string{"LEADSTREAM_LINKEDIN_ORGANIZATIONS": strings.Join(owners, ",")})
	c.noAccess(30*time.Second, owners[0], "is ANALYST of this page, which does not read event leads")
	for _, good := range owners[1:] {
		w.awaitOf(good)
	}
	w.linkedin.submit(object{"count": 5, "owner": owners[1]})
	w.awaitOf(owners[1])
	if saw, _ := w.of(owners[0]); saw > 0 {
		t.Errorf("%d leads of an organization without a role were read", saw)
	}
	w.linkedin.goWrong(object{"kind": "grant_role", "owner": owners[0]})
	c.access(20*time.Second, 3)
	w.recovered(c)
}
