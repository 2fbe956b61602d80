package main

import (
	"flag"
	"os"
	"testing"
)

// actAs has this executable be something else than the tests, for a test that wants
// a process of its own: it names one of the acts.
const actAs = "LEADSTREAM_TEST_ACT_AS"

// acts end the process.
var acts = map[string]func(){"program": main}

func TestMain(m *testing.M) {
	if act, ok := acts[os.Getenv(actAs)]; ok {
		if err := os.Unsetenv(actAs); err != nil {
			panic(err)
		}
		act()
	}
	// Most tests wait for a poll and not for a processor. A -parallel on the command
	// line, which is read later, counts.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
