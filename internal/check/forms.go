package check

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

const lackForm = "without the form its leads wait; see what LinkedIn's answer says is missing"

// What is found of the lead forms means this.
var (
	formsUnreadable = meaning{"lead forms of %[2]s", Fail, "%[1]v", lackForm}
	formUnreadable  = meaning{"lead form %[2]s", Fail, "%[1]v", lackForm}
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
	tried := make([]formsTried, len(orgs))
	k.each(orgs, func(i int) {
		ctx, cancel := context.WithTimeout(ctx, Timeout)
		defer cancel()
		tried[i] = k.tryFormsOf(ctx, orgs[i].URN)
	})
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
	for _, id := range k.formsNamed(owner, events) {
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

// formsNamed are the forms of an owner that its events name and that the checkpoints
// know, those that wait for leads first.
func (k *checker) formsNamed(owner string, events []lead.Event) []string {
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
	for _, t := range tried {
		if t.problem != nil {
			k.sayError(formsUnreadable, t.problem, t.owner)
		}
		for _, id := range slices.Sorted(maps.Keys(t.refused)) {
			k.sayError(formUnreadable, t.refused[id], id)
		}
	}
}
