package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"leadstream/config"
	"leadstream/connector"
	"leadstream/internal/checkpoint"
	"leadstream/internal/lead"
)

// replayFlags are the flags of run that ask for a replay.
type replayFlags struct {
	from, to, mode, id string

	flags *pflag.FlagSet
}

func (f *replayFlags) add(flags *pflag.FlagSet) {
	f.flags = flags
	flags.StringVar(&f.from, "replay-from", "", "replay the leads submitted since `TIME`: RFC 3339, a date, or an age such as 36h or 7d")
	flags.StringVar(&f.to, "replay-to", "", "end of the replay, exclusive, as a `TIME`; the default is now")
	flags.StringVar(&f.mode, "replay-mode", "missing", "`MODE` of the replay: missing publishes what the topics do not hold, all publishes everything again, marked")
	flags.StringVar(&f.id, "replay-id", "", "`ID` of the replay, by which it is resumed and found done; the default is made of the flags as written")
}

// longestReplayID is generous for a name that people read.
const longestReplayID = 200

// options are the replay that the flags ask for at now, nil for none. The
// second result is a warning, empty for none.
func (f *replayFlags) options(now time.Time) (*connector.ReplayOptions, string, error) {
	for _, name := range []string{"replay-from", "replay-to", "replay-id"} {
		if flag := f.flags.Lookup(name); flag.Changed && flag.Value.String() == "" {
			return nil, "", usageErrorf("--%s is empty: give it a value, or leave it out", name)
		}
	}
	if len(f.id) > longestReplayID || f.id != strings.TrimSpace(f.id) || !config.Printable(f.id) {
		return nil, "", usageErrorf("--replay-id is %.*q, must be at most %d bytes without line breaks, control characters and blanks around it: it names a record and stands in headers",
			longestReplayID, f.id, longestReplayID)
	}
	if f.from == "" {
		for _, other := range []string{"replay-to", "replay-mode", "replay-id"} {
			if f.flags.Changed(other) {
				return nil, "", usageErrorf("--%s needs --replay-from, which says since when", other)
			}
		}
		return nil, "", nil
	}
	mode := checkpoint.Mode(f.mode)
	if mode != checkpoint.Missing && mode != checkpoint.All {
		return nil, "", usageErrorf("--replay-mode must be missing or all, not %q", f.mode)
	}
	from, err := parseTime(f.from, now)
	if err != nil {
		return nil, "", usageErrorf("--replay-from: %w", err)
	}
	to := now.Truncate(time.Millisecond)
	if f.to != "" {
		if to, err = parseTime(f.to, now); err != nil {
			return nil, "", usageErrorf("--replay-to: %w", err)
		}
	}
	switch {
	case from.After(now):
		return nil, "", usageErrorf("--replay-from %s is in the future: it is %s after now (%s)", f.from, ahead(from.Sub(now)), lead.FormatTime(now))
	case to.After(now):
		return nil, "", usageErrorf("--replay-to %s is in the future: it is %s after now (%s)", f.to, ahead(to.Sub(now)), lead.FormatTime(now))
	case !from.Before(to):
		return nil, "", usageErrorf("the replay's window is empty: --replay-from %s is not before --replay-to %s", lead.FormatTime(from), lead.FormatTime(to))
	}
	var warning string
	// Both in whole milliseconds: 365d is not a part of one too long.
	if oldest := now.Add(-lead.Retained).Truncate(time.Millisecond); from.Before(oldest) {
		warning = fmt.Sprintf("LinkedIn keeps leads for 365 days: the replay begins at %s, not at %s", lead.FormatTime(oldest), lead.FormatTime(from))
		if !to.After(oldest) {
			warning = fmt.Sprintf("LinkedIn keeps leads for 365 days, since %s: nothing is left to read of the replay's window, which ends at %s", lead.FormatTime(oldest), lead.FormatTime(to))
		}
		// A window that lies before it altogether is left to the connector: the
		// flag of a replay that was done long ago may still stand.
		from = oldest
	}
	return &connector.ReplayOptions{ID: f.identity(), From: from, To: to, Mode: mode}, warning, nil
}

// ahead is how far a time lies in the future, to the second where that says
// something.
func ahead(d time.Duration) time.Duration {
	if d < time.Second {
		return max(d.Round(time.Millisecond), time.Millisecond)
	}
	return d.Round(time.Second)
}

// identity is the replay's id: given, or the flags as written, so that the same
// flags name the same replay however often the process starts.
func (f *replayFlags) identity() string {
	if f.id != "" {
		return f.id
	}
	return strings.Join([]string{"from=" + f.from, "to=" + f.to, "mode=" + f.mode}, ",")
}

// parseTime reads a moment: RFC 3339, a date (its beginning in UTC) or an age.
// Moments are whole milliseconds, LinkedIn's unit.
func parseTime(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC().Truncate(time.Millisecond), nil
		}
	}
	age, err := config.ParseDuration(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no time: write RFC 3339 (2026-11-23T08:00:00Z), a date (2026-11-23) or an age (36h, 7d)", text)
	}
	return now.Add(-age).UTC().Truncate(time.Millisecond), nil
}
