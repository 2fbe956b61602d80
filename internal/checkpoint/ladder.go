package checkpoint

import "time"

// Step is one step of the look-back ladder: how far it looks back behind its
// own last run, and how often it runs.
type Step struct {
	Length, Period time.Duration
}

// Ladder is the look-back of a source, shortest step first: each step looks
// four times as far as the one before and runs a quarter as often. A step that
// runs at now reads [last run - Length, now), so an outage leaves no hole, and a
// lead that appears d after its submission is found at most Period later by the
// first step with Length >= d, which is within 4·d. Every run of a step also
// serves the shorter ones.
type Ladder []Step

// NewLadder makes the ladder for a poll interval and a look-back. The longest
// step reaches back exactly as far as lookback: its period is the longest
// 4^k·interval within two thirds of it, so that at least the last third is
// certain to be found whenever the step happens to run.
func NewLadder(interval, lookback time.Duration) Ladder {
	var l Ladder
	period := interval
	for 4*period <= lookback*2/3 {
		l = append(l, Step{Length: period, Period: period})
		period *= 4
	}
	return append(l, Step{Length: max(lookback-period, lookback/3), Period: period})
}
