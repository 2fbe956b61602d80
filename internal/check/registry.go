package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"leadstream/connector"
	"leadstream/internal/checkpoint"
	"leadstream/internal/fault"
	"leadstream/schema"
)

const (
	goesOn    = "; without it forms whose schema is known go on, new and changed ones are suspended"
	asLogSays = "look at the registry's log"
	// orBackup is what to do about lost schemas before the connector has seen them.
	orBackup = "restore the registry's backup; without one let the connector run: it registers them anew, and then says from when to replay what cannot be read"
)

// What the registry answers means this.
var (
	registryGood = meaning{"schema registry", Pass,
		"%[1]s; it takes new schemas, as far as can be told without registering one (not: whether it lets a subject's compatibility level be set)", ""}
	registryThere = meaning{"schema registry", Pass, "%[1]s", ""}

	registerUntold  = meaning{"schema registration", Warn, "whether new schemas can be registered cannot be told: %[1]v", "see that the registry lets registry.username register schemas" + goesOn}
	registerRefused = meaning{"schema registration", Fail, "%[1]v", "let registry.username register schemas under the subjects %[2]s*" + goesOn}
	registerFailed  = meaning{"schema registration", Fail, "%[1]v", "%[3]s" + goesOn}

	fieldsUnreadable = meaning{"schemas", Fail, "%[1]v", lookAtRecords}
	schemasLost      = meaning{"schemas", Fail, "the registry does not know schemas that records carry, so that they cannot be read: %[1]s", "%[2]s"}
	schemasOthers    = meaning{"schemas", Fail, "the registry has given ids that records carry to other schemas, so that they are read as what they are not: %[1]s", "%[2]s"}
	schemasKnown     = meaning{"schemas", Pass, "the registry knows all %[1]d that records carry", ""}
)

func registryAnswers(k *checker) bool { return k.registry }

// pingRegistry looks whether the registry is there. Each request to it is bounded by
// its client: how many there are grows with the forms, and so does the time that all
// of them take.
func (k *checker) pingRegistry(ctx context.Context) error {
	err := k.Registry.Ping(ctx)
	k.registry = err == nil
	return err
}

// mayRegister looks whether new schemas can be registered, without registering one.
func (k *checker) mayRegister(ctx context.Context) error {
	c := k.Config
	err := k.Registry.MayRegister(ctx, c.Kafka.TopicPrefix+TrialTopic+"-value")
	if err == nil {
		k.say(registryGood, c.Registry.URL)
		return nil
	}
	k.say(registryThere, c.Registry.URL)
	found := registerFailed
	switch {
	case errors.Is(err, schema.ErrUntold):
		found = registerUntold
	case fault.Has[*schema.AuthError](err):
		found = registerRefused
	}
	k.say(found, err, c.Kafka.TopicPrefix, todoOf(err, asLogSays))
	return nil
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
func (k *checker) schemas(ctx context.Context) error {
	list, err := k.carried()
	if err != nil {
		k.say(fieldsUnreadable, err)
		return nil
	}
	if len(list) == 0 {
		return nil // nothing was registered
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
		return err
	}
	k.named(list, names)
	return nil
}

// named reports what the registry does not name as it should.
func (k *checker) named(list []carried, names []schema.Naming) {
	state := connector.StatusOf(k.state, k.Config.Kafka.TopicPrefix)
	_, todo := state.Unreadable()
	if todo == "" {
		todo = orBackup
	}
	by := map[schema.Naming][]string{}
	for i, s := range list {
		by[names[i]] = append(by[names[i]], fmt.Sprintf("%d of form %s", s.ID, s.form))
	}
	for _, lost := range []struct {
		as    schema.Naming
		means meaning
	}{{schema.Unknown, schemasLost}, {schema.Other, schemasOthers}} {
		if len(by[lost.as]) > 0 {
			k.say(lost.means, few(slices.Sorted(slices.Values(by[lost.as])), 10), todo)
		}
	}
	if len(by[schema.Same]) == len(list) {
		k.say(schemasKnown, len(list))
	}
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
