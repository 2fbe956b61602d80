// Package teardown knows what an installation made, in Kafka, in the registry and at
// LinkedIn, and removes it in an order after which a repetition can still find the rest.
package teardown

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"leadstream/config"
	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
	"leadstream/internal/linkedin"
	"leadstream/internal/oauth"
	"leadstream/internal/webhook"
	"leadstream/schema"
)

// Choice says what to remove. All is each of the others, and the record of deletions.
type Choice struct {
	Topics, Schemas, Checkpoints, Webhooks, Tokens, All bool
}

// Parts are the parts of the program that know what there is.
type Parts struct {
	Config   *config.Config
	Cluster  *kafka.Client
	Registry *schema.Registry // of a Choice with Schemas
	// LinkedIn is nil where there are no subscriptions of ours.
	LinkedIn *linkedin.Client
	Store    oauth.Store // of the tokens
	StoredIn string      // the tokens, for people
	// State reads the checkpoints.
	State func(context.Context) (checkpoint.State, error)
}

// Removal is one thing that a teardown removes.
type Removal struct {
	Kind string `json:"kind"` // subscription, subject, topic, tokens
	Name string `json:"name"`
	Note string `json:"note,omitempty"`
	Done bool   `json:"done"`

	do func(context.Context) error // nil: it is left alone, for the reason in Note
}

// What says what becomes, or became, of it.
func (r Removal) What() string {
	switch {
	case r.do == nil:
		return "left alone: " + r.Note
	case r.Done:
		return "removed"
	case r.Note != "":
		return "to be removed: " + r.Note
	}
	return "to be removed"
}

// Plan is what there is to remove, in the order in which it goes: the tokens after
// what they are needed for, and the checkpoints, which know the rest, last.
func Plan(ctx context.Context, parts Parts, c Choice) ([]Removal, error) {
	p := &planner{Parts: parts, Choice: c, others: map[string]string{}}
	var err error
	if p.state, err = p.State(ctx); err != nil {
		return nil, err
	}
	var plan []Removal
	for _, part := range []struct {
		wanted bool
		list   func(context.Context) ([]Removal, error)
	}{
		{c.Topics, p.lookInto}, {c.Webhooks && p.LinkedIn != nil, p.subscriptions}, {c.Schemas, p.subjects},
		{c.Topics, p.topics}, {c.Tokens, p.tokens}, {c.Checkpoints, p.internal},
	} {
		if !part.wanted {
			continue
		}
		list, err := part.list(ctx)
		if err != nil {
			return nil, err
		}
		plan = append(plan, list...)
	}
	return plan, nil
}

// CarryOut removes what is planned, in its order, and marks what is done. It ends at
// the first that cannot be removed.
func CarryOut(ctx context.Context, plan []Removal) error {
	for i := range plan {
		r := &plan[i]
		if r.do == nil {
			continue
		}
		if err := r.do(ctx); err != nil {
			return fmt.Errorf("removing %s %s (what stands before it is gone; repeat the command for the rest): %w", r.Kind, r.Name, err)
		}
		r.Done = true
	}
	return nil
}

// planner makes a plan.
type planner struct {
	Parts
	Choice
	state  checkpoint.State
	others map[string]string // by topic of a form what it holds that is not ours
}

// topicOf is where a form's leads were published, under whatever prefix.
func (p *planner) topicOf(form string) string {
	return cmp.Or(p.state.Topics[form].Topic, p.Config.Kafka.TopicPrefix+form)
}

// leadTopics are those of all forms, sorted.
func (p *planner) leadTopics() []string {
	var names []string
	for form := range p.state.Forms {
		names = append(names, p.topicOf(form))
	}
	slices.Sort(names)
	return names
}

// lookInto finds out which of the forms' topics hold what is not ours.
func (p *planner) lookInto(ctx context.Context) ([]Removal, error) {
	found, err := p.Cluster.Admin.DescribeTopics(ctx, p.leadTopics())
	if err != nil {
		return nil, err
	}
	for form := range p.state.Forms {
		topic, existed := p.topicOf(form), p.state.Topics[form].Existed
		if _, there := found[topic]; there {
			if p.others[topic], err = delivery.Others(ctx, p.Cluster, topic, p.Config.Name, existed); err != nil {
				return nil, err
			}
		} else if existed { // whose it was cannot be told any more
			p.others[topic] = "nothing any more"
		}
	}
	return nil, nil
}

// subscriptions are those to our webhook.
func (p *planner) subscriptions(ctx context.Context) ([]Removal, error) {
	orgs, err := p.LinkedIn.Organizations(ctx)
	if p.All && errors.Is(err, oauth.ErrConsentNeeded) { // the rest can go without LinkedIn
		return []Removal{{Kind: "subscriptions", Name: p.Config.Webhook.URL, Note: "without a consent LinkedIn cannot be asked to end them"}}, nil
	}
	if err != nil {
		return nil, err
	}
	var plan []Removal
	for _, org := range orgs {
		if org.Problem != "" { // it can neither be listed nor notified of
			plan = append(plan, Removal{Kind: "subscriptions", Name: org.URN, Note: org.Problem + "; " + org.Todo})
			continue
		}
		for _, kind := range p.Config.LinkedIn.LeadTypes {
			found, err := p.LinkedIn.Subscriptions(ctx, lead.Source{Owner: org.URN, Type: kind})
			if fault.KindOf(err) == fault.Suspend {
				plan = append(plan, Removal{Kind: "subscriptions", Name: org.URN, Note: err.Error()})
			} else if err != nil {
				return nil, err
			}
			for _, s := range found {
				if s.Webhook == webhook.Address(p.Config.Webhook.URL) && !s.Narrowed {
					plan = append(plan, Removal{Kind: "subscription", Name: s.ID, Note: kind + " leads of " + org.URN,
						do: func(ctx context.Context) error { return p.LinkedIn.Unsubscribe(ctx, s.ID) }})
				}
			}
		}
	}
	return plan, nil
}

// subjects are those of the forms' schemas.
func (p *planner) subjects(ctx context.Context) ([]Removal, error) {
	var plan []Removal
	for _, form := range slices.Sorted(maps.Keys(p.state.Forms)) {
		topic := p.topicOf(form)
		subject := topic + "-value"
		versions, err := p.Registry.Versions(ctx, subject)
		if err != nil {
			return nil, err
		}
		note, forGood := "softly: ids keep decoding", p.Topics && p.others[topic] == ""
		if forGood {
			note = "for good"
		}
		if len(versions) > 0 || forGood {
			plan = append(plan, Removal{Kind: "subject", Name: subject, Note: note,
				do: func(ctx context.Context) error { return p.Registry.Delete(ctx, subject, forGood) }})
		}
	}
	return plan, nil
}

// topics are the lead topics and the dead letters.
func (p *planner) topics(ctx context.Context) ([]Removal, error) {
	names := append(p.leadTopics(), delivery.DeadLetterTopic(p.Config.Name))
	slices.Sort(names)
	return p.existing(ctx, names, func(r *Removal) {
		if others := p.others[r.Name]; others != "" {
			r.Note, r.do = "it holds "+others, nil
		}
	})
}

// internal are the checkpoints and, with All, the record of deletions before them.
func (p *planner) internal(ctx context.Context) ([]Removal, error) {
	names := []string{delivery.DeletionsTopic(p.Config.Name), delivery.CheckpointTopic(p.Config.Name)}
	if !p.All {
		names = names[1:]
	}
	return p.existing(ctx, names, func(r *Removal) {
		switch {
		case r.Name == delivery.DeletionsTopic(p.Config.Name):
			r.Note = "deleted leads may come back by a replay"
		case p.Config.Token.Store == "kafka":
			r.Note = "and the tokens in it"
		}
	})
}

// existing are the removals of those topics that exist.
func (p *planner) existing(ctx context.Context, names []string, adjust func(*Removal)) ([]Removal, error) {
	found, err := p.Cluster.Admin.DescribeTopics(ctx, names)
	if err != nil {
		return nil, err
	}
	var plan []Removal
	for _, name := range names {
		if _, there := found[name]; there {
			r := Removal{Kind: "topic", Name: name, do: func(ctx context.Context) error { return p.Cluster.Admin.DeleteTopics(ctx, []string{name}) }}
			adjust(&r)
			plan = append(plan, r)
		}
	}
	return plan, nil
}

// tokens are those of the consent.
func (p *planner) tokens(ctx context.Context) ([]Removal, error) {
	if _, err := p.Store.Load(ctx); errors.Is(err, oauth.ErrNoToken) {
		return nil, nil
	}
	return []Removal{{Kind: "tokens", Name: p.StoredIn, do: func(ctx context.Context) error {
		_, err := oauth.Logout(ctx, p.Store)
		if errors.Is(err, oauth.ErrNoToken) {
			return nil
		}
		return err
	}}}, nil
}
