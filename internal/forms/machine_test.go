package forms

import (
	"os"
	"strings"
	"testing"
)

// stateTable is what each event does in each state; "·" changes none. docs/design.md shows it.
const stateTable = `
| Event | unknown | provisioning | ready | suspended |
| --- | --- | --- | --- | --- |
| its fields are read | provisioning | · | · | · |
| fields, topic or schema change | · | · | provisioning | · |
| topic and schema are made | · | ready | · | · |
| something refuses it | suspended | suspended | suspended | · |
| its back-off ends | · | · | · | provisioning |
`

func TestEveryEventDoesInEveryStateWhatTheTableSays(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(stateTable), "\n")
	cells := func(line string) []string {
		list := strings.Split(strings.Trim(line, "| "), "|")
		for i := range list {
			list[i] = strings.TrimSpace(list[i])
		}
		return list
	}
	states := cells(lines[0])[1:]
	events := map[Event]bool{Read: false, Changed: false, Provisioned: false, Refused: false, Retried: false}
	for _, line := range lines[2:] {
		row := cells(line)
		event := Event(row[0])
		if _, known := events[event]; !known {
			t.Errorf("there is no event %q", event)
		}
		events[event] = true
		for i, want := range row[1:] {
			state := State(states[i])
			got := string(transition(state, event))
			if got == string(state) {
				got = "·"
			}
			if got != want {
				t.Errorf("%q in %s gives %s, want %s", event, state, got, want)
			}
		}
	}
	for event, inTable := range events {
		if !inTable {
			t.Errorf("the table lacks %q", event)
		}
	}
	for state, row := range transitions {
		for event := range row {
			if _, known := events[event]; !known || !strings.Contains(lines[0], string(state)) {
				t.Errorf("the table lacks %q in %s", event, state)
			}
		}
	}
	design, err := os.ReadFile("../../docs/design.md")
	if err != nil || !strings.Contains(string(design), strings.TrimSpace(stateTable)) {
		t.Errorf("docs/design.md does not hold the table: %v", err)
	}
}

func TestOnlyASuspendedFormHasAReason(t *testing.T) {
	for state := range transitions {
		for _, event := range []Event{Read, Changed, Provisioned, Refused, Retried} {
			f := Form{State: state, Why: os.ErrInvalid}
			if f.on(event); (f.Why != nil) != (f.State == Suspended) {
				t.Errorf("%q in %s gives %s with the reason %v", event, state, f.State, f.Why)
			}
		}
	}
}
