package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"golang.org/x/term"
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

// printList writes rows to standard output, as -o says: as a JSON array of
// the rows, or as a table of their cells under the headings. It is the one way in
// which commands list things.
func printList[T any](a *app, rows []T, headings []string, cells func(T) []string) error {
	if a.output == "json" {
		if rows == nil {
			rows = []T{} // [] and not null
		}
		return printJSON(a.stdout, rows)
	}
	lines := []table.Row{line(headings)}
	for _, row := range rows {
		lines = append(lines, line(cells(row)))
	}
	if _, err := fmt.Fprintln(a.stdout, aligned(lines, terminalWidth(a.stdout))); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	return nil
}

func line(cells []string) table.Row {
	var row table.Row
	for _, cell := range cells {
		row = append(row, printable(cell))
	}
	return row
}

// leastColumn is the width that no column is wrapped below.
const leastColumn = 20

// aligned are lines in columns, wrapped where they would be wider than width; 0 is
// any width.
func aligned(lines []table.Row, width int) string {
	t := table.NewWriter()
	t.SetStyle(table.Style{Box: table.BoxStyle{PaddingRight: "  "}})
	t.SuppressTrailingSpaces()
	t.AppendRows(lines)
	if width > 0 {
		t.SetColumnConfigs(fit(lines, width))
	}
	return t.Render()
}

// fit takes from the widest columns until all together have no more than width.
func fit(lines []table.Row, width int) []table.ColumnConfig {
	columns := make([]table.ColumnConfig, len(lines[0]))
	all := 2 * (len(columns) - 1) // between them
	for i := range columns {
		columns[i] = table.ColumnConfig{Number: i + 1, WidthMax: 1, WidthMaxEnforcer: text.WrapSoft}
		for _, line := range lines {
			columns[i].WidthMax = max(columns[i].WidthMax, text.StringWidthWithoutEscSequences(fmt.Sprint(line[i])))
		}
		all += columns[i].WidthMax
	}
	for ; all > width; all-- {
		widest := 0
		for i, c := range columns {
			if c.WidthMax > columns[widest].WidthMax {
				widest = i
			}
		}
		if columns[widest].WidthMax <= leastColumn {
			break
		}
		columns[widest].WidthMax--
	}
	return columns
}

// terminalWidth is how wide the terminal is that w is; 0 where it is none.
func terminalWidth(w io.Writer) int {
	if r, ok := w.(*results); ok {
		w = r.w
	}
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil { // no terminal
		return 0
	}
	return width
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
