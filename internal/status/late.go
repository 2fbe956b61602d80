package status

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"leadstream/connector"
	"leadstream/internal/linkedin"
	"leadstream/internal/web"
)

// lateness is why a source is not read as often as it should be.
type lateness struct {
	state  web.State
	part   string // whose fault it is; empty where nobody says so
	reason string
	todo   string
	// public is the reason for everybody who reaches the port.
	public string
}

const notRead = "not read for three intervals"

// whyLate says why a source is late, by the last error of its poll, nil where it had
// none; paced: requests are spread over the day. That LinkedIn allows no more requests for now is no failure: it is asked
// again by itself.
func whyLate(err error, paced bool) lateness {
	text, todo := "", ""
	if err != nil {
		text, todo = connector.Told(err)
	}
	budget, limited := errors.AsType[*linkedin.BudgetError](err)
	refused, answered := errors.AsType[*linkedin.APIError](err)
	switch {
	case limited:
		l := lateness{state: web.Waiting, part: connector.PartLinkedIn, todo: todo, public: "LinkedIn allows no more requests for now; it goes on by itself at " + clock(budget.Until)}
		if budget.Own > 0 {
			l.public = "the requests that linkedin.daily_budget allows are used up for now; it goes on by itself at " + clock(budget.Until)
		}
		l.reason = l.public
		return l
	case answered && refused.Status == http.StatusTooManyRequests:
		const soon = "LinkedIn allows no more requests for the moment; it goes on by itself after a pause"
		return lateness{state: web.Waiting, part: connector.PartLinkedIn, reason: soon, todo: "nothing: it is asked again by itself", public: soon}
	case err == nil && paced:
		const spread = "LinkedIn allows fewer requests than `poll.interval` asks for, so they are spread over the day"
		return lateness{state: web.Waiting, part: connector.PartLinkedIn, reason: spread, public: strings.ReplaceAll(spread, "`", ""),
			todo: "nothing, unless leads come too late: see under Requests today"}
	case err == nil:
		return lateness{state: web.Warning, reason: notRead, public: notRead,
			todo: "see whether the process has enough CPU and memory, and what its log says"}
	}
	return lateness{state: web.Warning, part: connector.PartOf(err), reason: notRead + ": " + text, todo: todo, public: notRead}
}

// paced reports whether requests are spread over the day.
func (v *Viewer) paced() bool { return v.LinkedIn != nil && v.LinkedIn.Budget().Paced }

// clock is a time of the day, for people.
func clock(t time.Time) string { return t.UTC().Format("15:04 UTC on 2 January") }

// late reports whether a source was not read for three intervals. A process that
// stands by reads none.
func (v *Viewer) late(st connector.Status, src connector.SourceStatus) bool {
	last := src.Success
	if st.Since.After(last) {
		last = st.Since
	}
	return st.Active && time.Since(last) > v.lateAfter()
}

// clocksApart is how far LinkedIn's clock may be behind this machine's before leads count as late.
const clocksApart = time.Minute

// held reports whether a source is read, and only up to a time that is long over by this
// machine's clock.
func (v *Viewer) held(st connector.Status, src connector.SourceStatus) bool {
	at := src.Live
	if st.Since.After(at) {
		at = st.Since
	}
	return st.Active && !src.Live.IsZero() && time.Since(at) > v.lateAfter()+clocksApart
}

// behindClock is why a source is late that is read.
var behindClock = lateness{state: web.Warning, part: connector.PartClock,
	reason: "LinkedIn's clock, as its answers tell it, is behind this machine's: what was submitted since is not asked for yet",
	public: "LinkedIn's clock is behind this machine's, so that leads come late",
	todo:   "have this machine keep its clock by NTP, and see that nothing on the way to LinkedIn changes the Date of its answers",
}

// lateAfter is how long after it was read a source is late.
func (v *Viewer) lateAfter() time.Duration { return 3 * v.Config.Poll.Interval }
