package config

import (
	"strconv"
	"strings"

	"leadstream/internal/fault"
)

// Problem is one thing that is wrong with the configuration.
type Problem struct {
	Key string // the key, as in the file: kafka.brokers
	// Where is the place the value came from: leadstream.yaml:12, environment
	// LEADSTREAM_NAME, flag --set, default.
	Where string
	// Value is what was given; empty when there was none, and for secrets and
	// unknown keys, whose value may be one.
	Value string
	// Reason says what is wrong and what would be right, with the bound.
	Reason string
}

// String is one line: key, value, reason and place.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Key)
	if p.Value != "" {
		b.WriteString(" = " + strconv.Quote(p.Value))
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	b.WriteString(p.Reason)
	if p.Where != "" {
		b.WriteString(" (" + p.Where + ")")
	}
	return b.String()
}

// InvalidError lists everything that is wrong with the configuration at
// once. It is never empty.
type InvalidError struct {
	Problems []Problem
}

// Error is a heading and one line per problem.
func (e *InvalidError) Error() string {
	var b strings.Builder
	b.WriteString("the configuration is not valid:")
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// Fault implements the classification read by fault.KindOf.
func (e *InvalidError) Fault() fault.Kind { return fault.Fatal }

// Warning is something that works but is probably not meant.
type Warning struct {
	Key  string // the key or the environment variable it is about
	Text string
}

// String is one line.
func (w Warning) String() string { return shown(w.Key) + ": " + w.Text }

// problems collects what is found on the way.
type problems []Problem

func (p *problems) add(key, value, reason, where string) {
	*p = append(*p, Problem{Key: shown(key), Value: clip(value), Reason: reason, Where: shown(where)})
}

// shown is a text that somebody else wrote, fit for a line of an error.
func shown(text string) string {
	if Printable(text) {
		return text
	}
	return strconv.Quote(text)
}

// clip keeps a value that somebody pasted by mistake from filling the screen.
func clip(value string) string {
	const most = 120
	if r := []rune(value); len(r) > most {
		return string(r[:most]) + "…"
	}
	return value
}
