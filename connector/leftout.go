package connector

import (
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// maxLeftOut bounds how many leads are told apart; what is beyond is counted each
// time that it is read.
const maxLeftOut = 100_000

// leftOut are the leads that LinkedIn shows and that were not published in this
// session, so that each is counted once however often it is read. The publisher owns
// them; the zero value is empty.
type leftOut struct {
	seed      maphash.Seed
	overtaken map[uint64]struct{}
	expired   map[string]map[uint64]time.Time // by form, with the time of submission
}

func (l *leftOut) key(r *lead.Response) uint64 {
	if l.expired == nil {
		l.seed, l.overtaken, l.expired = maphash.MakeSeed(), map[uint64]struct{}{}, map[string]map[uint64]time.Time{}
	}
	return maphash.String(l.seed, r.ID) ^ uint64(r.SubmittedAt.UnixMilli())*0x9e3779b97f4a7c15
}

// overtake notes an overtaken lead, and reports whether it is a new one.
func (l *leftOut) overtake(r *lead.Response) bool {
	key := l.key(r)
	if _, known := l.overtaken[key]; known {
		return false
	}
	if len(l.overtaken) < maxLeftOut {
		l.overtaken[key] = struct{}{}
	}
	return true
}

// expire notes the leads of a window that stay out of their topics, and forgets those
// that do so no more or lie before floor. fresh are the new ones, changed the forms
// for which something is different now.
func (l *leftOut) expire(w lead.Window, rows []*lead.Response, floor time.Time) (fresh []*lead.Response, changed []string) {
	still := map[uint64]bool{}
	touched := map[string]bool{}
	for _, r := range rows {
		key := l.key(r)
		still[key] = true
		if _, known := l.expired[r.Form.ID][key]; known {
			continue
		}
		fresh = append(fresh, r)
		if l.expired[r.Form.ID] == nil {
			l.expired[r.Form.ID] = map[uint64]time.Time{}
		}
		if !r.SubmittedAt.Before(floor) && len(l.expired[r.Form.ID]) < maxLeftOut {
			l.expired[r.Form.ID][key] = r.SubmittedAt
			touched[r.Form.ID] = true
		}
	}
	for form, known := range l.expired {
		for key, at := range known {
			if at.Before(floor) || w.Contains(at) && !still[key] {
				delete(known, key)
				touched[form] = true
			}
		}
	}
	for form := range touched {
		changed = append(changed, form)
	}
	slices.Sort(changed)
	return fresh, changed
}

// of is the error that tells of a form's leads which stay out; nil when there are none.
func (l *leftOut) of(form, topic string) error {
	if len(l.expired[form]) == 0 {
		return nil
	}
	e := &expiredError{Topic: topic, Leads: len(l.expired[form])}
	for _, at := range l.expired[form] {
		if e.From.IsZero() || at.Before(e.From) {
			e.From = at
		}
		e.To = lead.Later(e.To, at.Add(time.Millisecond))
	}
	return e
}

// leftOut counts the leads of a publication that did not go out, and says so of those
// that stay out of their topic within the look-back: by itself nothing brings them.
func (p *publisher) leftOut(pub *publication) {
	v := pub.diff
	if t := pub.work.tally; t != nil {
		t.held, t.deleted, t.overtaken = v.Held, v.Deleted, v.Overtaken
	}
	for _, r := range v.Overtaken {
		if p.out.overtake(r) {
			p.opts.Metrics.overtaken.WithLabelValues(r.Form.ID).Inc()
			p.log.Info("a lead is overtaken: its topic has a later submission of it", zap.String("form", r.Form.ID), zap.Time("submitted_at", r.SubmittedAt))
		}
	}
	if pub.work.form != "" {
		return // a deferred window's window holds the rows of others as well
	}
	fresh, changed := p.out.expire(pub.window, v.Expired, p.opts.Now().Add(-p.opts.Lookback))
	for _, r := range fresh {
		p.opts.Metrics.expired.WithLabelValues(r.Form.ID).Inc()
	}
	for _, form := range changed {
		topic := p.store.TopicName(form)
		work := "publishing every lead of topic " + topic
		err := p.out.of(form, topic)
		if err == nil {
			p.issues.Resolve(work)
			continue
		}
		p.issues.ReportSilently(form, work, err)
		p.log.Warn("leads stay out of their topic", zap.String("form", form), zap.String("topic", topic), zap.Error(err), zap.String("todo", fault.TodoOf(err)))
	}
	if len(changed) == 0 && len(fresh) > 0 {
		p.log.Info("leads older than their topics are sure to remember are left out", zap.Stringer("source", pub.work.src),
			zap.Stringer("window", pub.window), zap.Int("leads", len(fresh)))
	}
}

// expiredError says that leads within the look-back stay out of a topic.
type expiredError struct {
	Topic    string
	Leads    int
	From, To time.Time // of their submissions
}

func (e *expiredError) Error() string {
	return fmt.Sprintf("%d leads submitted between %s and %s are not in topic %s: it may have had them, and its oldest records are gone (by retention, or by hand)",
		e.Leads, lead.FormatTime(e.From), lead.FormatTime(e.To), e.Topic)
}

// Fault is Reject: these leads do not go out, all others do.
func (e *expiredError) Fault() fault.Kind { return fault.Reject }

// About names the issue whatever the number.
func (e *expiredError) About() string { return "expired " + e.Topic }

// Todo is what a person can do about it.
func (e *expiredError) Todo() string {
	return fmt.Sprintf("if consumers never had them, publish them with `leadstream run --replay-from %s --replay-to %s`", lead.FormatTime(e.From), lead.FormatTime(e.To))
}
