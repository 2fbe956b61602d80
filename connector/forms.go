package connector

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
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

func digest(schema string) [sha256.Size]byte { return sha256.Sum256([]byte(schema)) }

func newFormBook(e *epoch, state delivery.State) (*formBook, error) {
	b := &formBook{epoch: e, forms: map[string]*form{}, unfits: map[string]string{}}
	for id, saved := range state.Forms {
		f := &form{id: id, owner: saved.Owner, name: saved.Name, asked: map[int64]time.Time{}, saved: true, recorded: saved.SchemaID}
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

// meet gives a form its fields: those of the checkpoint, else those of the
// registry (a lost checkpoint forgets no name), else new ones, with the version
// that the response answered. Only what ends the epoch is returned.
func (b *formBook) meet(ctx context.Context, f *form, r *lead.Response) error {
	if f.fields == nil {
		fields, err := b.remembered(ctx, f.id)
		if err != nil {
			return b.bar(ctx, f, err)
		}
		b.set(f, func() { f.fields = fields })
	}
	if r != nil && !f.fields.HasVersion(r.Form.Version) {
		return b.ask(ctx, f, r)
	}
	return nil
}

// remembered rebuilds a form's fields from what the registry holds.
func (b *formBook) remembered(ctx context.Context, id string) (*schema.Fields, error) {
	versions, err := b.epoch.opts.Registry.Versions(ctx, b.subject(id))
	if err != nil {
		return nil, fmt.Errorf("reading the schemas of subject %s: %w", b.subject(id), err)
	}
	if len(versions) == 0 {
		return schema.New(id, b.epoch.opts.Choice), nil
	}
	texts := make([]string, len(versions))
	for i, v := range versions {
		texts[i] = v.Schema
	}
	fields, err := schema.Parse(texts...)
	if err != nil {
		return nil, fmt.Errorf("subject %s: %w", b.subject(id), err)
	}
	return fields, nil
}

func (b *formBook) subject(id string) string { return b.epoch.store.TopicName(id) + "-value" }

// ask fetches what the form lacks for a response: its current version, and the
// one that was answered when that is another.
func (b *formBook) ask(ctx context.Context, f *form, r *lead.Response) error {
	now := b.epoch.opts.Now()
	b.set(f, func() {
		f.asked[int64(r.Form.Version)] = now
		for _, a := range r.Answers {
			f.asked[-a.QuestionID] = now
		}
	})
	current, err := b.epoch.opts.LinkedIn.Form(ctx, f.id)
	if err == nil {
		b.add(f, current)
		if !f.fields.HasVersion(r.Form.Version) {
			var answered lead.Form
			if answered, err = b.epoch.opts.LinkedIn.FormVersion(ctx, r.Form, r.ID); err == nil {
				b.add(f, answered)
			}
		}
	}
	switch {
	case err == nil:
		return nil
	case fault.KindOf(err) == fault.Suspend: // LinkedIn does not show it (any more)
		b.set(f, func() { f.gone = current.ID == "" })
		b.epoch.log.Warn("form cannot be read; its leads go out with what is known of it", zap.String("form", f.id), zap.Error(err))
		return nil
	default:
		return b.bar(ctx, f, fmt.Errorf("reading form %s: %w", f.id, err))
	}
}

// add takes a version of a form into its fields.
func (b *formBook) add(f *form, version lead.Form) {
	next := f.fields.Clone()
	changed := next.Add(version)
	b.set(f, func() {
		f.gone, f.name = false, version.Name
		if version.Owner != "" {
			f.owner = version.Owner
		}
		if changed {
			f.fields, f.saved, f.ready = next, false, false
		}
	})
}

// bring makes forms ready: topics exist, names are committed, schemas are
// registered, in this order. What one form lacks suspends that form.
func (b *formBook) bring(ctx context.Context, forms []*form) error {
	var ids []string
	for _, f := range forms {
		if now := b.peek(f); now.fields != nil && !now.ready && now.why == nil {
			ids = append(ids, f.id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	refused, err := b.epoch.store.EnsureTopics(ctx, ids)
	if err != nil {
		return err
	}
	var open []*form
	for _, id := range ids {
		f := b.get(id, "")
		if why := refused[id]; why != nil {
			b.suspend(id, why)
			continue
		}
		open = append(open, f)
	}
	if err := b.save(ctx, open); err != nil {
		return err
	}
	if err := b.register(ctx, open); err != nil {
		return err
	}
	return b.save(ctx, open)
}

// save commits the fields of the forms that changed.
func (b *formBook) save(ctx context.Context, forms []*form) error {
	records := map[string]any{}
	for _, each := range forms {
		f := b.peek(each)
		if f.saved || f.why != nil {
			continue
		}
		fields, err := json.Marshal(f.fields)
		if err != nil {
			return fmt.Errorf("encoding the fields of form %s: %w", f.id, err)
		}
		record := checkpoint.Form{Fields: fields, Owner: f.owner, Name: f.name}
		if f.ready {
			record.SchemaID = f.schemaID
		}
		records[checkpoint.FormKey(f.id)] = record
	}
	if len(records) == 0 {
		return nil
	}
	err := b.epoch.store.Publish(func(p *delivery.Publication) error {
		return p.Commit(ctx, delivery.Batch{Records: records})
	})
	if err != nil {
		return fmt.Errorf("committing the names of %d forms: %w", len(records), err)
	}
	for _, f := range forms {
		if record, ok := records[checkpoint.FormKey(f.id)].(checkpoint.Form); ok {
			b.set(f, func() { f.saved, f.recorded = true, record.SchemaID })
		}
	}
	return nil
}

// register gives each form a registered schema and a codec of it. A form whose
// codec still serves (same schema) does not need the registry.
func (b *formBook) register(ctx context.Context, forms []*form) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(b.epoch.opts.Concurrency, 1))
	for _, f := range forms {
		group.Go(func() error {
			now := b.peek(f)
			text := now.fields.Schema()
			id := now.schemaID
			known := now.codec != nil && now.text == digest(text) && b.named(ctx, f, text)
			if !known {
				registered, err := b.epoch.opts.Registry.Ensure(ctx, b.subject(f.id), text)
				if err != nil {
					// Also where the registry refuses our password: forms that
					// need nothing of it go on.
					return b.bar(ctx, f, fault.As(fault.Suspend, fmt.Errorf("registering the schema of form %s: %w", f.id, err)))
				}
				id = registered.ID
			}
			codec, err := schema.Compile(now.fields, id)
			if err != nil {
				return b.bar(ctx, f, fmt.Errorf("compiling the schema of form %s: %w", f.id, err))
			}
			b.set(f, func() {
				f.saved = f.saved && f.recorded == id
				f.sure = f.sure || !known
				f.codec, f.schemaID, f.text, f.ready = codec, id, digest(text), f.why == nil
			})
			return nil
		})
	}
	return group.Wait()
}

// namedWithin bounds the question that known forms wait for: a registry that is
// away keeps none of them from going on.
const namedWithin = 5 * time.Second

// named reports whether a form's schema id may be used as it stands in the
// checkpoint: the registry may have been rebuilt while no process ran. One that
// does not answer is believed to be the same as before, until verify asks it.
func (b *formBook) named(ctx context.Context, f *form, text string) bool {
	now := b.peek(f)
	b.mu.Lock()
	silent := b.silent
	b.mu.Unlock()
	if now.sure || silent {
		return true
	}
	question, cancel := context.WithTimeout(ctx, namedWithin)
	defer cancel()
	same, err := b.epoch.opts.Registry.Names(question, now.schemaID, text)
	switch {
	case ctx.Err() != nil: // nothing goes out any more
		return true
	case err != nil:
		b.epoch.log.Warn("the registry does not tell whether it still knows a form's schema; its leads go on with the one that was registered before",
			zap.String("form", f.id), zap.Int("schema", now.schemaID), zap.Error(err))
		b.set(f, func() { b.silent = true })
		return true
	case !same:
		b.forgotten(f, now.schemaID)
		return false
	}
	b.set(f, func() { f.sure = true })
	return true
}

// forgotten notes that the registry lost a form's schema: it is registered
// again. The codec serves until there is another.
func (b *formBook) forgotten(f *form, id int) {
	b.epoch.log.Warn("the registry does not know a form's schema any more; registering it again", zap.String("form", f.id), zap.Int("schema", id))
	b.set(f, func() { f.ready, f.text = false, [sha256.Size]byte{} })
}

// bar suspends a form because of err, unless err is not about the form at all.
func (b *formBook) bar(ctx context.Context, f *form, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if endsEpoch(err) || fault.KindOf(err) == fault.Pause {
		return err
	}
	b.suspend(f.id, err)
	return nil
}

// suspend stops publishing to a form; its leads are owed.
func (b *formBook) suspend(id string, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.forms[id]
	if text := why.Error(); f.said != text {
		f.said = text // each reason once, however often it is tried again
		b.epoch.log.Error("form suspended; its leads are owed until this is mended", zap.String("form", id), zap.Error(why))
	}
	f.failures++
	f.why, f.ready, f.mendAt = why, false, b.epoch.opts.Now().Add(b.patience(f.failures))
}

// patience is the wait before a form's next trial: from a second, doubling up to
// the discovery interval.
func (b *formBook) patience(failures int) time.Duration {
	return min(time.Second<<min(failures-1, 20), max(b.epoch.opts.Discovery, time.Second))
}

// delivered notes that leads went out, so that their forms' failures are over.
func (b *formBook) delivered(leads []delivery.Lead) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range leads {
		if f := b.forms[leads[i].Form.ID]; f != nil {
			f.failures, f.said = 0, ""
		}
	}
}

// usable reports whether the leads of all these responses can be encoded now.
func (b *formBook) usable(responses []*lead.Response) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range responses {
		if f := b.forms[r.Form.ID]; f == nil || !f.ready || f.codec == nil {
			return false
		}
	}
	return true
}

// unready makes the next use of a form prepare it again.
func (b *formBook) unready(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.forms[id]; f != nil {
		f.ready = false
	}
}

// suspended is why a form cannot be published to, nil when it can.
func (b *formBook) suspended(id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.forms[id]; f != nil {
		return f.why
	}
	return nil
}

// mend tries the suspended forms again, those whose back-off is over, or all.
func (b *formBook) mend(ctx context.Context, all bool) error {
	b.work.Lock()
	defer b.work.Unlock()
	var forms []*form
	b.mu.Lock()
	now := b.epoch.opts.Now()
	for _, f := range b.forms {
		if f.why != nil && (all || !now.Before(f.mendAt)) {
			forms = append(forms, f)
		}
	}
	b.mu.Unlock()
	for _, f := range forms {
		if err := b.retry(ctx, f); err != nil {
			return err
		}
		if b.suspended(f.id) == nil {
			b.epoch.log.Info("form mended", zap.String("form", f.id))
		}
	}
	return nil
}

// retry tries one suspended form again: it is read and prepared as if it were
// met for the first time.
func (b *formBook) retry(ctx context.Context, f *form) error {
	now := b.peek(f)
	trial := &now
	trial.why, trial.asked = nil, map[int64]time.Time{}
	if trial.fields == nil {
		fields, err := b.remembered(ctx, f.id)
		if err != nil {
			return b.still(ctx, f, err)
		}
		trial.fields = fields
	}
	current, err := b.epoch.opts.LinkedIn.Form(ctx, f.id)
	switch {
	case err == nil:
		b.add(trial, current)
	case fault.KindOf(err) != fault.Suspend:
		return b.still(ctx, f, err)
	}
	b.mu.Lock()
	b.forms[f.id] = trial
	b.mu.Unlock()
	if err := b.bring(ctx, []*form{trial}); err != nil {
		return b.still(ctx, trial, err)
	}
	return nil
}

// still keeps a form suspended, with the newest reason.
func (b *formBook) still(ctx context.Context, f *form, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if endsEpoch(err) {
		return err
	}
	b.set(f, func() {
		f.failures++
		f.why, f.mendAt = err, b.epoch.opts.Now().Add(b.patience(f.failures))
	})
	return nil
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

// lacking are responses, one for each thing, that name a version or a question
// which their form does not know and which LinkedIn was not asked for lately.
func (b *formBook) lacking(responses []*lead.Response, asked map[lead.FormRef]bool) []*lead.Response {
	b.mu.Lock()
	defer b.mu.Unlock()
	var lacking []*lead.Response
	now := b.epoch.opts.Now()
	recent := func(f *form, what int64) bool {
		at, asked := f.asked[what]
		return asked && now.Sub(at) < b.epoch.opts.Discovery
	}
	noted := map[lead.FormRef]bool{}
	for _, r := range responses {
		f := b.forms[r.Form.ID]
		if asked[r.Form] || noted[r.Form] {
			continue
		}
		lacks := !f.fields.HasVersion(r.Form.Version) && !recent(f, int64(r.Form.Version))
		for i := range r.Answers {
			id := r.Answers[i].QuestionID
			if !f.fields.HasQuestion(r.Form.Version, id) && !recent(f, -id) {
				lacks = true
			}
		}
		if lacks {
			noted[r.Form] = true
			lacking = append(lacking, r)
		}
	}
	return lacking
}

// learn fetches what these responses lack, and makes their forms ready again.
func (b *formBook) learn(ctx context.Context, responses []*lead.Response) error {
	b.work.Lock()
	defer b.work.Unlock()
	var forms []*form
	for _, r := range responses {
		f := b.get(r.Form.ID, r.Owner)
		if err := b.ask(ctx, f, r); err != nil {
			return err
		}
		forms = append(forms, f)
	}
	return b.bring(ctx, forms)
}

// encode makes the value of a response's record.
func (b *formBook) encode(r *lead.Response) ([]byte, []lead.Fault, error) {
	b.mu.Lock()
	codec := b.forms[r.Form.ID].codec
	b.mu.Unlock()
	const chunk = 256 << 10
	if cap(b.arena)-len(b.arena) < 4<<10 {
		b.arena = make([]byte, 0, chunk)
	}
	start := len(b.arena)
	out, faults, err := codec.Encode(b.arena, r)
	if err != nil {
		return nil, nil, err
	}
	b.arena = out
	return out[start:len(out):len(out)], faults, nil
}

// schemaIDs is the schema that the leads' forms are encoded with.
func (b *formBook) schemaIDs(leads []delivery.Lead) map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := map[string]int{}
	for i := range leads {
		id := leads[i].Form.ID
		ids[id] = b.forms[id].schemaID
	}
	return ids
}

// ofTopic is the form that a topic belongs to.
func (b *formBook) ofTopic(topic string) (string, bool) {
	id, ok := strings.CutPrefix(topic, b.epoch.store.TopicName(""))
	if !ok || !lead.Digits(id) {
		return "", false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	_, known := b.forms[id]
	return id, known
}

// markUnfit remembers that Kafka refuses a lead, and why.
func (b *formBook) markUnfit(r *lead.Response, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unfits[r.ID+"@"+lead.Stamp(r.SubmittedAt)] = why.Error()
}

// unfit is why Kafka refuses a lead; empty when it never did.
func (b *formBook) unfit(r *lead.Response) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.unfits) == 0 {
		return ""
	}
	return b.unfits[r.ID+"@"+lead.Stamp(r.SubmittedAt)]
}

// verify asks the registry whether the ids still name the schemas; a registry
// that was rebuilt is given them again.
func (b *formBook) verify(ctx context.Context) error {
	b.work.Lock()
	defer b.work.Unlock()
	b.mu.Lock()
	var forms []*form
	for _, f := range b.forms {
		if f.ready {
			forms = append(forms, f)
		}
	}
	b.mu.Unlock()
	var lost []*form
	for _, f := range forms {
		now := b.peek(f)
		same, err := b.epoch.opts.Registry.Names(ctx, now.schemaID, now.fields.Schema()) // ready: they are what is registered
		if err != nil {
			return fmt.Errorf("asking the registry for schema %d of form %s: %w", now.schemaID, f.id, err)
		}
		if !same {
			b.forgotten(f, now.schemaID)
			lost = append(lost, f)
		}
	}
	b.mu.Lock()
	b.silent = false
	b.mu.Unlock()
	return b.bring(ctx, lost)
}
