package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
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
}

// newForms is "leadstream forms".
func newForms(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "forms",
		Short: "Organizations, their events and lead forms, and where the leads go",
		Long: `Lists the lead forms of all organizations that the member administers, with
their events, topic, schema and the number of leads published. State is active,
new (nothing published yet), owed (suspended: its leads are waiting), or gone
(LinkedIn does not list it any more).`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, log, err := a.load("linkedin.client_id", "linkedin.client_secret", "registry.url")
			if err != nil {
				return err
			}
			s, err := build(c, log)
			if err != nil {
				return err
			}
			defer s.close()
			rows, err := s.forms(cmd.Context())
			if err != nil {
				return err
			}
			return a.printForms(rows)
		},
	}
	a.addOutput(cmd)
	return cmd
}

func (a *app) printForms(rows []formRow) error {
	return printList(a, rows,
		column[formRow]{"organization", func(r formRow) string { return r.Organization }},
		column[formRow]{"form", func(r formRow) string { return r.Form }},
		column[formRow]{"name", func(r formRow) string { return r.Name }},
		column[formRow]{"events", func(r formRow) string { return strconv.Itoa(len(r.Events)) }},
		column[formRow]{"topic", func(r formRow) string { return r.Topic }},
		column[formRow]{"schema", func(r formRow) string { return fmt.Sprintf("%d (v%d)", r.SchemaID, r.Version) }},
		column[formRow]{"fields", func(r formRow) string { return strconv.Itoa(r.Fields) }},
		column[formRow]{"leads", func(r formRow) string { return strconv.FormatInt(r.Leads, 10) }},
		column[formRow]{"state", func(r formRow) string { return r.State }},
	)
}

// forms joins what LinkedIn lists with what the checkpoints know.
func (s *system) forms(ctx context.Context) ([]formRow, error) {
	state, err := delivery.ReadState(ctx, s.cluster, s.config.Name)
	if err != nil {
		return nil, err
	}
	orgs, err := s.linkedin.Organizations(ctx)
	if err != nil {
		return nil, err
	}
	rows := map[string]*formRow{}
	names := map[string]string{}
	for _, org := range orgs {
		names[org.URN] = org.Name
		if org.Problem != "" {
			if !org.Incidental {
				s.log.Warn("organization cannot be read", zap.String("owner", org.URN), zap.String("problem", org.Problem))
			}
			continue
		}
		if err := s.listed(ctx, org, rows); err != nil {
			return nil, err
		}
	}
	for id, saved := range state.Forms {
		if rows[id] == nil {
			rows[id] = &formRow{Organization: names[saved.Owner], Owner: saved.Owner, Form: id, Name: saved.Name, State: "gone"}
		}
	}
	for id, row := range rows {
		if err := s.where(ctx, row, id, state); err != nil {
			return nil, err
		}
	}
	list := make([]formRow, 0, len(rows))
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		list = append(list, *rows[id])
	}
	return list, nil
}

// listed adds the forms and events of one organization.
func (s *system) listed(ctx context.Context, org lead.Organization, rows map[string]*formRow) error {
	forms, err := s.linkedin.Forms(ctx, org.URN)
	if err != nil {
		return fmt.Errorf("reading the forms of %s: %w", org.URN, err)
	}
	for _, f := range forms {
		rows[f.ID] = &formRow{Organization: org.Name, Owner: org.URN, Form: f.ID, Name: f.Name, State: "new", Events: []string{}}
	}
	events, err := s.linkedin.Events(ctx, org.URN)
	if err != nil {
		return fmt.Errorf("reading the events of %s: %w", org.URN, err)
	}
	for _, e := range events {
		row := rows[e.Form.ID]
		if row == nil {
			row = &formRow{Organization: org.Name, Owner: org.URN, Form: e.Form.ID, State: "new"}
			rows[e.Form.ID] = row
		}
		row.Events = append(row.Events, e.Name)
	}
	return nil
}

// where fills in what the checkpoints and the registry know of a form.
func (s *system) where(ctx context.Context, row *formRow, id string, state delivery.State) error {
	row.Topic = s.config.Kafka.TopicPrefix + id
	saved, known := state.Forms[id]
	if !known {
		return nil
	}
	fields, err := savedFields(id, saved)
	if err != nil {
		return err
	}
	row.Fields, row.SchemaID = len(fields.Describe()), saved.SchemaID
	topic := state.Topics[id]
	row.Leads, row.LastLead = topic.Leads, topic.LastLead
	if row.State == "new" && row.SchemaID != 0 {
		row.State = "active"
	}
	for debt := range state.Debts {
		if debt.Form == id {
			row.State = "owed"
		}
	}
	versions, err := s.registry.Versions(ctx, row.Topic+"-value")
	if err != nil {
		return err
	}
	for _, v := range versions {
		if v.ID == row.SchemaID {
			row.Version = v.Version
		}
	}
	return nil
}

func savedFields(id string, saved checkpoint.Form) (*schema.Fields, error) {
	fields := new(schema.Fields)
	if err := json.Unmarshal(saved.Fields, fields); err != nil {
		return nil, &checkpoint.UnreadableError{Key: checkpoint.FormKey(id), Err: err}
	}
	return fields, nil
}
