package oauth

import (
	"time"

	"go.uber.org/zap"
)

// remindEvery is how often the log repeats that a person must act.
const remindEvery = time.Hour

// warnings are the times before its end at which a consent is warned of.
var warnings = [...]time.Duration{24 * time.Hour, 7 * 24 * time.Hour, soonest}

// reported is what the log was told.
type reported struct {
	problem string    // that a person must fix; empty when there is none
	at      time.Time // when
	// consent is the one that was used last, and warned the shortest of the warnings
	// that was given for it.
	consent time.Time
	warned  time.Duration
}

// report logs what is new: that a person must act, again each hour while that is
// so, that it is over, and that the consent is coming to its end.
func (h *Heartbeat) report() {
	p, now := h.Health(), h.session.now()
	if !p.Known {
		return
	}
	if !p.Usable {
		if p.Problem != h.reported.problem || now.Sub(h.reported.at) >= remindEvery {
			h.reported.problem, h.reported.at = p.Problem, now
			h.log.Error("the connection to LinkedIn needs a person; nothing is lost meanwhile",
				zap.String("problem", p.Problem), todoField(p.Todo), zap.String("page", h.opts.Page))
		}
		return
	}
	over, another := h.reported.problem != "", !p.AuthorizedAt.Equal(h.reported.consent)
	if over {
		h.log.Info("the connection to LinkedIn works again")
	}
	if h.opts.Regained != nil && (over || another) {
		h.opts.Regained()
	}
	h.reported.problem = ""
	if another {
		h.reported.consent, h.reported.warned = p.AuthorizedAt, 0
	}
	h.warn(p, now)
}

// todoField is what to do, where that is known.
func todoField(todo string) zap.Field {
	if todo == "" {
		return zap.Skip()
	}
	return zap.String("todo", todo)
}

// warn says once at each of the warnings that the consent ends.
func (h *Heartbeat) warn(p Health, now time.Time) {
	end, left := p.consentEnds(now)
	if end.IsZero() || left <= 0 {
		return
	}
	for _, within := range warnings {
		if left > within {
			continue
		}
		if h.reported.warned != 0 && h.reported.warned <= within {
			return
		}
		h.reported.warned = within
		level := zap.WarnLevel
		if within == warnings[0] {
			level = zap.ErrorLevel
		}
		h.log.Log(level, "the LinkedIn consent comes to its end; nothing stops for a new one",
			zap.Time("ends", end), zap.Int("days_left", int(left/(24*time.Hour))), zap.String("page", h.opts.Page),
			todoField("press Reconnect LinkedIn on the status page, or run `leadstream auth login`"))
		return
	}
}

// reportAnswer says once that LinkedIn could not be asked about the token, which
// unchecked says, and once that it can be again. While it cannot, it is asked soon.
func (h *Heartbeat) reportAnswer(unchecked error) {
	switch {
	case unchecked == nil && h.unanswered > 0:
		h.log.Info("LinkedIn can be asked about the token again", zap.Int("attempts", h.unanswered+1))
	case unchecked != nil && h.unanswered == 0:
		h.log.Warn("LinkedIn could not be asked about the token; what was known of it stands", zap.Error(unchecked), todoField("nothing: it is asked again"))
	}
	if unchecked == nil {
		h.unanswered = 0
		return
	}
	h.sooner(retryFirst << min(h.unanswered, 10))
	h.unanswered++
}
