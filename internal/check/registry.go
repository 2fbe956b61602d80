package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"leadstream/connector"
	"leadstream/internal/checkpoint"
	"leadstream/internal/fault"
	"leadstream/schema"
)

// registry looks whether the registry is there, takes new schemas, and knows those
// that records carry. Each request to it is bounded by its client: how many there are
// grows with the forms, and so does the time that all of them take.
func (k *checker) registry(ctx context.Context) {
	k.At("schema registry", 0, 0)
	if err := k.Registry.Ping(ctx); err != nil {
		k.fail("schema registry", "look at registry.url, registry.username, registry.password and registry.ca_file", err)
		return
	}
	k.writable(ctx)
	k.schemas(ctx)
}

// writable looks whether new schemas can be registered, without registering one.
func (k *checker) writable(ctx context.Context) {
	const check = "schema registration"
	c := k.Config
	err := k.Registry.MayRegister(ctx, c.Kafka.TopicPrefix+TrialTopic+"-value")
	if err == nil {
		k.pass("schema registry", "%s; it takes new schemas, as far as can be told without registering one (not: whether it lets a subject's compatibility level be set)", c.Registry.URL)
		return
	}
	k.pass("schema registry", "%s", c.Registry.URL)
	const goesOn = "; without it forms whose schema is known go on, new and changed ones are suspended"
	switch {
	case errors.Is(err, schema.ErrUntold):
		k.warn(check, "see that the registry lets registry.username register schemas"+goesOn, "whether new schemas can be registered cannot be told: %v", err)
	case is[*schema.AuthError](err):
		k.fail(check, "let registry.username register schemas under the subjects "+c.Kafka.TopicPrefix+"*"+goesOn, err)
	default:
		k.fail(check, cmp.Or(fault.TodoOf(err), "look at the registry's log")+goesOn, err)
	}
}

// schemasAtOnce is how many questions are put to the registry at once.
const schemasAtOnce = 8

// carried is a schema that records carry.
type carried struct {
	form string
	checkpoint.TopicSchema
	text string // empty when it is not known
}

// schemas looks whether the registry still has the schemas that records carry.
func (k *checker) schemas(ctx context.Context) {
	const check = "schemas"
	list, err := k.carried()
	if err != nil {
		k.fail(check, "see docs/records.md; leadstream checkpoints list shows the records", err)
		return
	}
	if len(list) == 0 {
		return // nothing was registered
	}
	names := make([]schema.Naming, len(list))
	var asked atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(schemasAtOnce)
	for i := range list {
		group.Go(func() (err error) {
			names[i], err = k.Registry.Names(ctx, list[i].ID, list[i].text)
			k.At("schemas in the registry", int(asked.Add(1)), len(list))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		k.fail(check, "look at the registry's log", err)
		return
	}
	k.lost(check, list, names)
}

// lost reports what the registry does not name as it should.
func (k *checker) lost(check string, list []carried, names []schema.Naming) {
	state := connector.StatusOf(k.state, k.Config.Kafka.TopicPrefix)
	_, todo := state.Unreadable()
	if todo == "" {
		todo = "restore the registry's backup; without one let the connector run: it registers them anew, and then says from when to replay what cannot be read"
	}
	var unknown, others []string
	for i, s := range list {
		switch text := fmt.Sprintf("%d of form %s", s.ID, s.form); names[i] {
		case schema.Unknown:
			unknown = append(unknown, text)
		case schema.Other:
			others = append(others, text)
		case schema.Same:
		}
	}
	if len(unknown) > 0 {
		k.failf(check, todo, "the registry does not know schemas that records carry, so that they cannot be read: %s", few(unknown))
	}
	if len(others) > 0 {
		k.failf(check, todo, "the registry has given ids that records carry to other schemas, so that they are read as what they are not: %s", few(others))
	}
	if len(unknown)+len(others) == 0 {
		k.pass(check, "the registry knows all %d that records carry", len(list))
	}
}

// few is a list of many that fits a line.
func few(list []string) string {
	slices.Sort(list)
	const most = 10
	if n := len(list) - most; n > 0 {
		return strings.Join(list[:most], ", ") + fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(list, ", ")
}

// carried are the schemas that records carry, and those that the next ones will.
func (k *checker) carried() ([]carried, error) {
	var list []carried
	for _, form := range slices.Sorted(maps.Keys(k.state.Forms)) {
		saved := k.state.Forms[form]
		fields := new(schema.Fields)
		if err := saved.ReadFields(form, fields); err != nil {
			return nil, err
		}
		if _, there := k.there[k.Config.Kafka.TopicPrefix+form]; k.there != nil && !there {
			continue // what it carried is gone with it
		}
		schemas := slices.DeleteFunc(slices.Clone(k.state.Topics[form].Carried()), func(s checkpoint.TopicSchema) bool {
			return s.ID != saved.SchemaID && s.Replayed(k.state.Replays, saved.Owner)
		})
		if saved.SchemaID != 0 && !slices.ContainsFunc(schemas, func(s checkpoint.TopicSchema) bool { return s.ID == saved.SchemaID }) {
			schemas = append(schemas, checkpoint.TopicSchema{ID: saved.SchemaID, Columns: fields.Len()})
		}
		for _, s := range schemas {
			text, _ := fields.Earlier(s.Columns)
			list = append(list, carried{form: form, TopicSchema: s, text: text})
		}
	}
	return list, nil
}
