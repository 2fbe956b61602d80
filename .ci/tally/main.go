// Command tally reads the output of "go test -json", prints what a person wants
// to see of it, and counts. It fails when a test failed, when one was skipped or
// did not come to its end, when a package could not be built, and when there
// was no test at all: none of that may look like success.
//
//	go test -json ./... | tally -totals FILE [-v]
//
// The counts are appended to FILE as "passed failed skipped".
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is one line of "go test -json" (go doc test2json), builds included.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of builds
	Test        string
	Output      string
	Elapsed     float64 // seconds
	FailedBuild string
}

type tally struct {
	out                     io.Writer
	verbose                 bool
	passed, failed, skipped int
	packages                map[string]*pkg
}

// pkg is a package under test.
type pkg struct {
	tests  int
	broken bool // has failed, skipped or unfinished tests
	output map[string][]string
	open   map[string]bool
}

func main() {
	totals := flag.String("totals", "", "append the counts to this `FILE`")
	verbose := flag.Bool("v", false, "print the output of tests that pass, too")
	flag.Parse()
	t := &tally{out: os.Stdout, verbose: *verbose, packages: map[string]*pkg{}}
	if err := errors.Join(t.read(os.Stdin), t.end(*totals)); err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
}

// read takes in everything there is.
func (t *tally) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				t.print(string(line)) // from the go command itself
			} else {
				t.take(e)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the tests' output: %w", err)
		}
	}
}

func (t *tally) print(text string) { fmt.Fprint(t.out, text) }

func (t *tally) take(e event) {
	switch e.Action {
	case "build-output":
		t.print(e.Output)
		return
	case "build-fail":
		return // the package that needs it fails, too
	}
	p := t.packages[e.Package]
	if p == nil {
		p = &pkg{output: map[string][]string{}, open: map[string]bool{}}
		t.packages[e.Package] = p
	}
	if e.Test == "" {
		t.takePackage(p, e)
		return
	}
	switch e.Action {
	case "run":
		p.open[e.Test] = true
	case "output":
		p.output[e.Test] = append(p.output[e.Test], e.Output)
	case "pass", "fail", "skip":
		t.takeTest(p, e)
	}
}

func (t *tally) takeTest(p *pkg, e event) {
	delete(p.open, e.Test)
	p.tests++
	show := t.verbose
	switch e.Action {
	case "pass":
		t.passed++
	case "fail":
		t.failed++
		show, p.broken = true, true
	case "skip":
		t.skipped++
		show, p.broken = true, true
	}
	if show {
		t.print(strings.Join(p.output[e.Test], ""))
	}
	delete(p.output, e.Test)
}

func (t *tally) takePackage(p *pkg, e event) {
	switch e.Action {
	case "output":
		p.output[""] = append(p.output[""], e.Output)
	case "fail":
		for test := range p.open { // cut off by a panic or a timeout
			t.failed++
			t.print(strings.Join(p.output[test], "") + "--- CUT OFF: " + test + "\n")
			p.broken = true
		}
		t.print(strings.Join(p.output[""], ""))
		if !p.broken { // no test is to blame
			t.failed++
		}
		t.print(fmt.Sprintf("FAIL %s %.1fs\n", e.Package, e.Elapsed))
	case "pass":
		t.print(fmt.Sprintf("ok   %s %.1fs, %d tests\n", e.Package, e.Elapsed, p.tests))
	}
}

// end says how it went.
func (t *tally) end(totals string) error {
	if t.passed+t.failed+t.skipped == 0 {
		t.failed++
		t.print("there was no test\n")
	}
	t.print(fmt.Sprintf("%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped))
	if totals != "" {
		f, err := os.OpenFile(totals, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(f, t.passed, t.failed, t.skipped)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	if t.failed > 0 || t.skipped > 0 {
		return errors.New("not every test passed")
	}
	return nil
}
