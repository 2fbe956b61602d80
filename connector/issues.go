package connector

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/delivery"
	"leadstream/internal/fault"
)

// Issue is something that went wrong, for people: it is told with what to do,
// as one however often and in however many places it was met, and is over once
// all the work that met it has succeeded.
type Issue struct {
	First, Last time.Time
	// Since is when it began this time.
	Since time.Time
	Count int
	// Part is what it is about: kafka, registry, linkedin, the URN of an
	// organization or the id of a form. Of one part, errors of one kind are one
	// issue.
	Part string
	Kind fault.Kind
	// Text is the latest error, without what to do about it. It holds no
	// answer, no token and no person's URN.
	Text string
	// Todo is what to do, in a sentence without a full stop.
	Todo     string
	Resolved bool
	// Event: it has happened and does not go on.
	Event bool
	// Err is the latest error itself.
	Err error
}

const (
	// maxIssues is how many people are shown, and maxKept how many are kept: what
	// was said of one that is forgotten would be said again. The oldest go first,
	// those that are over before the others.
	maxIssues = 20
	maxKept   = 1000
	maxText   = 600 // bytes
	// eventFor is how long people are shown what has happened and nobody can undo.
	eventFor = 24 * time.Hour
)

// Issues are the last ones. They are told by the work that meets them, not
// gathered from the log: a log line says neither when it is over nor what to do,
// repeats what a page must say once, and may hold what is not for everybody who
// sees the page. They write the log's line about each: one when it begins, with
// what to do, and one when it is over. Safe for concurrent use.
type Issues struct {
	now func() time.Time
	log *zap.Logger
	// connection reports whether an error is about the connection to LinkedIn, which
	// another part of the program looks after, and whether that has said so in the
	// log. It may be nil.
	connection func(error) (about, said bool)

	mu   sync.Mutex
	list []*issue
}

// issue is one of them with the work that has met it and not succeeded since.
type issue struct {
	Issue
	open map[string]error
	// said tells which of its errors have their line in the log, and logged that one
	// has been written: then its end gets one, too.
	said   fault.LogOnce
	logged bool
	// dropped counts what makes lines that are kept back needless, and pending says
	// that there is one.
	dropped int
	pending bool
	// settled: all work began anew before it was over.
	settled bool
}

// NewIssues is none yet; now is the clock.
func NewIssues(now func() time.Time, log *zap.Logger) *Issues {
	if log == nil {
		log = zap.NewNop()
	}
	return &Issues{now: now, log: log}
}

// Report is Report in the usual words.
func (t *Issues) Report(about, work string, err error) {
	t.ReportAs(about, work, "waiting to try again", err)
}

// ReportAs takes down that a piece of work, known by its name, has failed. about is
// the organization or the form that it is done for, empty when it is more than
// one: what concerns it alone is filed under it, all else under whoever failed.
// message and fields are for the log, which gets one line however much work meets
// the same issue.
func (t *Issues) ReportAs(about, work, message string, err error, fields ...zap.Field) {
	t.report(about, work, err, &line{message: message, fields: fields})
}

// ReportSilently is Report for what the log says elsewhere, or has said.
func (t *Issues) ReportSilently(about, work string, err error) { t.report(about, work, err, nil) }

func (t *Issues) report(about, work string, err error, say *line) {
	if errors.Is(err, context.Canceled) {
		return // the work was ended by us
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now().UTC()
	x := t.of(partOf(about, work, err), err, now)
	for _, other := range t.list {
		if other != x {
			t.close(other, work) // it fails for another reason now
		}
	}
	switch {
	case x.settled && now.Sub(x.Last) <= goesOn:
	case x.settled:
		x.said.Reset()
		x.logged, x.Since = false, now
	case len(x.open) == 0:
		x.Since = now
	}
	x.Last, x.Count, x.Resolved, x.settled = now, x.Count+1, false, false
	x.open[work] = err
	if x.explains(err) {
		return
	}
	x.tell(err)
	t.say(x, work, say)
}

// explains reports whether what was noted before says better what is wrong: that
// the member has no access says why each request is refused.
func (x *issue) explains(err error) bool {
	return fault.Has[*accessError](x.Err) && !fault.Has[*accessError](err) && len(x.open) > 1
}

// of is the issue of that part that is of the error's kind.
func (t *Issues) of(part string, err error, now time.Time) *issue {
	kind, event := fault.KindOf(err), isEvent(err)
	for _, x := range t.list {
		if x.Part == part && x.Kind == kind && x.Event == event {
			return x
		}
	}
	t.dropOldest()
	x := &issue{Issue: Issue{First: now, Part: part, Kind: kind, Event: event}, open: map[string]error{}}
	t.list = append(t.list, x)
	return x
}

// isEvent reports whether an error tells of what has happened, and not of what is so.
func isEvent(err error) bool {
	return fault.Has[*lostError](err) || fault.Has[*delivery.TopicRecreatedError](err)
}

// Resolve takes down that a piece of work has succeeded.
func (t *Issues) Resolve(work string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.list {
		t.close(x, work)
	}
}

// resolveCleared takes down that all work begins anew, here or in another process: what is
// still wrong will be told again by whoever meets it.
func (t *Issues) resolveCleared() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.list {
		if x.Event {
			continue // another process does not undo it
		}
		x.settled = x.settled || !x.Resolved
		clear(x.open)
		x.Resolved = true
		if x.pending {
			x.said.Reset()
		}
		x.drop()
	}
}

// List are the last ones, the latest first.
func (t *Issues) List() []Issue {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]Issue, len(t.list))
	for i, x := range t.list {
		list[i] = x.Issue
		list[i].Resolved = x.Resolved || x.Event && t.now().Sub(x.Last) > eventFor
	}
	slices.SortStableFunc(list, func(a, b Issue) int { return -dispensable(&a, &b) })
	list = list[:min(len(list), maxIssues)]
	slices.SortStableFunc(list, func(a, b Issue) int { return b.Last.Compare(a.Last) })
	return list
}

// dispensable orders issues by how easily they can be done without.
func dispensable(a, b *Issue) int {
	if a.Resolved != b.Resolved {
		if a.Resolved {
			return -1
		}
		return 1
	}
	return a.Last.Compare(b.Last)
}

// close takes down that a piece of work has not met the issue any more, and says
// so in the log once no other has.
func (t *Issues) close(x *issue, work string) {
	if _, mine := x.open[work]; !mine {
		return
	}
	delete(x.open, work)
	if x.Resolved = len(x.open) == 0; !x.Resolved {
		first := slices.Min(slices.Collect(maps.Keys(x.open)))
		x.tell(x.open[first])
		return
	}
	if x.logged {
		t.log.Info("recovered", partField(x.Part), zap.String("work", work), zap.String("was", x.Text), zap.Duration("after", t.now().Sub(x.Since).Round(time.Millisecond)))
	}
	x.said.Reset()
	x.logged = false
	x.drop()
}

// tell makes an error the one that people are told.
func (x *issue) tell(err error) {
	x.Err = err
	x.Text, x.Todo = told(err)
}

// failing is why a piece of work failed the last time; nil when it succeeded since.
func (t *Issues) failing(work string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.list {
		if err := x.open[work]; err != nil {
			return err
		}
	}
	return nil
}

// drop makes lines that are kept back needless.
func (x *issue) drop() {
	x.dropped++
	x.pending = false
}

// dropOldest drops the one that can be done without most easily.
func (t *Issues) dropOldest() {
	if len(t.list) < maxKept {
		return
	}
	least := slices.MinFunc(t.list, func(a, b *issue) int { return dispensable(&a.Issue, &b.Issue) })
	least.drop()
	t.list = slices.DeleteFunc(t.list, func(x *issue) bool { return x == least })
}
