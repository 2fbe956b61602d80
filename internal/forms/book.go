package forms

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"leadstream/internal/checkpoint"
	"leadstream/internal/lead"
	"leadstream/schema"
)

// LinkedIn shows forms.
type LinkedIn interface {
	// Form is the current version of a form. Only an error that is the refusal fault.Gone says
	// that LinkedIn does not show it any more.
	Form(ctx context.Context, id string) (lead.Form, error)
	// FormVersion is the version of the form that the response answered, or the nearest that
	// LinkedIn still shows.
	FormVersion(ctx context.Context, ref lead.FormRef, responseID string) (lead.Form, error)
}

// Registry is the schema registry. It has more than three methods because what a registry that
// was rebuilt has lost takes questions of its own; they share one implementation.
type Registry interface {
	Ensure(ctx context.Context, subject, avro string) (schema.Registered, error)
	Versions(ctx context.Context, subject string) ([]schema.RegisteredSchema, error)
	Holds(ctx context.Context, subject string, id int, avro string) (bool, error)
	Names(ctx context.Context, id int, avro string) (schema.Naming, error)
	Restore(ctx context.Context, subject string, schemas []schema.RegisteredSchema) (restored []int, err error)
}

// Topics are the topics of the forms.
type Topics interface {
	TopicName(form string) string
	// Topics is what is recorded of each, by name.
	Topics() map[string]checkpoint.Topic
	// Existing tells which of the forms have a topic.
	Existing(ctx context.Context, forms []string) (map[string]bool, error)
	// EnsureTopics makes the topics of these forms exist. refused has an entry for each that
	// cannot be written to.
	EnsureTopics(ctx context.Context, forms []string) (refused map[string]error, err error)
}

// Recorder keeps forms in the checkpoint.
type Recorder interface {
	// SaveForms commits the records of these forms that differ from the checkpoint, as they are
	// when it gets to it (Unsaved), and tells the book by Saved.
	SaveForms(ctx context.Context, ids []string) error
	// Replays are the replays that have run, by their ids.
	Replays() map[string]checkpoint.Replay
}

// Issues are told what is wrong, see connector.Issues.
type Issues interface {
	Report(about, work string, err error)
	ReportAs(about, work, message string, err error, fields ...zap.Field)
	ReportSilently(about, work string, err error)
	Resolve(work string)
}

// Options are what a book works with.
type Options struct {
	LinkedIn    LinkedIn
	Registry    Registry
	Topics      Topics
	Recorder    Recorder
	Issues      Issues
	Log         *zap.Logger
	Now         func() time.Time
	Choice      schema.Choice
	Discovery   time.Duration // how often LinkedIn is asked again for what a form lacks
	Concurrency int           // how many forms are prepared at once
}

// Book knows every form that leads or events have named. Its methods are safe for concurrent
// use.
type Book struct {
	o Options
	// verifying lets the registry be asked about all forms by one caller at a time.
	verifying sync.Mutex
	// recheck has one when the registry is to be asked about all of them soon.
	recheck chan struct{}

	mu       sync.Mutex // one change at a time; never held over I/O
	forms    map[string]*Form
	held     map[string]*hold // forms that somebody prepares
	changed  chan struct{}    // closed and replaced when one of them is ready, or released
	registry standing
}

// New is the book of the forms that the checkpoint keeps.
func New(o Options, saved map[string]checkpoint.Form) (*Book, error) {
	b := &Book{o: o, forms: map[string]*Form{}, held: map[string]*hold{}, changed: make(chan struct{}), recheck: make(chan struct{}, 1)}
	for id, record := range saved {
		f, err := restored(id, record)
		if err != nil {
			return nil, &checkpoint.UnreadableError{Key: checkpoint.FormKey(id), Err: err}
		}
		b.forms[id] = f
	}
	return b, nil
}

// Get is the form of that id, nil when no lead and no event has named it.
func (b *Book) Get(id string) *Form {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.forms[id]
}

// All are the forms that are known, in no order.
func (b *Book) All() []*Form {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Values(b.forms))
}

// Suspended is why a form cannot be published to, nil when nothing suspends it.
func (b *Book) Suspended(id string) error {
	if f := b.Get(id); f != nil {
		return f.Why
	}
	return nil
}

// Usable reports whether the leads of all these responses can be encoded now.
func (b *Book) Usable(responses []*lead.Response) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range responses {
		if f := b.forms[r.Form.ID]; f == nil || f.State != Ready {
			return false
		}
	}
	return true
}

// change replaces a form by what fn makes of a copy, and gives that. A form that is not known
// begins as Unknown.
func (b *Book) change(id string, fn func(*Form)) *Form {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changeLocked(id, fn)
}

func (b *Book) changeLocked(id string, fn func(*Form)) *Form {
	next := Form{ID: id, State: Unknown}
	if now := b.forms[id]; now != nil {
		next = *now
	}
	fn(&next)
	b.forms[id] = &next
	return &next
}

// formsAtOnce is how many forms one caller prepares together. Their topics are made in one
// request, for which a publication waits, and who wants one of them waits for the others.
const formsAtOnce = 20

// hold is one caller's right to prepare forms.
type hold struct{ _ byte }

// each has work prepare the forms of these ids, some at a time, as the only one who does. Who
// wants other forms meanwhile, or one that is ready, does not wait for it. Forms of which skip
// is true are left out; it may be nil.
func (b *Book) each(ctx context.Context, ids []string, skip func(*Form) bool, work func(ids []string) error) error {
	for len(ids) > 0 {
		own := new(hold)
		mine, others, changed := b.reserve(own, ids, skip)
		if len(mine) > 0 {
			err := work(mine)
			b.release(own, mine)
			if err != nil {
				return err
			}
		} else if len(others) > 0 {
			select {
			case <-changed:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		ids = others
	}
	return nil
}

// reserve gives the caller some of the forms, which it must release. The others are taken, or
// too many at once; changed is closed when that may be different.
func (b *Book) reserve(own *hold, ids []string, skip func(*Form) bool) (mine, others []string, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		f := b.forms[id]
		if f == nil {
			f = b.changeLocked(id, func(*Form) {})
		}
		switch {
		case skip != nil && skip(f):
		case b.held[id] != nil || len(mine) == formsAtOnce:
			others = append(others, id)
		default:
			b.held[id] = own
			mine = append(mine, id)
		}
	}
	return mine, others, b.changed
}

// release gives back those of the forms that the caller still holds, and wakes who waits.
func (b *Book) release(own *hold, ids []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		if b.held[id] == own {
			delete(b.held, id)
		}
	}
	close(b.changed)
	b.changed = make(chan struct{})
}

// together does the same for several forms at once, and ends with the first error.
func together[T any](ctx context.Context, b *Book, of []T, work func(context.Context, T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(b.o.Concurrency, 1))
	for _, one := range of {
		group.Go(func() error { return work(ctx, one) })
	}
	return group.Wait()
}
