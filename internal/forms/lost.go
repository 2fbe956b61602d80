package forms

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
	"leadstream/internal/lead"
	"leadstream/schema"
)

// examined is what the registry says of a form.
type examined struct {
	form    *Form                   // as it was when it was asked about
	current bool                    // its subject holds its schema under its id, or it has none
	lost    []checkpoint.LostSchema // of those that its topic's records carry
}

// verify asks the registry whether it still knows every schema that records carry or
// are written with. What it has lost is restored, else registered anew and known as
// lost from then on. It asks about one form after another and may take long, so that
// no form waits for it meanwhile that does not have to.
func (b *Book) verify(ctx context.Context) error {
	b.verifying.Lock()
	defer b.verifying.Unlock()
	found, err := b.examine(ctx, slices.DeleteFunc(b.All(), func(f *Form) bool { return f.Fields == nil }))
	if err == nil {
		err = b.restore(ctx, found)
	}
	if b.heard(ctx, err); err != nil {
		return fmt.Errorf("asking the registry for the schemas that records carry: %w", err)
	}
	return b.accept(ctx, found)
}

// examine asks about forms, in their order.
func (b *Book) examine(ctx context.Context, forms []*Form) ([]examined, error) {
	found := make([]examined, len(forms))
	for i, f := range forms {
		found[i].form = f
	}
	topics := b.o.Topics.Topics()
	err := together(ctx, b, indices(found), func(ctx context.Context, x *examined) (err error) {
		*x, err = b.examineOne(ctx, x.form, topics[b.o.Topics.TopicName(x.form.ID)])
		return err
	})
	return found, err
}

// indices are pointers to the elements.
func indices(list []examined) []*examined {
	pointers := make([]*examined, len(list))
	for i := range list {
		pointers[i] = &list[i]
	}
	return pointers
}

func (b *Book) examineOne(ctx context.Context, f *Form, topic checkpoint.Topic) (examined, error) {
	x := examined{form: f, current: true}
	if f.registered() {
		var err error
		if x.current, err = b.o.Registry.Holds(ctx, b.subject(f.ID), f.SchemaID, f.Fields.Schema()); err != nil {
			return x, fmt.Errorf("schema %d of form %s: %w", f.SchemaID, f.ID, err)
		}
	}
	for _, s := range topic.Carried() {
		if s.ID == f.SchemaID && f.registered() && x.current {
			continue
		}
		text, _ := f.Fields.Earlier(s.Columns)
		names, err := b.o.Registry.Names(ctx, s.ID, text)
		if err != nil {
			return x, fmt.Errorf("schema %d of form %s: %w", s.ID, f.ID, err)
		}
		if names == schema.Same || s.Replayed(b.o.Recorder.Replays(), f.Owner) {
			continue
		}
		lost := checkpoint.LostSchema{ID: s.ID, Other: names == schema.Other, Since: b.o.Now().UTC()}
		if i := slices.IndexFunc(f.Lost, func(l checkpoint.LostSchema) bool { return l.ID == s.ID }); i >= 0 {
			lost.Since = f.Lost[i].Since
		}
		x.lost = append(x.lost, lost)
	}
	return x, nil
}

// restore gives the registry back what it has lost, where it takes that. It comes before anything
// is registered anew, which could be given one of the lost ids.
func (b *Book) restore(ctx context.Context, found []examined) error {
	topics := b.o.Topics.Topics()
	lost := slices.DeleteFunc(indices(found), func(x *examined) bool { return x.current || len(x.lost) == 0 })
	restored := make(chan string, len(lost))
	err := together(ctx, b, lost, func(ctx context.Context, x *examined) error {
		topic := topics[b.o.Topics.TopicName(x.form.ID)]
		ids, err := b.o.Registry.Restore(ctx, b.subject(x.form.ID), x.wanted(topic))
		if err != nil || len(ids) == 0 {
			return err
		}
		if *x, err = b.examineOne(ctx, x.form, topic); err == nil {
			restored <- x.form.ID
		}
		return err
	})
	close(restored)
	if err != nil || len(restored) == 0 {
		return err
	}
	var names []string
	for id := range restored {
		names = append(names, id)
	}
	b.o.Log.Warn("the registry had lost schemas that records carry; they stand there again under the same ids",
		zap.String("todo", "nothing for the records; find out why the registry lost them, and back it up"),
		zap.Int("forms", len(names)), zap.String("among_them", several(names)))
	return nil
}

// wanted are the schemas to restore, oldest first. What an id given away meant
// cannot be restored.
func (x *examined) wanted(topic checkpoint.Topic) []schema.RegisteredSchema {
	var list []schema.RegisteredSchema
	for _, s := range topic.Carried() {
		lost := slices.ContainsFunc(x.lost, func(l checkpoint.LostSchema) bool { return l.ID == s.ID && !l.Other })
		if text, ok := x.form.Fields.Earlier(s.Columns); ok && lost && s.ID != x.form.SchemaID {
			list = append(list, schema.RegisteredSchema{ID: s.ID, Version: s.Columns, Schema: text})
		}
	}
	slices.SortStableFunc(list, func(a, b schema.RegisteredSchema) int { return a.Version - b.Version })
	if x.form.registered() {
		list = append(list, schema.RegisteredSchema{ID: x.form.SchemaID, Schema: x.form.Fields.Schema()})
	}
	return list
}

// accept takes in what the registry said. What it has lost of forms that are in use is
// registered anew; the others are when they are used next.
func (b *Book) accept(ctx context.Context, found []examined) error {
	var open, anew []string
	b.mu.Lock()
	for _, x := range found {
		f := b.forms[x.form.ID]
		if f.SchemaID != x.form.SchemaID || f.text != x.form.text {
			continue // registered anew meanwhile
		}
		f = b.changeLocked(f.ID, func(f *Form) {
			f.sure = x.current && f.Codec != nil
			if !x.current {
				f.text = [sha256.Size]byte{} // the codec serves until there is another
				f.on(Changed)
			}
		})
		if x.current {
			continue
		}
		anew = append(anew, f.ID)
		if f.topic && f.State != Suspended {
			open = append(open, f.ID)
		}
	}
	b.mu.Unlock()
	if len(anew) > 0 {
		b.o.Log.Warn("the registry does not know the schemas of forms any more; they are registered again",
			zap.String("todo", "find out why the registry lost them, and back it up; records that cannot be read any more have a line of their own"),
			zap.Int("forms", len(anew)), zap.String("among_them", several(anew)))
	}
	if err := b.each(ctx, open, (*Form).decided, func(ids []string) error { return b.provision(ctx, ids) }); err != nil {
		return err
	}
	return b.recordLost(ctx, found, open)
}

// recordLost takes in which schemas are lost, after those of some forms were registered anew, by
// which an id may mean again what it did.
func (b *Book) recordLost(ctx context.Context, found []examined, anew []string) error {
	forms := make([]*Form, len(anew))
	for i, id := range anew {
		forms[i] = b.Get(id)
	}
	again, err := b.examine(ctx, forms)
	if err != nil {
		return err
	}
	found = slices.Concat(found, again)
	if err := b.withoutGone(ctx, found); err != nil {
		return err
	}
	var changed []string
	for _, x := range found {
		if id := x.form.ID; !slices.Equal(b.Get(id).Lost, x.lost) {
			b.change(id, func(f *Form) { f.Lost, f.saved = x.lost, false })
			changed = append(changed, id)
		}
	}
	b.tellLost()
	return b.save(ctx, changed)
}

// withoutGone leaves out what was lost with its topic: nobody reads it any more.
func (b *Book) withoutGone(ctx context.Context, found []examined) error {
	var ids []string
	for _, x := range found {
		if len(x.lost) > 0 {
			ids = append(ids, x.form.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	existing, err := b.o.Topics.Existing(ctx, ids)
	if err != nil {
		return err
	}
	for i := range found {
		if !existing[found[i].form.ID] {
			found[i].lost = nil
		}
	}
	return nil
}

const lostWork = "reading what was published before"

// tellLost says which schemas are lost.
func (b *Book) tellLost() {
	if lost := b.lostSchemas(); lost != nil {
		b.o.Issues.ReportAs("", lostWork, "records cannot be read", lost)
		return
	}
	b.o.Issues.Resolve(lostWork)
}

// lostSchemas is what is lost of all forms, nil when nothing is.
func (b *Book) lostSchemas() *LostError {
	topics := b.o.Topics.Topics()
	e := NewLost(b.o.Now())
	for _, f := range b.All() {
		e.Add(f.ID, f.Lost, topics[b.o.Topics.TopicName(f.ID)])
	}
	if len(e.IDs) == 0 {
		return nil
	}
	return e
}

// LostError says that records carry schema ids which the registry does not
// know, or has given to other schemas.
type LostError struct {
	From  time.Time        // the first submission that is concerned
	IDs   map[string][]int // by form
	Other bool             // some are other schemas' by now
}

// NewLost is none yet, at that time.
func NewLost(now time.Time) *LostError {
	return &LostError{From: now, IDs: map[string][]int{}}
}

// Add adds those of a form.
func (e *LostError) Add(form string, lost []checkpoint.LostSchema, topic checkpoint.Topic) {
	for _, l := range lost {
		e.IDs[form] = append(e.IDs[form], l.ID)
		e.Other = e.Other || l.Other
		e.From = lead.Earlier(e.From, l.Since)
		for _, s := range topic.Carried() {
			if s.ID == l.ID {
				e.From = lead.Earlier(e.From, s.From)
			}
		}
	}
}

func (e *LostError) Error() string {
	var forms []string
	for form, ids := range e.IDs {
		forms = append(forms, form+": "+strings.Trim(fmt.Sprint(ids), "[]"))
	}
	slices.Sort(forms)
	why := "the registry does not know schema ids that records carry, so that they cannot be read"
	if e.Other {
		why = "the registry does not know schema ids that records carry, or has given them to other schemas, so that they cannot be read, or are read as what they are not"
	}
	return fmt.Sprintf("%s (ids by form: %s)", why, several(forms))
}

// Fault makes it one for a person.
func (e *LostError) Fault() fault.Kind { return fault.Suspend }

// Todo is what fixes it.
func (e *LostError) Todo() string {
	since := "365d" // all that LinkedIn has
	if !e.From.Before(time.Now().Add(-lead.Retained)) {
		since = e.From.UTC().Format(time.DateOnly)
	}
	return "restore the registry's backup; without one publish the leads again: leadstream run --replay-from " + since + " --replay-mode all"
}

// several names up to three of many.
func several(names []string) string {
	const shown = 3
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
