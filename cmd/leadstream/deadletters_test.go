package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"leadstream/connector"
	"leadstream/internal/kafka"
)

func TestARetryThatEndsMidwayShowsWhatItDid(t *testing.T) {
	var out bytes.Buffer
	a := &app{process: process{stdout: &out}, output: "table"}
	away := &kafka.UnreachableError{Op: "committing", Err: errors.New("refused")}
	done := []connector.Outcome{{Key: "a"}, {Key: "b", Problem: "no time"}}
	if err := a.printOutcomes(done, away); !errors.Is(err, away) || exitCode(err) != exitUnreachable {
		t.Errorf("printOutcomes = %v, want that Kafka is away", err)
	}
	for _, want := range []string{"a", "published", "b", "no time"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not shown:\n%s", want, out.String())
		}
	}
	out.Reset()
	if err := a.printOutcomes(nil, away); !errors.Is(err, away) || out.Len() > 0 {
		t.Errorf("printOutcomes of nothing = %v, and shows %q", err, out.String())
	}
	if err := a.printOutcomes(done, nil); exitCode(err) != exitDifferences {
		t.Errorf("printOutcomes = %v, want the exit code of differences", err)
	}
}
