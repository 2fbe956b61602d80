package connector

import (
	"context"
	"crypto/sha256"
	"fmt"

	"leadstream/internal/fault"
	"leadstream/schema"
)

func digest(schema string) [sha256.Size]byte { return sha256.Sum256([]byte(schema)) }

// remembered rebuilds a form's fields from what the registry holds.
func (b *formBook) remembered(ctx context.Context, id string) (*schema.Fields, error) {
	versions, err := b.leader.opts.Registry.Versions(ctx, b.subject(id))
	if b.heard(ctx, err); err != nil {
		return nil, fmt.Errorf("reading the schemas of subject %s: %w", b.subject(id), err)
	}
	if len(versions) == 0 {
		return schema.New(id, b.leader.opts.Choice), nil
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

func (b *formBook) subject(id string) string { return b.leader.store.TopicName(id) + "-value" }

// register gives each form a registered schema and a codec of it. A form whose
// codec still serves (same schema) does not need the registry. What is left to be
// done for a form then, to save its id, others need not wait for.
func (b *formBook) register(ctx context.Context, forms []*form) error {
	return b.together(ctx, forms, func(ctx context.Context, f *form) error {
		now := b.peek(f)
		text := now.fields.Schema()
		id, version := now.schemaID, now.version
		anew := now.codec == nil || now.text != digest(text)
		if anew {
			registered, err := b.leader.opts.Registry.Ensure(ctx, b.subject(f.id), text)
			if b.heard(ctx, err); err != nil {
				// Also where the registry refuses our password: forms that
				// need nothing of it go on.
				return b.suspendUnlessGone(ctx, f, fault.As(fault.Suspend, fmt.Errorf("registering the schema of form %s: %w", f.id, err)))
			}
			id, version = registered.ID, registered.Version
		}
		codec, err := schema.Compile(now.fields, id)
		if err != nil {
			return b.suspendUnlessGone(ctx, f, fmt.Errorf("compiling the schema of form %s: %w", f.id, err))
		}
		b.set(f, func() {
			f.saved = f.saved && f.recorded == id
			f.sure = f.sure || anew
			f.codec, f.schemaID, f.version, f.text = codec, id, version, digest(text)
			f.ready = f.topic && f.why == nil
			b.free(f)
		})
		return nil
	})
}
