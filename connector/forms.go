package connector

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"leadstream/internal/checkpoint"
	"leadstream/internal/lead"
	"leadstream/schema"
)

// formBook knows every form that leads or events have named: its fields, its
// codec, and whether it can be published to. Its methods are safe for concurrent
// use.
type formBook struct {
	leader *leader
	// verifying lets the registry be asked about all forms by one caller at a time.
	verifying sync.Mutex
	// recheck has one when the registry is to be asked about all of them soon.
	recheck chan struct{}

	mu       sync.Mutex
	forms    map[string]*form
	busy     map[string]*hold // forms that somebody prepares
	changed  chan struct{}    // closed and replaced when one of them is ready, or left
	registry standing
	unfits   map[string]string // leads that Kafka refuses, and why
	arena    []byte            // of encoded values; used under the store's publication
}

// form is one lead form. Fields and codec are replaced, never changed.
type form struct {
	id, owner, name string
	fields          *schema.Fields
	codec           *schema.Codec
	schemaID        int
	version         int // of the schema in the form's subject; 0 when not known
	// text is the digest of the registered schema that the codec encodes; the
	// texts of a thousand forms are four megabytes.
	text [sha256.Size]byte
	// sure: the registry has said, since it was last away, that schemaID names this
	// schema.
	sure bool
	// lost are the schemas that the topic's records carry and the registry lacks;
	// replaced, never changed.
	lost  []checkpoint.LostSchema
	topic bool  // exists, as far as is known
	ready bool  // topic and schema exist; leads can be encoded
	why   error // suspended, because of this
	gone  bool  // LinkedIn does not show it
	// asked is when LinkedIn was last asked for something the form lacked: a
	// version (as its number) or a question (as its id, negated).
	asked map[int64]time.Time
	// failures counts the suspensions in a row without a lead going out between
	// them; mendAt is when the form is tried again.
	failures int
	retryAt  time.Time
	said     string // the reason for its suspension that was logged last
	saved    bool   // the checkpoint has these fields and this schema id
	recorded int    // schema id in the checkpoint
}

func newFormBook(e *leader, state *checkpoint.State) (*formBook, error) {
	b := &formBook{leader: e, forms: map[string]*form{}, busy: map[string]*hold{}, changed: make(chan struct{}), recheck: make(chan struct{}, 1),
		unfits: map[string]string{}}
	for id, saved := range state.Forms {
		f := &form{id: id, owner: saved.Owner, name: saved.Name, version: saved.SchemaVersion, lost: saved.Lost,
			asked: map[int64]time.Time{}, saved: true, recorded: saved.SchemaID}
		f.fields = new(schema.Fields)
		if err := json.Unmarshal(saved.Fields, f.fields); err != nil {
			return nil, &checkpoint.UnreadableError{Key: checkpoint.FormKey(id), Err: err}
		}
		if saved.SchemaID != 0 {
			codec, err := schema.Compile(f.fields, saved.SchemaID)
			if err != nil {
				return nil, &checkpoint.UnreadableError{Key: checkpoint.FormKey(id), Err: err}
			}
			f.codec, f.schemaID, f.text = codec, saved.SchemaID, digest(f.fields.Schema())
		}
		b.forms[id] = f
	}
	return b, nil
}

// prepare makes the forms that these responses name ready, as far as that can
// be: a form that cannot be is suspended, and tried again by fix, not here.
func (b *formBook) prepare(ctx context.Context, responses []*lead.Response) error {
	samples := map[string]*lead.Response{}
	b.mu.Lock()
	var last string
	for _, r := range responses {
		if r.Form.ID == last {
			continue
		}
		last = r.Form.ID
		if f := b.forms[r.Form.ID]; f == nil || !f.ready && f.why == nil {
			samples[r.Form.ID] = r
		}
	}
	b.mu.Unlock()
	return b.each(ctx, slices.Collect(maps.Keys(samples)), (*form).decided, func(forms []*form) error {
		err := b.together(ctx, forms, func(ctx context.Context, f *form) error {
			b.set(f, func() { f.owner = cmp.Or(f.owner, samples[f.id].Owner) })
			return b.load(ctx, f, samples[f.id])
		})
		if err != nil {
			return err
		}
		return b.provision(ctx, forms)
	})
}

// formsAtOnce is how many forms one caller prepares together: their topics are made
// in one request, for which a publication waits, and who wants one of them waits for
// the others.
const formsAtOnce = 20

// each has work prepare the forms of these ids, some at a time, as the only one who
// does. Who wants other forms meanwhile, or one that is ready, does not wait for it.
// With left, forms of which it is true are left out.
func (b *formBook) each(ctx context.Context, ids []string, left func(*form) bool, work func([]*form) error) error {
	for {
		own := new(hold)
		mine, others, changed := b.reserve(own, ids, left)
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
		if ids = others; len(ids) == 0 {
			return nil
		}
	}
}

// hold is one caller's right to prepare forms.
type hold struct{ _ byte }

// reserve gives the caller some of the forms, which it must release. The others are
// taken, or too many at once; changed is closed when that may be different.
func (b *formBook) reserve(own *hold, ids []string, left func(*form) bool) (mine []*form, others []string, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		f := b.forms[id]
		if f == nil {
			f = &form{id: id, asked: map[int64]time.Time{}}
			b.forms[id] = f
		}
		switch {
		case left != nil && left(f):
		case b.busy[id] != nil || len(mine) == formsAtOnce:
			others = append(others, id)
		default:
			b.busy[id] = own
			mine = append(mine, f)
		}
	}
	return mine, others, b.changed
}

// release gives back those of the forms that were not given back before.
func (b *formBook) release(own *hold, forms []*form) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range forms {
		if b.busy[f.id] == own {
			delete(b.busy, f.id)
		}
	}
	b.announce()
}

// free gives back a form that its holder is done with, before the others. The caller
// holds the mutex.
func (b *formBook) free(f *form) {
	delete(b.busy, f.id)
	b.announce()
}

// announce wakes who waits for a form. The caller holds the mutex.
func (b *formBook) announce() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// decided reports whether there is nothing to prepare. The caller holds the mutex.
func (f *form) decided() bool { return f.ready || f.why != nil }

// together does the same for several forms at once.
func (b *formBook) together(ctx context.Context, forms []*form, work func(context.Context, *form) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(b.leader.opts.Concurrency, 1))
	for _, f := range forms {
		group.Go(func() error { return work(ctx, f) })
	}
	return group.Wait()
}

// get is the form of that id, new when it was never met.
func (b *formBook) get(id, owner string) *form {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.forms[id]
	if f == nil {
		f = &form{id: id, owner: owner, asked: map[int64]time.Time{}}
		b.forms[id] = f
	}
	return f
}

// peek is a copy of the form as it is now.
func (b *formBook) peek(f *form) form {
	b.mu.Lock()
	defer b.mu.Unlock()
	return *f
}

func (b *formBook) set(f *form, change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}
