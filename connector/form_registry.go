package connector

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"leadstream/internal/fault"
	"leadstream/schema"
)

func digest(schema string) [sha256.Size]byte { return sha256.Sum256([]byte(schema)) }

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

// register gives each form a registered schema and a codec of it. A form whose
// codec still serves (same schema) does not need the registry.
func (b *formBook) register(ctx context.Context, forms []*form) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(b.epoch.opts.Concurrency, 1))
	for _, f := range forms {
		group.Go(func() error {
			now := b.peek(f)
			text := now.fields.Schema()
			id, version := now.schemaID, now.version
			known := now.codec != nil && now.text == digest(text) && b.named(ctx, f, text)
			if !known {
				registered, err := b.epoch.opts.Registry.Ensure(ctx, b.subject(f.id), text)
				if err != nil {
					// Also where the registry refuses our password: forms that
					// need nothing of it go on.
					return b.bar(ctx, f, fault.As(fault.Suspend, fmt.Errorf("registering the schema of form %s: %w", f.id, err)))
				}
				id, version = registered.ID, registered.Version
			}
			codec, err := schema.Compile(now.fields, id)
			if err != nil {
				return b.bar(ctx, f, fmt.Errorf("compiling the schema of form %s: %w", f.id, err))
			}
			b.set(f, func() {
				f.saved = f.saved && f.recorded == id
				f.sure = f.sure || !known
				f.codec, f.schemaID, f.version, f.text, f.ready = codec, id, version, digest(text), f.why == nil
			})
			return nil
		})
	}
	return group.Wait()
}

// askingForSchemas is the work of finding out whether the registry was rebuilt.
const askingForSchemas = "asking the registry whether it still knows the schemas"

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
	same, err := b.epoch.opts.Registry.Holds(question, b.subject(f.id), now.schemaID, text)
	switch {
	case ctx.Err() != nil: // nothing goes out any more
		return true
	case err != nil:
		b.epoch.troubles.Report("", askingForSchemas, "the registry does not tell whether it still knows a form's schema; its leads go on with the one that was registered before", err,
			zap.String("form", f.id), zap.Int("schema", now.schemaID))
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
	b.epoch.log.Warn("the registry does not know a form's schema any more; registering it again", zap.String("form", f.id), zap.Int("schema", id),
		zap.String("todo", "restore the registry's backup if there is one: records written before name ids that it does not know"))
	b.set(f, func() { f.ready, f.text = false, [sha256.Size]byte{} })
}

// verify asks the registry whether the ids still name the schemas; a registry
// that was rebuilt is given them again. It asks about one form after another and
// may take long, so that nothing waits for it meanwhile.
func (b *formBook) verify(ctx context.Context) error {
	b.mu.Lock()
	var asked []form // as they are now
	for _, f := range b.forms {
		if f.ready {
			asked = append(asked, *f)
		}
	}
	b.mu.Unlock()
	var lost []form
	for i := range asked {
		f := &asked[i]
		same, err := b.epoch.opts.Registry.Holds(ctx, b.subject(f.id), f.schemaID, f.fields.Schema()) // ready: they are what is registered
		if err != nil {
			return fmt.Errorf("asking the registry for schema %d of form %s: %w", f.schemaID, f.id, err)
		}
		if !same {
			lost = append(lost, *f)
		}
	}
	b.mu.Lock()
	b.silent = false
	b.mu.Unlock()
	return b.restore(ctx, lost)
}

// restore registers schemas that the registry has lost, of forms that were not
// registered anew since they were asked for.
func (b *formBook) restore(ctx context.Context, lost []form) error {
	b.work.Lock()
	defer b.work.Unlock()
	var open []*form
	for i := range lost {
		f := b.get(lost[i].id, "")
		if now := b.peek(f); now.ready && now.schemaID == lost[i].schemaID && now.text == lost[i].text {
			b.forgotten(f, now.schemaID)
			open = append(open, f)
		}
	}
	return b.bring(ctx, open)
}
