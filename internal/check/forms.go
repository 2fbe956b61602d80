package check

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// triedForms are as many forms of an organization as are read one by one.
const triedForms = 20

// formsTried is what came of reading an organization's forms.
type formsTried struct {
	owner   string
	read    int              // forms, in the list or one by one
	problem error            // of the list
	refused map[string]error // by form
}

// tryForms reads the forms of each organization as the connector does: the list,
// and by their ids one of it and those that the list leaves out although an event
// or the checkpoints name them. A form that LinkedIn does not show any more is no
// problem; its leads go out with the fixed columns.
func (k *checker) tryForms(ctx context.Context, orgs []lead.Organization) []formsTried {
	tried := make([]formsTried, min(len(orgs), triedOrganizations))
	group := new(errgroup.Group)
	group.SetLimit(k.Config.Poll.Concurrency)
	for i := range tried {
		if orgs[i].Problem != "" {
			continue
		}
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, Timeout)
			defer cancel()
			tried[i] = k.tryFormsOf(ctx, orgs[i].URN)
			return nil
		})
	}
	_ = group.Wait() // each problem is its organization's own
	return tried
}

func (k *checker) tryFormsOf(ctx context.Context, owner string) formsTried {
	t := formsTried{owner: owner, refused: map[string]error{}}
	listed, err := k.LinkedIn.Forms(ctx, owner)
	if err != nil {
		t.problem = fmt.Errorf("its lead forms cannot be read: %w", err)
		return t
	}
	events, err := k.LinkedIn.Events(ctx, owner)
	if err != nil {
		t.problem = fmt.Errorf("its events cannot be read: %w", err)
		return t
	}
	known := map[string]bool{}
	for _, f := range listed {
		known[f.ID] = true
	}
	t.read = len(known)
	var single []string
	if len(listed) > 0 {
		single = append(single, listed[0].ID)
	}
	for _, id := range k.named(owner, events) {
		if !known[id] {
			single = append(single, id)
		}
	}
	for _, id := range single[:min(len(single), triedForms)] {
		_, err := k.LinkedIn.Form(ctx, id)
		switch {
		case err == nil && !known[id]:
			t.read++
		case err != nil && fault.RefusalOf(err) != fault.Gone:
			t.refused[id] = err
		}
	}
	return t
}

// named are the forms of an owner that its events name and that the checkpoints
// know, those that wait for leads first.
func (k *checker) named(owner string, events []lead.Event) []string {
	var ids []string
	add := func(id string) {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for id := range k.state.Deferred {
		if id.Source.Owner == owner {
			add(id.Form)
		}
	}
	for _, e := range events {
		add(e.Form.ID)
	}
	for id, f := range k.state.Forms {
		if f.Owner == owner {
			add(id)
		}
	}
	return ids
}

// formFindings says which forms cannot be read. That of those that can be is
// said with their organization.
func (k *checker) formFindings(tried []formsTried) {
	const todo = "without the form its leads wait; see what LinkedIn's answer says is missing"
	for _, t := range tried {
		if t.problem != nil {
			k.fail("lead forms of "+t.owner, cmp.Or(fault.TodoOf(t.problem), todo), t.problem)
		}
		for _, id := range slices.Sorted(maps.Keys(t.refused)) {
			k.fail("lead form "+id, cmp.Or(fault.TodoOf(t.refused[id]), todo), t.refused[id])
		}
	}
}
