package connector

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/checkpoint"
	"leadstream/internal/fault"
	"leadstream/schema"
)

// examined is what the registry says of a form.
type examined struct {
	form    form                    // as it was when it was asked about
	current bool                    // its subject holds its schema under its id, or it has none
	lost    []checkpoint.LostSchema // of those that its topic's records carry
}

// verify asks the registry whether it still knows every schema that records carry or
// are written with. What it has lost is restored, else registered anew and known as
// lost from then on. It asks about one form after another and may take long, so that
// no form waits for it meanwhile that does not have to.
func (b *formBook) verify(ctx context.Context) error {
	b.verifying.Lock()
	defer b.verifying.Unlock()
	found, err := b.examine(ctx, b.all())
	if err == nil {
		err = b.restore(ctx, found)
	}
	if b.heard(ctx, err); err != nil {
		return fmt.Errorf("asking the registry for the schemas that records carry: %w", err)
	}
	return b.accept(ctx, found)
}

// all are copies of the forms that are known well enough to be asked about.
func (b *formBook) all() []form {
	b.mu.Lock()
	defer b.mu.Unlock()
	var forms []form
	for _, f := range b.forms {
		if f.fields != nil {
			forms = append(forms, *f)
		}
	}
	return forms
}

// examine asks about forms, in their order.
func (b *formBook) examine(ctx context.Context, forms []form) ([]examined, error) {
	found := make([]examined, len(forms))
	topics := b.leader.store.Topics()
	at := map[string]int{}
	copies := make([]*form, len(forms))
	for i := range forms {
		at[forms[i].id], copies[i] = i, &forms[i]
	}
	err := b.together(ctx, copies, func(ctx context.Context, f *form) (err error) {
		found[at[f.id]], err = b.examineOne(ctx, f, topics[b.leader.store.TopicName(f.id)])
		return err
	})
	return found, err
}

func (b *formBook) examineOne(ctx context.Context, f *form, topic checkpoint.Topic) (examined, error) {
	x := examined{form: *f, current: true}
	if f.registered() {
		var err error
		if x.current, err = b.leader.opts.Registry.Holds(ctx, b.subject(f.id), f.schemaID, f.fields.Schema()); err != nil {
			return x, fmt.Errorf("schema %d of form %s: %w", f.schemaID, f.id, err)
		}
	}
	for _, s := range topic.Carried() {
		if s.ID == f.schemaID && f.registered() && x.current {
			continue
		}
		text, _ := f.fields.Earlier(s.Columns)
		names, err := b.leader.opts.Registry.Names(ctx, s.ID, text)
		if err != nil {
			return x, fmt.Errorf("schema %d of form %s: %w", s.ID, f.id, err)
		}
		if names == schema.Same || b.leader.publishedAnew(f.owner, s) {
			continue
		}
		lost := checkpoint.LostSchema{ID: s.ID, Other: names == schema.Other, Since: b.leader.opts.Now().UTC()}
		if i := slices.IndexFunc(f.lost, func(l checkpoint.LostSchema) bool { return l.ID == s.ID }); i >= 0 {
			lost.Since = f.lost[i].Since
		}
		x.lost = append(x.lost, lost)
	}
	return x, nil
}

// restore gives the registry back what it has lost, where it takes that. It comes
// before anything is registered anew, which could be given one of the lost ids.
func (b *formBook) restore(ctx context.Context, found []examined) error {
	topics := b.leader.store.Topics()
	var lost []*form
	at := map[*form]*examined{}
	for i := range found {
		if x := &found[i]; !x.current && len(x.lost) > 0 {
			lost = append(lost, &x.form)
			at[&x.form] = x
		}
	}
	var restored []string
	err := b.together(ctx, lost, func(ctx context.Context, f *form) error {
		topic := topics[b.leader.store.TopicName(f.id)]
		ids, err := b.leader.opts.Registry.Restore(ctx, b.subject(f.id), at[f].wanted(topic))
		if err != nil || len(ids) == 0 {
			return err
		}
		again, err := b.examineOne(ctx, f, topic)
		if err != nil {
			return err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		at[f].current, at[f].lost = again.current, again.lost
		restored = append(restored, f.id)
		return nil
	})
	if err != nil {
		return err
	}
	if len(restored) > 0 {
		b.leader.log.Warn("the registry had lost schemas that records carry; they stand there again under the same ids",
			zap.String("todo", "nothing for the records; find out why the registry lost them, and back it up"),
			zap.Int("forms", len(restored)), zap.String("among_them", several(restored)))
	}
	return nil
}

// wanted are the schemas to restore, oldest first. What an id given away meant
// cannot be restored.
func (x *examined) wanted(topic checkpoint.Topic) []schema.RegisteredSchema {
	var list []schema.RegisteredSchema
	for _, s := range topic.Carried() {
		lost := slices.ContainsFunc(x.lost, func(l checkpoint.LostSchema) bool { return l.ID == s.ID && !l.Other })
		if text, ok := x.form.fields.Earlier(s.Columns); ok && lost && s.ID != x.form.schemaID {
			list = append(list, schema.RegisteredSchema{ID: s.ID, Version: s.Columns, Schema: text})
		}
	}
	slices.SortStableFunc(list, func(a, b schema.RegisteredSchema) int { return a.Version - b.Version })
	if x.form.registered() {
		list = append(list, schema.RegisteredSchema{ID: x.form.schemaID, Schema: x.form.fields.Schema()})
	}
	return list
}

// accept takes down what the registry said. What it has lost of forms that are in use
// is registered anew; the others are when they are used next.
func (b *formBook) accept(ctx context.Context, found []examined) error {
	var open, anew []string
	b.mu.Lock()
	for i := range found {
		x := &found[i]
		f := b.forms[x.form.id]
		if f.schemaID != x.form.schemaID || f.text != x.form.text {
			continue // registered anew meanwhile
		}
		f.sure = x.current && f.codec != nil
		if x.current {
			continue
		}
		f.ready, f.text = false, [sha256.Size]byte{} // the codec serves until there is another
		anew = append(anew, f.id)
		if f.topic && f.why == nil {
			open = append(open, f.id)
		}
	}
	b.mu.Unlock()
	if len(anew) > 0 {
		b.leader.log.Warn("the registry does not know the schemas of forms any more; they are registered again",
			zap.String("todo", "find out why the registry lost them, and back it up; records that cannot be read any more have a line of their own"),
			zap.Int("forms", len(anew)), zap.String("among_them", several(anew)))
	}
	if err := b.each(ctx, open, (*form).decided, func(forms []*form) error { return b.provision(ctx, forms) }); err != nil {
		return err
	}
	return b.recordLost(ctx, found, open)
}

// recordLost takes down which schemas are lost, after those of some forms were
// registered anew, by which an id may mean again what it did.
func (b *formBook) recordLost(ctx context.Context, found []examined, anew []string) error {
	again, err := b.examine(ctx, slices.DeleteFunc(b.all(), func(f form) bool { return !slices.Contains(anew, f.id) }))
	if err != nil {
		return err
	}
	found = slices.Concat(found, again)
	if err := b.withoutGone(ctx, found); err != nil {
		return err
	}
	var changed []*form
	b.mu.Lock()
	for _, x := range found {
		if f := b.forms[x.form.id]; !slices.Equal(f.lost, x.lost) {
			f.lost, f.saved = x.lost, false
			changed = append(changed, f)
		}
	}
	b.mu.Unlock()
	b.tellLost()
	return b.save(ctx, changed)
}

// withoutGone leaves out what was lost with its topic: nobody reads it any more.
func (b *formBook) withoutGone(ctx context.Context, found []examined) error {
	var ids []string
	for _, x := range found {
		if len(x.lost) > 0 {
			ids = append(ids, x.form.id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	existing, err := b.leader.store.Existing(ctx, ids)
	if err != nil {
		return err
	}
	for i := range found {
		if !existing[found[i].form.id] {
			found[i].lost = nil
		}
	}
	return nil
}

const lostWork = "reading what was published before"

// tellLost says which schemas are lost.
func (b *formBook) tellLost() {
	if lost := b.lostSchemas(); lost != nil {
		b.leader.issues.ReportAs("", lostWork, "records cannot be read", lost)
		return
	}
	b.leader.issues.Resolve(lostWork)
}

// lostSchemas is what is lost of all forms, nil when nothing is.
func (b *formBook) lostSchemas() *lostSchemasError {
	topics := b.leader.store.Topics()
	b.mu.Lock()
	defer b.mu.Unlock()
	e := newLostSchemas(b.leader.opts.Now())
	for _, f := range b.forms {
		e.add(f.id, f.lost, topics[b.leader.store.TopicName(f.id)])
	}
	if len(e.of) == 0 {
		return nil
	}
	return e
}

// lostSchemasError says that records carry schema ids which the registry does not
// know, or has given to other schemas.
type lostSchemasError struct {
	from  time.Time        // the first submission that is concerned
	of    map[string][]int // ids by form
	other bool             // some are other schemas' by now
}

// newLostSchemas is none yet, at that time.
func newLostSchemas(now time.Time) *lostSchemasError {
	return &lostSchemasError{from: now, of: map[string][]int{}}
}

// add adds those of a form.
func (e *lostSchemasError) add(form string, lost []checkpoint.LostSchema, topic checkpoint.Topic) {
	for _, l := range lost {
		e.of[form] = append(e.of[form], l.ID)
		e.other = e.other || l.Other
		e.from = earlier(e.from, l.Since)
		for _, s := range topic.Carried() {
			if s.ID == l.ID {
				e.from = earlier(e.from, s.From)
			}
		}
	}
}

func (e *lostSchemasError) Error() string {
	var forms []string
	for form, ids := range e.of {
		forms = append(forms, form+": "+strings.Trim(fmt.Sprint(ids), "[]"))
	}
	slices.Sort(forms)
	why := "the registry does not know schema ids that records carry, so that they cannot be read"
	if e.other {
		why = "the registry does not know schema ids that records carry, or has given them to other schemas, so that they cannot be read, or are read as what they are not"
	}
	return fmt.Sprintf("%s (ids by form: %s)", why, several(forms))
}

// Fault makes it one for a person.
func (e *lostSchemasError) Fault() fault.Kind { return fault.Suspend }

// Todo is what fixes it.
func (e *lostSchemasError) Todo() string {
	since := "365d" // all that LinkedIn has
	if !e.from.Before(time.Now().Add(-retained)) {
		since = e.from.UTC().Format(time.DateOnly)
	}
	return "restore the registry's backup; without one publish the leads again: leadstream run --replay-from " + since + " --replay-mode all"
}

// publishedAnew reports whether replays have published everything again that was
// published with a schema.
func (e *leader) publishedAnew(owner string, s checkpoint.TopicSchema) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return s.Replayed(e.state().Replays, owner)
}

// several names up to three of many.
func several(names []string) string {
	const shown = 3
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
