package connector

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"sync"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/lead"
	"leadstream/schema"
)

// formBook knows every form that leads or events have named: its fields, its
// codec, and whether it can be published to. Its methods are safe for concurrent
// use.
type formBook struct {
	epoch *epoch
	// work lets one caller at a time prepare forms; who needs only forms that are
	// ready does not wait for it.
	work sync.Mutex

	mu     sync.Mutex
	forms  map[string]*form
	silent bool              // the registry did not answer whether it knows a schema; verify asks again
	unfits map[string]string // leads that Kafka refuses, and why
	arena  []byte            // of encoded values; used under the store's publication
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
	// sure: the registry was asked in this epoch whether schemaID names this schema.
	sure  bool
	ready bool  // topic and schema exist; leads can be encoded
	why   error // suspended, because of this
	gone  bool  // LinkedIn does not show it
	// asked is when LinkedIn was last asked for something the form lacked: a
	// version (as its number) or a question (as its id, negated).
	asked map[int64]time.Time
	// failures counts the suspensions in a row without a lead going out between
	// them; mendAt is when the form is tried again.
	failures int
	mendAt   time.Time
	said     string // the reason for its suspension that was logged last
	saved    bool   // the checkpoint has these fields and this schema id
	recorded int    // schema id in the checkpoint
}

func newFormBook(e *epoch, state delivery.State) (*formBook, error) {
	b := &formBook{epoch: e, forms: map[string]*form{}, unfits: map[string]string{}}
	for id, saved := range state.Forms {
		f := &form{id: id, owner: saved.Owner, name: saved.Name, version: saved.SchemaVersion, asked: map[int64]time.Time{}, saved: true, recorded: saved.SchemaID}
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
// be: a form that cannot be is suspended, and tried again by mend, not here.
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
	if len(samples) == 0 {
		return nil
	}
	b.work.Lock()
	defer b.work.Unlock()
	var forms []*form
	for id, r := range samples {
		f := b.get(id, r.Owner)
		if now := b.peek(f); now.ready || now.why != nil {
			continue // another caller was faster
		}
		if err := b.meet(ctx, f, r); err != nil {
			return err
		}
		forms = append(forms, f)
	}
	return b.bring(ctx, forms)
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
