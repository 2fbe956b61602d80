package linkedin

// DailyLimit is the daily limit of an endpoint, as LinkedIn has shown it by
// refusing what went beyond: it publishes no figures. It is per application and
// per member and application, so that others who use the app share it.
//
// Source: LinkedIn API guide, Rate Limits.
type DailyLimit struct {
	// Allowed are the requests that LinkedIn had answered when it stopped the
	// endpoint, on Day (UTC, as 2006-01-02).
	Allowed int    `json:"allowed"`
	Day     string `json:"day"`
	// Limit is what the limit is taken for: Allowed, raised since.
	Limit int `json:"limit"`
	// Raised is the day whose end last raised Limit; empty when none has.
	Raised string `json:"raised,omitempty"`
	// Partial: Allowed does not count the whole day, so the limit may be higher.
	Partial bool `json:"partial,omitempty"`
}

const (
	// pacePercent of a limit are used: the rest is for those who use the same app
	// without our knowing, and for what a crash left uncounted.
	pacePercent = 90
	// usedPercent of the pace must have been used for a day to say anything of
	// the limit.
	usedPercent = 90
	// tryPercent is by how much a limit is raised after a day that used its pace
	// up without being refused. LinkedIn does not say when it raises a limit, so
	// that it must be tried. From 90 % of the true one it takes ten days to pass
	// it, and by 1 % then: 15 minutes without answers at the end of one day, in
	// eleven, and only while there is that much to be read.
	tryPercent = 1
	// knownPercent is by how much it is raised once LinkedIn has answered clearly
	// more than it did before, so that its limit is known to be higher.
	knownPercent  = 10
	passedPercent = 105
	// partialPercent of a partial count prove that it was not the limit; a little
	// more may be due to others who made fewer requests that day.
	partialPercent = 120
)

// pace is how many requests a day may have; 0 while no limit is known.
func (d DailyLimit) pace() int {
	if d.Limit <= 0 {
		return 0
	}
	return max(d.Limit*pacePercent/100, 1)
}

// changed is the day of the newest figure.
func (d DailyLimit) changed() string { return max(d.Day, d.Raised) }

// raised is the limit after a day on which LinkedIn answered so many requests,
// about as many as the pace allowed, and refused none. One that comes from a
// partial count is forgotten once it is clearly passed: it was none.
func (d DailyLimit) raised(day string, answered int) DailyLimit {
	if d.Partial && answered > d.Allowed*partialPercent/100 {
		return DailyLimit{}
	}
	percent := tryPercent
	if answered > d.Allowed*passedPercent/100 {
		percent = knownPercent
	}
	d.Limit += max(d.Limit*percent/100, 1)
	d.Raised = day
	return d
}

// learn takes what LinkedIn has answered today for its limit. Less than half
// of what it answered on the day before says that something else was in the
// way: a spell of 429 early in the day must not slow down the weeks after it. A
// limit that was lowered by so much is believed on the second day.
func (g *gate) learn(day string, partial bool) {
	if limit := g.shown(day, partial); limit.Limit > 0 {
		g.limit = limit
	}
}

// shown is the limit that a day has shown, if it was one.
func (g *gate) shown(day string, partial bool) DailyLimit {
	if g.answered == 0 || g.answered*2 < g.before {
		return DailyLimit{}
	}
	return DailyLimit{Allowed: g.answered, Day: day, Limit: g.answered, Partial: partial}
}

// endDay is what a day that is over says of the endpoint's limit. Where it was
// refused up to midnight without a word of the day, its first answer says that it
// was the day's limit, and a further refusal that it was something else. partial:
// the day's counts are.
func (g *gate) endDay(day string, partial bool) {
	pace := g.limit.pace()
	used := pace > 0 && g.answered*100 >= pace*usedPercent
	g.guess = DailyLimit{}
	switch {
	case g.limit.changed() >= day:
	case g.refusals >= throttleRow, g.refusals > 0 && used:
		g.guess = g.shown(day, partial)
	case !used:
	default:
		g.limit = g.limit.raised(day, g.answered)
	}
	g.before = g.answered
}
