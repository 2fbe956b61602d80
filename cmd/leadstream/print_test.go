package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/table"
)

type animal struct {
	Name string `json:"name"`
	Legs string `json:"legs"`
}

func animalCells(r animal) []string { return []string{r.Name, r.Legs} }

func printAnimals(format string, rows []animal) (string, error) {
	var out bytes.Buffer
	err := printList(&app{process: process{stdout: &out}, output: format}, rows, []string{"NAME", "LEGS"}, animalCells)
	return out.String(), err
}

func TestListsAreTablesOrJSON(t *testing.T) {
	rows := []animal{{"cat", "4"}, {"<snake>", ""}}
	tests := []struct {
		name, format string
		rows         []animal
		want         string
	}{
		{"table", "table", rows, "NAME     LEGS\ncat      4\n<snake>  -\n"},
		{"json", "json", rows, "[\n  {\n    \"name\": \"cat\",\n    \"legs\": \"4\"\n  },\n  {\n    \"name\": \"<snake>\",\n    \"legs\": \"\"\n  }\n]\n"},
		{"empty table", "table", nil, "NAME  LEGS\n"},
		{"empty json", "json", nil, "[]\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := printAnimals(test.format, test.rows)
			if err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestForeignTextCannotBreakTheTableNorCommandTheTerminal(t *testing.T) {
	for text, want := range map[string]string{
		"plain":              "plain",
		"two\nlines\tand":    "two lines and",
		"\x1b[31mred":        "\uFFFD[31mred",
		"\u202Eright":        "\uFFFDright",
		"Ärger 日本 🎉 e\u0301": "Ärger 日本 🎉 e\u0301",
		"":                   "-",
	} {
		if got := printable(text); got != want {
			t.Errorf("printable(%q) = %q, want %q", text, got, want)
		}
	}
}

var errFull = errors.New("the disk is full")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestAResultThatCannotBeWrittenIsAnError(t *testing.T) {
	for _, format := range []string{"table", "json"} {
		a := &app{process: process{stdout: fullDisk{}}, output: format}
		err := printList(a, []animal{{"cat", "4"}}, []string{"NAME", "LEGS"}, animalCells)
		if !errors.Is(err, errFull) {
			t.Errorf("%s: error = %v, want %v", format, err, errFull)
		}
	}
}

func TestATableFitsItsTerminalAndLosesNoWord(t *testing.T) {
	const todo = "let broker 2 advertise an address that can be reached from here, or open the way to it"
	lines := []table.Row{{"RESULT", "CHECK", "FINDING", "WHAT TO DO"}, {"FAIL", "kafka brokers", "broker 2 advertises kafka-2.internal:9092, which cannot be reached", todo}}
	wide, narrow := aligned(lines, 0), aligned(lines, 80)
	if got := strings.Count(wide, "\n"); got != 1 {
		t.Errorf("where there is room it takes %d lines:\n%s", got+1, wide)
	}
	for line := range strings.Lines(narrow) {
		if len(strings.TrimRight(line, "\n")) > 80 {
			t.Errorf("wider than the terminal: %q", line)
		}
	}
	for _, word := range strings.Fields(todo) {
		if !strings.Contains(narrow, word) {
			t.Errorf("%q is lost:\n%s", word, narrow)
		}
	}
}
