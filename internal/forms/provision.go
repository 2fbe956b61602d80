package forms

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
	"leadstream/schema"
)

// Prepare makes the forms that these responses name ready, as far as that can be. A form that
// cannot be is suspended; it is tried again by Recover, not here. The error concerns more than
// one form.
func (b *Book) Prepare(ctx context.Context, responses []*lead.Response) error {
	samples := map[string]*lead.Response{}
	b.mu.Lock()
	var last string
	for _, r := range responses {
		if r.Form.ID == last {
			continue
		}
		last = r.Form.ID
		if f := b.forms[last]; f == nil || !f.decided() {
			samples[last] = r
		}
	}
	b.mu.Unlock()
	return b.each(ctx, slices.Sorted(maps.Keys(samples)), (*Form).decided, func(ids []string) error {
		err := together(ctx, b, ids, func(ctx context.Context, id string) error {
			b.change(id, func(f *Form) { f.Owner = cmp.Or(f.Owner, samples[id].Owner) })
			return b.read(ctx, id, samples[id])
		})
		if err != nil {
			return err
		}
		return b.provision(ctx, ids)
	})
}

// Listed takes in the current versions of an organization's forms: of those on events, and of
// those that are known.
func (b *Book) Listed(ctx context.Context, listed []lead.Form, onEvents map[string]bool) error {
	versions := map[string][]lead.Form{}
	for _, version := range listed {
		if b.Get(version.ID) == nil && !onEvents[version.ID] {
			continue
		}
		b.o.Issues.Resolve(reading(version.ID))
		// A form that is suspended before it is prepared has a name as well.
		b.change(version.ID, func(f *Form) { f.Owner, f.Name = cmp.Or(f.Owner, version.Owner), version.Name })
		versions[version.ID] = append(versions[version.ID], version)
	}
	suspended := func(f *Form) bool { return f.State == Suspended }
	return b.each(ctx, slices.Sorted(maps.Keys(versions)), suspended, func(ids []string) error {
		err := together(ctx, b, ids, func(ctx context.Context, id string) error {
			if err := b.read(ctx, id, nil); err != nil {
				return err
			}
			if b.Get(id).Fields == nil {
				return nil // suspended just now
			}
			for _, version := range versions[id] {
				b.change(id, func(f *Form) { f.add(version) })
			}
			return nil
		})
		if err != nil {
			return err
		}
		return b.provision(ctx, ids)
	})
}

// Lacking are responses, one for each thing, that name a version or a question which their
// form does not know, and for which LinkedIn was not asked lately. Those of the forms in asked
// are left out.
func (b *Book) Lacking(responses []*lead.Response, asked map[lead.FormRef]bool) []*lead.Response {
	b.mu.Lock()
	defer b.mu.Unlock()
	var lacking []*lead.Response
	now := b.o.Now()
	recent := func(f *Form, what int64) bool {
		at, asked := f.asked[what]
		return asked && now.Sub(at) < b.o.Discovery
	}
	noted := map[lead.FormRef]bool{}
	for _, r := range responses {
		f := b.forms[r.Form.ID]
		if asked[r.Form] || noted[r.Form] {
			continue
		}
		lacks := !f.Fields.HasVersion(r.Form.Version) && !recent(f, int64(r.Form.Version))
		for i := range r.Answers {
			id := r.Answers[i].QuestionID
			if !f.Fields.HasQuestion(r.Form.Version, id) && !recent(f, -id) {
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

// Learn asks LinkedIn for what the forms of these responses lack, and makes them ready again.
func (b *Book) Learn(ctx context.Context, responses []*lead.Response) error {
	of := map[string][]*lead.Response{}
	for _, r := range responses {
		of[r.Form.ID] = append(of[r.Form.ID], r)
	}
	return b.each(ctx, slices.Sorted(maps.Keys(of)), nil, func(ids []string) error {
		err := together(ctx, b, ids, func(ctx context.Context, id string) error {
			for _, r := range of[id] {
				if err := b.ask(ctx, id, r); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		return b.provision(ctx, ids)
	})
}

// read gives a form its fields, and with a response the version that it answered. Only what
// ends the session is returned.
func (b *Book) read(ctx context.Context, id string, r *lead.Response) error {
	f := b.Get(id)
	if f.Fields == nil {
		fields, err := b.remembered(ctx, id)
		if err != nil {
			return b.suspendUnlessGreater(ctx, id, err)
		}
		f = b.change(id, func(f *Form) {
			f.Fields = fields
			f.on(Read)
		})
	}
	if r != nil && !f.Fields.HasVersion(r.Form.Version) {
		return b.ask(ctx, id, r)
	}
	return nil
}

// remembered are a form's fields as the registry holds them, so that a lost checkpoint forgets
// no name; new ones when it holds none.
func (b *Book) remembered(ctx context.Context, id string) (*schema.Fields, error) {
	versions, err := b.o.Registry.Versions(ctx, b.subject(id))
	if b.heard(ctx, err); err != nil {
		return nil, fmt.Errorf("reading the schemas of subject %s: %w", b.subject(id), err)
	}
	if len(versions) == 0 {
		return schema.New(id, b.o.Choice), nil
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

func (b *Book) subject(id string) string { return b.o.Topics.TopicName(id) + "-value" }

// ask reads what a form lacks for a response: its current version, and the one that was
// answered when that is another.
func (b *Book) ask(ctx context.Context, id string, r *lead.Response) error {
	now := b.o.Now()
	b.change(id, func(f *Form) {
		asked := maps.Clone(f.asked)
		if asked == nil {
			asked = map[int64]time.Time{}
		}
		asked[int64(r.Form.Version)] = now
		for _, a := range r.Answers {
			asked[-a.QuestionID] = now
		}
		f.asked = asked
	})
	current, err := b.o.LinkedIn.Form(ctx, id)
	if err == nil {
		f := b.change(id, func(f *Form) { f.add(current) })
		if !f.Fields.HasVersion(r.Form.Version) {
			var answered lead.Form
			if answered, err = b.o.LinkedIn.FormVersion(ctx, r.Form, r.ID); err == nil {
				b.change(id, func(f *Form) { f.add(answered) })
			}
		}
	}
	switch {
	case err == nil:
		return nil
	case fault.RefusalOf(err) == fault.Gone:
		b.change(id, func(f *Form) { f.Gone = current.ID == "" })
		b.o.Log.Warn("LinkedIn does not show a form any more; its leads go out with what is known of it", zap.String("form", id), zap.Error(err),
			zap.String("todo", cmp.Or(fault.TodoOf(err), "nothing, if the form was deleted on LinkedIn")))
		return nil
	}
	return b.suspendUnlessGreater(ctx, id, unread(id, err))
}

// unread is why a form cannot be read. The leads that take it were read just now, so what waits
// for a person is this form and not everything; if it is everything, the next poll says so.
func unread(id string, err error) error {
	err = fmt.Errorf("reading form %s: %w", id, err)
	if fault.KindOf(err) == fault.Pause {
		return fault.As(fault.Suspend, err)
	}
	return err
}

// provision makes forms ready: topics exist, names are committed, schemas are registered, in
// this order. What one form lacks suspends that form.
func (b *Book) provision(ctx context.Context, ids []string) error {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return b.Get(id).State != Provisioning })
	if len(ids) == 0 {
		return nil
	}
	refused, err := b.o.Topics.EnsureTopics(ctx, ids)
	if err != nil {
		return err
	}
	var open []string
	for _, id := range ids {
		if why := refused[id]; why != nil {
			b.Suspend(id, why)
			continue
		}
		b.change(id, func(f *Form) { f.topic = true })
		open = append(open, id)
	}
	if err := b.save(ctx, open); err != nil {
		return err
	}
	if err := together(ctx, b, open, b.register); err != nil {
		return err
	}
	return b.save(ctx, open)
}

// register gives a form a registered schema and a codec of it. A form whose codec still serves
// needs no registry. What is left to be done for it then, to save its id, others need not wait
// for.
func (b *Book) register(ctx context.Context, id string) error {
	f := b.Get(id)
	text, schemaID, version := f.Fields.Schema(), f.SchemaID, f.Version
	anew := f.Codec == nil || f.text != digest(text)
	if anew {
		registered, err := b.o.Registry.Ensure(ctx, b.subject(id), text)
		if b.heard(ctx, err); err != nil {
			// Also where the registry refuses our password: forms that need nothing of it go on.
			return b.suspendUnlessGreater(ctx, id, fault.As(fault.Suspend, fmt.Errorf("registering the schema of form %s: %w", id, err)))
		}
		schemaID, version = registered.ID, registered.Version
	}
	codec, err := schema.Compile(f.Fields, schemaID)
	if err != nil {
		return b.suspendUnlessGreater(ctx, id, fmt.Errorf("compiling the schema of form %s: %w", id, err))
	}
	b.mu.Lock()
	own := b.held[id]
	b.changeLocked(id, func(f *Form) {
		f.saved = f.saved && f.recorded == schemaID
		f.sure = f.sure || anew
		f.Codec, f.SchemaID, f.Version, f.text = codec, schemaID, version, digest(text)
		if f.topic {
			f.on(Provisioned)
		}
	})
	b.mu.Unlock()
	b.release(own, []string{id})
	return nil
}

// save commits the records of those forms that changed.
func (b *Book) save(ctx context.Context, ids []string) error {
	if len(b.Unsaved(ids)) == 0 {
		return nil
	}
	if err := b.o.Recorder.SaveForms(ctx, ids); err != nil {
		return fmt.Errorf("committing the names of %d forms: %w", len(ids), err)
	}
	return nil
}

// Unsaved are those of the forms whose record in the checkpoint is not as they are.
func (b *Book) Unsaved(ids []string) []*Form {
	b.mu.Lock()
	defer b.mu.Unlock()
	var changed []*Form
	for _, id := range ids {
		if f := b.forms[id]; !f.saved && f.State != Suspended {
			changed = append(changed, f)
		}
	}
	return changed
}

// Saved takes in that the checkpoint holds the forms as these say.
func (b *Book) Saved(forms []*Form) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, was := range forms {
		b.changeLocked(was.ID, func(f *Form) {
			if f.Fields == was.Fields && f.SchemaID == was.SchemaID && slices.Equal(f.Lost, was.Lost) {
				f.saved = true
			}
			if f.recorded = 0; was.registered() {
				f.recorded = was.SchemaID
			}
		})
	}
}
