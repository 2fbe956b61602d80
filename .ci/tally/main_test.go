package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	passed   = `{"Action":"run","Package":"p","Test":"A"}` + "\n" + `{"Action":"pass","Package":"p","Test":"A"}` + "\n"
	skipped  = `{"Action":"run","Package":"p","Test":"B"}` + "\n" + `{"Action":"skip","Package":"p","Test":"B"}` + "\n"
	failed   = `{"Action":"run","Package":"p","Test":"C"}` + "\n" + `{"Action":"fail","Package":"p","Test":"C"}` + "\n"
	cut      = `{"Action":"run","Package":"p","Test":"D"}` + "\n"
	wholeOK  = `{"Action":"pass","Package":"p","Elapsed":1}` + "\n"
	wholeBad = `{"Action":"fail","Package":"p","Elapsed":1}` + "\n"
	unbuilt  = `{"ImportPath":"p","Action":"build-output","Output":"syntax error\n"}` + "\n" + `{"ImportPath":"p","Action":"build-fail"}` + "\n"
	noTests  = `{"Action":"skip","Package":"q","Elapsed":0}` + "\n"
)

// TestNothingButPassedTestsIsSuccess: what failed, was skipped, was cut off,
// could not be built or was not there at all is told from success.
func TestNothingButPassedTestsIsSuccess(t *testing.T) {
	for _, test := range []struct {
		name, in, totals string
		good             bool
	}{
		{"passed", passed + wholeOK, "1 0 0", true},
		{"passed beside a package without tests", passed + wholeOK + noTests, "1 0 0", true},
		{"failed", passed + failed + wholeBad, "1 1 0", false},
		{"skipped", passed + skipped + wholeOK, "1 0 1", false},
		{"cut off by a panic", passed + cut + wholeBad, "1 1 0", false},
		{"failed outside of its tests", passed + wholeBad, "1 1 0", false},
		{"not built", unbuilt + wholeBad, "0 1 0", false},
		{"no test", noTests, "0 1 0", false},
		{"nothing", "", "0 1 0", false},
		{"a word from the go command", "go: no packages\n", "0 1 0", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			totals := filepath.Join(t.TempDir(), "totals")
			c := &tally{out: io.Discard, packages: map[string]*pkg{}}
			if err := c.read(strings.NewReader(test.in)); err != nil {
				t.Fatal(err)
			}
			err := c.end(totals)
			text, readErr := os.ReadFile(totals)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if got := strings.TrimSpace(string(text)); got != test.totals || (err == nil) != test.good {
				t.Errorf("totals %q, error %v; want %q, good %v", got, err, test.totals, test.good)
			}
		})
	}
}
