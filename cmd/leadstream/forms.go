package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"leadstream/internal/checkpoint"
	"leadstream/internal/fault"
	"leadstream/internal/lead"
	"leadstream/schema"
)

// formRow is one form with where its leads go.
type formRow struct {
	Organization string    `json:"organization"`
	Owner        string    `json:"owner"`
	Events       []string  `json:"events"`
	Form         string    `json:"form"`
	Name         string    `json:"name"`
	Topic        string    `json:"topic"`
	SchemaID     int       `json:"schema_id,omitempty"`
	Version      int       `json:"schema_version,omitempty"`
	Fields       int       `json:"fields"`
	Leads        int64     `json:"leads"`
	LastLead     time.Time `json:"last_lead,omitzero"`
	State        string    `json:"state"`
	Reason       string    `json:"reason,omitempty"` // for its state, where a person may want to act
}

// The states of a form that the command knows, in its help's order.
const (
	stateActive  = "active"
	stateNew     = "new"
	stateWaiting = "deferred"
	stateUnread  = "unread"
	stateGone    = "gone"
)

// newForms is "leadstream forms".
func newForms(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "forms",
		Short: "Organizations, their events and lead forms, and where the leads go",
		Long: `Lists the lead forms of all organizations that the member administers, with
their events, topic, schema and the number of leads published. State is active,
new (nothing published yet), deferred (suspended: its leads are waiting), unread
(it or its organization cannot be read now) or gone (LinkedIn does not list it any
more). Where something could not be asked, the list is printed with what is
known, and the command ends with an error.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.system(useTokens)
			if err != nil {
				return err
			}
			defer s.close()
			list, err := s.listForms(cmd.Context())
			if err != nil {
				return err
			}
			return errors.Join(a.printForms(list.sorted()), errors.Join(list.missed...))
		},
	}
	a.addOutput(cmd)
	return cmd
}

func (a *app) printForms(rows []formRow) error {
	return printList(a, rows, []string{"ORGANIZATION", "FORM", "NAME", "EVENTS", "TOPIC", "SCHEMA", "FIELDS", "LEADS", "STATE", "REASON"}, func(r formRow) []string {
		return []string{r.Organization, r.Form, r.Name, strconv.Itoa(len(r.Events)), r.Topic, schemaCell(r), unlessZero(r.Fields), strconv.FormatInt(r.Leads, 10), r.State, r.Reason}
	})
}

// schemaCell is the id of the form's schema and its version, as far as they are
// known.
func schemaCell(r formRow) string {
	if r.SchemaID == 0 || r.Version == 0 {
		return unlessZero(r.SchemaID)
	}
	return fmt.Sprintf("%d (v%d)", r.SchemaID, r.Version)
}

func unlessZero(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// formList joins what LinkedIn lists with what the checkpoints and the registry
// know.
type formList struct {
	*system
	state checkpoint.State
	rows  map[string]*formRow // by form
	names map[string]string   // of organizations
	// unread says of each organization that was not read why.
	unread map[string]string
	missed []error // what could not be asked; the list lacks it
}

// listForms makes the list. What cannot be asked, all organizations, one of them, a form or
// the registry, takes nothing away from the rest.
func (s *system) listForms(ctx context.Context) (*formList, error) {
	state, err := s.state(ctx)
	if err != nil {
		return nil, err
	}
	l := &formList{system: s, state: state, rows: map[string]*formRow{}, names: map[string]string{}, unread: map[string]string{}}
	orgs, err := s.linkedin.Organizations(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		l.missed = append(l.missed, err)
		for _, org := range state.Organizations.Known {
			l.names[org.URN], l.unread[org.URN] = org.Name, err.Error()
		}
	}
	for _, org := range orgs {
		l.names[org.URN] = org.Name
		if org.Problem != "" {
			l.unread[org.URN] = org.Problem + "; " + org.Todo
			continue
		}
		if err := l.organization(ctx, org); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			l.unread[org.URN] = err.Error()
			l.missed = append(l.missed, err)
		}
	}
	l.remembered()
	return l, l.complete(ctx)
}

// organization adds the forms and events of one.
func (l *formList) organization(ctx context.Context, org lead.Organization) error {
	forms, err := l.linkedin.Forms(ctx, org.URN)
	if err != nil {
		return fmt.Errorf("reading the forms of %s: %w", org.URN, err)
	}
	for _, f := range forms {
		l.rows[f.ID] = &formRow{Organization: org.Name, Owner: org.URN, Form: f.ID, Name: f.Name, State: stateNew, Events: []string{}}
	}
	events, err := l.linkedin.Events(ctx, org.URN)
	if err != nil {
		return fmt.Errorf("reading the events of %s: %w", org.URN, err)
	}
	for _, e := range events {
		row := l.rows[e.Form.ID]
		if row == nil {
			if row, err = l.unlisted(ctx, org, e.Form.ID); err != nil {
				return err
			}
			l.rows[e.Form.ID] = row
		}
		row.Events = append(row.Events, e.Name)
	}
	return nil
}

// unlisted is the form of an event that the list of its organization's forms lacks.
func (l *formList) unlisted(ctx context.Context, org lead.Organization, id string) (*formRow, error) {
	row := &formRow{Organization: org.Name, Owner: org.URN, Form: id, State: stateNew, Events: []string{}}
	form, err := l.linkedin.Form(ctx, id)
	switch {
	case err == nil:
		row.Name = form.Name
	case fault.RefusalOf(err) == fault.Gone:
		row.State = stateGone
	case ctx.Err() == nil && fault.KindOf(err) == fault.Suspend:
		row.State, row.Reason = stateUnread, err.Error()
	default:
		return nil, fmt.Errorf("reading form %s of an event: %w", id, err)
	}
	return row, nil
}

// remembered adds the forms that only the checkpoints know, also those of which they
// know no more than that leads wait for them.
func (l *formList) remembered() {
	known := map[string]checkpoint.Form{}
	for id := range l.state.Deferred {
		known[id.Form] = checkpoint.Form{Owner: id.Source.Owner}
	}
	maps.Copy(known, l.state.Forms)
	for id, saved := range known {
		if l.rows[id] != nil {
			continue
		}
		row := &formRow{Organization: l.names[saved.Owner], Owner: saved.Owner, Form: id, Name: saved.Name, State: stateGone, Events: []string{}}
		l.rows[id] = row
		_, listed := l.names[saved.Owner]
		switch why, unread := l.unread[saved.Owner], !listed || l.unread[saved.Owner] != ""; {
		case !unread:
		case why != "":
			row.State, row.Reason = stateUnread, why
		case len(l.config.LinkedIn.Organizations) > 0:
			row.State, row.Reason = stateUnread, "linkedin.organizations does not name its organization"
		default:
			row.State, row.Reason = stateUnread, "the authorising member has no role on its organization's page"
		}
	}
}

// complete fills in what the checkpoints and the registry know of each form.
func (l *formList) complete(ctx context.Context) error {
	waiting := map[string]checkpoint.DeferredWindow{} // the newest of each form
	for id, window := range l.state.Deferred {
		if window.Since.After(waiting[id.Form].Since) {
			waiting[id.Form] = window
		}
	}
	registry := true
	for _, id := range slices.Sorted(maps.Keys(l.rows)) {
		row := l.rows[id]
		row.Topic = l.config.Kafka.TopicPrefix + id
		if window, ok := waiting[id]; ok {
			row.State, row.Reason = stateWaiting, window.Reason
		}
		saved, known := l.state.Forms[id]
		if !known {
			continue
		}
		fields := new(schema.Fields)
		if err := saved.ReadFields(id, fields); err != nil {
			return err
		}
		row.Name = cmp.Or(row.Name, saved.Name)
		row.Fields, row.SchemaID = len(fields.Describe()), saved.SchemaID
		topic := l.state.Topics[id]
		row.Leads, row.LastLead = topic.Leads, topic.LastLead
		if row.State == stateNew && row.Leads > 0 {
			row.State = stateActive
		}
		if !registry || row.SchemaID == 0 {
			continue
		}
		var err error
		if row.Version, err = l.version(ctx, row); err != nil {
			if ctx.Err() != nil {
				return err
			}
			registry = false // it would answer the same for every form
			l.missed = append(l.missed, err)
		}
	}
	return nil
}

// version is that of the form's schema in its subject, 0 when it is not there.
func (l *formList) version(ctx context.Context, row *formRow) (int, error) {
	versions, err := l.registry.Versions(ctx, row.Topic+"-value")
	if err != nil {
		return 0, err
	}
	for _, v := range versions {
		if v.ID == row.SchemaID {
			return v.Version, nil
		}
	}
	return 0, nil
}

// sorted are the rows in order of the forms' ids.
func (l *formList) sorted() []formRow {
	rows := make([]formRow, 0, len(l.rows))
	for _, id := range slices.Sorted(maps.Keys(l.rows)) {
		rows = append(rows, *l.rows[id])
	}
	return rows
}
