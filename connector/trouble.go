package connector

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"leadstream/internal/fault"
)

// Trouble is something that went wrong, for people: it is told with what to do,
// as one however often and in however many places it was met, and is over once
// all the work that met it has succeeded.
type Trouble struct {
	First, Last time.Time
	Count       int
	// Part is what it is about: kafka, registry, linkedin, the URN of an
	// organization or the id of a form. Of one part, errors of one kind are one
	// trouble.
	Part string
	Kind fault.Kind
	// Text is the latest error, without what to do about it. It holds no
	// answer, no token and no person's URN.
	Text string
	// Todo is what to do, in a sentence without a full stop.
	Todo string
	Over bool
	// Err is the latest error itself.
	Err error
}

const (
	// maxTroubles is how many are kept; the oldest go first, those that are over
	// before the others.
	maxTroubles = 20
	maxText     = 600 // bytes
)

// Troubles are the last ones. They are told by the work that meets them, not
// gathered from the log: a log line says neither when it is over nor what to do,
// repeats what a page must say once, and may hold what is not for everybody who
// sees the page. Safe for concurrent use.
type Troubles struct {
	now func() time.Time

	mu   sync.Mutex
	list []*trouble
}

// trouble is one of them with the work that has met it and not succeeded since.
type trouble struct {
	Trouble
	open map[string]struct{}
}

// NewTroubles is none yet; now is the clock.
func NewTroubles(now func() time.Time) *Troubles { return &Troubles{now: now} }

// Note takes down that a piece of work, known by its name, has failed. about is
// the organization or the form that it is done for, empty when it is more than
// one: what concerns it alone is filed under it, all else under whoever failed.
func (t *Troubles) Note(about, work string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now().UTC()
	x := t.of(partOf(about, err), fault.KindOf(err), now)
	for _, other := range t.list {
		if other != x {
			other.close(work) // it fails for another reason now
		}
	}
	x.Last, x.Count, x.Over = now, x.Count+1, false
	x.open[work] = struct{}{}
	if x.explains(err) {
		return
	}
	x.Err = err
	x.Text, x.Todo = told(err)
}

// explains reports whether what was noted before says better what is wrong: that
// the member has no access says why each request is refused.
func (x *trouble) explains(err error) bool {
	var before, now *accessError
	return errors.As(x.Err, &before) && !errors.As(err, &now) && len(x.open) > 1
}

// of is the trouble of that part and kind.
func (t *Troubles) of(part string, kind fault.Kind, now time.Time) *trouble {
	for _, x := range t.list {
		if x.Part == part && x.Kind == kind {
			return x
		}
	}
	t.makeRoom()
	x := &trouble{Trouble: Trouble{First: now, Part: part, Kind: kind}, open: map[string]struct{}{}}
	t.list = append(t.list, x)
	return x
}

// Over takes down that a piece of work has succeeded.
func (t *Troubles) Over(work string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.list {
		x.close(work)
	}
}

// settle takes down that all work begins anew, here or in another process: what is
// still wrong will be told again by whoever meets it.
func (t *Troubles) settle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.list {
		clear(x.open)
		x.Over = true
	}
}

// List are the last ones, the latest first.
func (t *Troubles) List() []Trouble {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]Trouble, len(t.list))
	for i, x := range t.list {
		list[i] = x.Trouble
	}
	slices.SortStableFunc(list, func(a, b Trouble) int { return b.Last.Compare(a.Last) })
	return list
}

func (x *trouble) close(work string) {
	if _, mine := x.open[work]; mine {
		delete(x.open, work)
		x.Over = len(x.open) == 0
	}
}

// makeRoom drops the one that can be done without most easily.
func (t *Troubles) makeRoom() {
	if len(t.list) < maxTroubles {
		return
	}
	least := slices.MinFunc(t.list, func(a, b *trouble) int {
		if a.Over != b.Over {
			if a.Over {
				return -1
			}
			return 1
		}
		return a.Last.Compare(b.Last)
	})
	t.list = slices.DeleteFunc(t.list, func(x *trouble) bool { return x == least })
}

// persons are URNs of LinkedIn's that name a person, which its messages may hold.
var persons = regexp.MustCompile(`urn:li:(person|member):[^\s"'),;]+`)

// told is an error's text and what to do about it, each once.
func told(err error) (text, todo string) {
	todo = cmp.Or(fault.TodoOf(err), remedy(err))
	text = strings.TrimSuffix(err.Error(), "; "+todo)
	text = strings.ToValidUTF8(persons.ReplaceAllString(text, "a person"), "�")
	if len(text) > maxText {
		cut := maxText
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	return text, todo
}
