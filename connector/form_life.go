package connector

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.uber.org/zap"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// load gives a form its fields: those of the checkpoint, else those of the
// registry (a lost checkpoint forgets no name), else new ones, with the version
// that the response answered. Only what ends the epoch is returned.
func (b *formBook) load(ctx context.Context, f *form, r *lead.Response) error {
	if f.fields == nil {
		fields, err := b.remembered(ctx, f.id)
		if err != nil {
			return b.suspendUnlessGone(ctx, f, err)
		}
		b.set(f, func() { f.fields = fields })
	}
	if r != nil && !f.fields.HasVersion(r.Form.Version) {
		return b.ask(ctx, f, r)
	}
	return nil
}

// ask fetches what the form lacks for a response: its current version, and the
// one that was answered when that is another.
func (b *formBook) ask(ctx context.Context, f *form, r *lead.Response) error {
	now := b.leader.opts.Now()
	b.set(f, func() {
		f.asked[int64(r.Form.Version)] = now
		for _, a := range r.Answers {
			f.asked[-a.QuestionID] = now
		}
	})
	current, err := b.leader.opts.LinkedIn.Form(ctx, f.id)
	if err == nil {
		b.add(f, current)
		if !f.fields.HasVersion(r.Form.Version) {
			var answered lead.Form
			if answered, err = b.leader.opts.LinkedIn.FormVersion(ctx, r.Form, r.ID); err == nil {
				b.add(f, answered)
			}
		}
	}
	switch {
	case err == nil:
		return nil
	case fault.RefusalOf(err) == fault.Gone:
		b.set(f, func() { f.gone = current.ID == "" })
		b.leader.log.Warn("LinkedIn does not show a form any more; its leads go out with what is known of it", zap.String("form", f.id), zap.Error(err), todoField(err))
		return nil
	}
	return b.suspendUnlessGone(ctx, f, unreadForm(f.id, err))
}

// unreadForm is why a form cannot be read. The leads that take it were read just
// now, so what waits for a person is not everything but this form; if it is
// everything, the next poll says so.
func unreadForm(id string, err error) error {
	err = fmt.Errorf("reading form %s: %w", id, err)
	if fault.KindOf(err) == fault.Pause {
		return fault.As(fault.Suspend, err)
	}
	return err
}

// refuse suspends a form of an event that LinkedIn refuses to show, before a lead
// needs it. One that is known goes on with what is known until it lacks something.
func (b *formBook) refuse(id, owner string, why error) {
	f := b.get(id, owner)
	if now := b.peek(f); now.fields == nil && now.why == nil {
		b.suspend(id, unreadForm(id, why))
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

// provision makes forms ready: topics exist, names are committed, schemas are
// registered, in this order. What one form lacks suspends that form.
func (b *formBook) provision(ctx context.Context, forms []*form) error {
	var ids []string
	for _, f := range forms {
		if now := b.peek(f); now.fields != nil && !now.ready && now.why == nil {
			ids = append(ids, f.id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	refused, recreated, err := b.leader.ensureTopics(ctx, ids)
	for _, r := range recreated {
		id := strings.TrimPrefix(r.Topic, b.leader.store.TopicName(""))
		b.leader.issues.ReportAs(id, "using topic "+r.Topic, "a lead topic was deleted; what bears its name now is another one", r, zap.String("topic", r.Topic), zap.Int64("leads_before", r.Leads))
	}
	if err != nil {
		return err
	}
	var open []*form
	for _, id := range ids {
		if why := refused[id]; why != nil {
			b.suspend(id, why)
			continue
		}
		f := b.get(id, "")
		b.set(f, func() { f.topic = true })
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
	if len(b.unsaved(forms)) == 0 {
		return nil
	}
	if err := b.leader.ask(ctx, &saveForms{book: b, forms: forms}); err != nil {
		return fmt.Errorf("committing the names of %d forms: %w", len(forms), err)
	}
	return nil
}

// saveForms commits what the checkpoint keeps of forms, as they are when it is handled: an
// older one must not follow.
type saveForms struct {
	book  *formBook
	forms []*form
}

func (m *saveForms) handle(ctx context.Context, e *leader) error {
	changed, records := m.book.unsaved(m.forms), checkpoint.Records{}
	for i := range changed {
		record, err := changed[i].record()
		if err != nil {
			return err
		}
		records[checkpoint.FormKey(changed[i].id)] = record
	}
	err := e.store.Commit(ctx, delivery.Batch{Records: records})
	if err == nil {
		m.book.wasSaved(changed)
	}
	return err
}

// wasSaved takes in that the forms were committed as they were.
func (b *formBook) wasSaved(changed []form) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range changed {
		was, f := &changed[i], b.forms[changed[i].id]
		if f.fields == was.fields && f.schemaID == was.schemaID && slices.Equal(f.lost, was.lost) {
			f.saved = true
		}
		if f.recorded = 0; was.registered() {
			f.recorded = was.schemaID
		}
	}
}

// unsaved are copies of those of the forms whose record is not as they are.
func (b *formBook) unsaved(forms []*form) []form {
	b.mu.Lock()
	defer b.mu.Unlock()
	var changed []form
	for _, each := range forms {
		if f := b.forms[each.id]; !f.saved && f.why == nil {
			changed = append(changed, *f)
		}
	}
	return changed
}

// record is what the checkpoint keeps of the form.
func (f *form) record() (checkpoint.Form, error) {
	fields, err := json.Marshal(f.fields)
	if err != nil {
		return checkpoint.Form{}, fmt.Errorf("encoding the fields of form %s: %w", f.id, err)
	}
	record := checkpoint.Form{Fields: fields, Owner: f.owner, Name: f.name, Lost: f.lost}
	if f.registered() {
		record.SchemaID, record.SchemaVersion = f.schemaID, f.version
	}
	return record, nil
}

// registered reports whether the form's schema id is that of exactly its fields.
func (f *form) registered() bool { return f.codec != nil && f.text == digest(f.fields.Schema()) }

// lacking are responses, one for each thing, that name a version or a question
// which their form does not know and which LinkedIn was not asked for lately.
func (b *formBook) lacking(responses []*lead.Response, asked map[lead.FormRef]bool) []*lead.Response {
	b.mu.Lock()
	defer b.mu.Unlock()
	var lacking []*lead.Response
	now := b.leader.opts.Now()
	recent := func(f *form, what int64) bool {
		at, asked := f.asked[what]
		return asked && now.Sub(at) < b.leader.opts.Discovery
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
	of := map[string][]*lead.Response{}
	for _, r := range responses {
		of[r.Form.ID] = append(of[r.Form.ID], r)
	}
	return b.each(ctx, slices.Collect(maps.Keys(of)), nil, func(forms []*form) error {
		err := b.together(ctx, forms, func(ctx context.Context, f *form) error {
			for _, r := range of[f.id] {
				if err := b.ask(ctx, f, r); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		return b.provision(ctx, forms)
	})
}
