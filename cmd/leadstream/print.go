package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"
)

// addOutput gives a command that lists something the flag -o.
func (a *app) addOutput(cmd *cobra.Command) {
	a.output = "table"
	cmd.Flags().VarP(&outputFormat{&a.output}, "output", "o", "`FORMAT` of the result: table or json")
	complete := cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp)
	// Fails only for a flag that is not there, and it was added just now.
	_ = cmd.RegisterFlagCompletionFunc("output", complete)
}

// outputFormat is the value of -o: table or json.
type outputFormat struct{ text *string }

func (o *outputFormat) String() string {
	if o.text == nil {
		return ""
	}
	return *o.text
}

func (o *outputFormat) Type() string { return "string" }

func (o *outputFormat) Set(text string) error {
	if text != "table" && text != "json" {
		return fmt.Errorf("must be table or json, not %q", text)
	}
	*o.text = text
	return nil
}

// column is one column of a table: its heading and what it shows of a row.
type column[T any] struct {
	title string
	cell  func(T) string
}

// printList writes rows to standard output, as -o says: as a JSON array of
// the rows, or as a table with the columns. It is the one way in which
// commands list things.
func printList[T any](a *app, rows []T, columns ...column[T]) error {
	if a.output == "json" {
		if rows == nil {
			rows = []T{} // [] and not null
		}
		return printJSON(a.stdout, rows)
	}
	table := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
	line := make([]string, len(columns))
	for i, c := range columns {
		line[i] = strings.ToUpper(c.title)
	}
	fmt.Fprintln(table, strings.Join(line, "\t"))
	for _, row := range rows {
		for i, c := range columns {
			line[i] = printable(c.cell(row))
		}
		fmt.Fprintln(table, strings.Join(line, "\t"))
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	return nil
}

// printJSON writes one value, indented, with a line break at its end.
func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// printable keeps text that others wrote, such as names of forms, from
// breaking the table or commanding the terminal.
func printable(text string) string {
	if text == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsGraphic(r):
			return '\uFFFD'
		}
		return r
	}, text)
}
