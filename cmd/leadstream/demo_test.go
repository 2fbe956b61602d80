package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestDemoEndsWithASummaryThatEqualsTheLedger(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), process{args: []string{"demo", "--for", "2s", "--rate", "1200", "--leads", "150"}, environ: os.Environ(),
		stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr})
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	var made, published, lost, repeated int
	if _, err := fmt.Sscanf(lines[len(lines)-1], "made %d published %d lost %d repeated %d", &made, &published, &lost, &repeated); err != nil {
		t.Fatalf("the last line is no summary (%v):\n%s\n%s", err, lines[len(lines)-1], stderr.String())
	}
	if code != 0 || made < 150 || published != made || lost != 0 || repeated != 0 {
		t.Errorf("exit code %d, made %d published %d lost %d repeated %d\n%s", code, made, published, lost, repeated, stderr.String())
	}
	if printed := len(lines) - 2; printed != made { // an empty line and the summary
		t.Errorf("%d leads printed, want %d", printed, made)
	}
}
