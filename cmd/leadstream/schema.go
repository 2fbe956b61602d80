package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"leadstream/internal/fault"
	"leadstream/internal/linkedin"
	"leadstream/schema"
)

// newSchema is "leadstream schema".
func newSchema(a *app) *cobra.Command {
	show := &cobra.Command{
		Use:   "show FORM",
		Short: "Print the Avro schema of a form",
		Long: `Prints the schema that the form's leads are encoded with: the registered one, or,
for a form without leads, the one that its first lead will register.`,
		Args: exactly("FORM"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.showSchema(cmd.Context(), args[0]) },
	}
	diff := &cobra.Command{
		Use:   "diff FORM",
		Short: "Show what the form's current version on LinkedIn changes in its schema",
		Long: `Compares the schema in use with the one that the form's current version on
LinkedIn leads to: what is new in it, what says something else there, and what
is not asked for any more. Ends with 0 when nothing is, else with 6.`,
		Args: exactly("FORM"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.diffSchema(cmd.Context(), args[0]) },
	}
	a.addOutput(diff)
	return newGroup("schema", "The Avro schema of a form, and what a change on LinkedIn will do to it", show, diff)
}

// schemas is the form's fields as the installation knows them, nil when it does
// not, and as they are with LinkedIn's current version.
func (a *app) schemas(ctx context.Context, id string) (known, current *schema.Fields, err error) {
	if !isForm(id) {
		return nil, nil, usageErrorf("%q is no form: a form is named by its number, see leadstream forms", id)
	}
	s, err := a.system(useTokens)
	if err != nil {
		return nil, nil, err
	}
	defer s.close()
	state, err := s.state(ctx)
	if err != nil {
		return nil, nil, err
	}
	if saved, ok := state.Forms[id]; ok {
		known = new(schema.Fields)
		if err := saved.ReadFields(id, known); err != nil {
			return nil, nil, err
		}
		current = known.Clone()
	} else {
		current = schema.New(id, schema.Choice(s.config.Schema.MultipleChoice))
	}
	form, err := s.linkedin.Form(ctx, id)
	switch {
	case err == nil:
		current.Add(form)
	case known == nil && unknownForm(err):
		return nil, nil, usageErrorf("LinkedIn shows no form %s, and nothing was published of one; leadstream forms lists those there are: %w", id, err)
	case known == nil || fault.RefusalOf(err) != fault.Gone:
		return nil, nil, err // it names the form
	}
	return known, current, nil
}

// unknownForm reports whether LinkedIn says that there is no such form, or none
// any more.
func unknownForm(err error) bool {
	refused, ok := errors.AsType[*linkedin.APIError](err)
	return ok && (refused.Status == http.StatusNotFound || refused.Status == http.StatusGone)
}

func (a *app) showSchema(ctx context.Context, id string) error {
	known, current, err := a.schemas(ctx, id)
	if err != nil {
		return err
	}
	if known == nil {
		known = current
	}
	var text bytes.Buffer
	if err := json.Indent(&text, []byte(known.Schema()), "", "  "); err != nil {
		return fmt.Errorf("printing the schema: %w", err)
	}
	_, err = fmt.Fprintln(a.stdout, text.String())
	return err
}

func (a *app) diffSchema(ctx context.Context, id string) error {
	known, current, err := a.schemas(ctx, id)
	if err != nil {
		return err
	}
	changes := schema.Diff(known, current)
	err = printList(a, changes, []string{"COLUMN", "CHANGE"}, func(c schema.Change) []string {
		return []string{c.Column, c.Change}
	})
	if err == nil && (len(changes) > 0 || known.Schema() != current.Schema()) {
		return exitWith(exitDifferences, nil)
	}
	return err
}
