package main

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"leadstream/connector"
)

// asked are the replay and the warning of these flags at that time.
func asked(t *testing.T, now time.Time, args ...string) (*connector.ReplayOptions, string, error) {
	t.Helper()
	var f replayFlags
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	f.add(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f.options(now)
}

func TestAReplayOfAllThatLinkedInKeepsIsWhatWasAskedFor(t *testing.T) {
	for range 1000 {
		now := time.Date(2026, 11, 23, 12, 0, 0, rand.IntN(1e9), time.UTC)
		for _, age := range []string{"365d", "8760h", "364d", "1ms"} {
			if o, warning, err := asked(t, now, "--replay-from", age); err != nil || warning != "" || !o.From.Before(o.To) {
				t.Fatalf("--replay-from %s at %v: %+v, warning %q, %v; want no warning", age, now, o, warning, err)
			}
		}
	}
}

// A warning that gives two times gives two that the reader can tell apart.
func TestAReplayThatBeginsLaterThanAskedForSaysByHowMuch(t *testing.T) {
	times := regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:.]+Z`)
	now := time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.UTC)
	for _, from := range []string{"366d", "8760h1ms", "2025-11-23", "2025-11-23T12:00:00.122Z"} {
		o, warning, err := asked(t, now, "--replay-from", from)
		said := times.FindAllString(warning, -1)
		if err != nil || len(said) != 2 || said[0] == said[1] || said[0] != o.From.Format("2006-01-02T15:04:05.000Z") {
			t.Errorf("--replay-from %s: warning %q, %v; want where it begins, and where not", from, warning, err)
		}
	}
}

func TestAReplayOfTheFutureSaysHowFarAheadItIs(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for flag, want := range map[string]string{"2026-11-23T12:00:00.300Z": "300ms after now", "2026-11-23T12:00:00.0004Z": "", "2026-11-23T14:00:00Z": "2h0m0s after now"} {
		_, _, err := asked(t, now, "--replay-from", "1h", "--replay-to", flag)
		if want == "" {
			if err != nil {
				t.Errorf("--replay-to %s: %v; a part of a millisecond is none", flag, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--replay-to %s: %v, want %q", flag, err, want)
		}
	}
}
