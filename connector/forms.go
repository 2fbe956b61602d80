package connector

import (
	"context"
	"strings"

	"go.uber.org/zap"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/forms"
	"leadstream/internal/lead"
)

// newForms is the book of the forms that the checkpoint keeps.
func (s *session) newForms(saved map[string]checkpoint.Form) (*forms.Book, error) {
	return forms.New(forms.Options{
		LinkedIn: s.opts.LinkedIn, Registry: s.opts.Registry, Topics: formTopics{s.store, s}, Recorder: formRecorder{s},
		Issues: s.issues, Log: s.log, Now: s.opts.Now, Choice: s.opts.Choice, Discovery: s.opts.Discovery, Concurrency: s.opts.Concurrency,
	}, saved)
}

// formTopics are the topics of the forms, which the publisher takes into use.
type formTopics struct {
	*delivery.Store
	session *session
}

// EnsureTopics implements forms.Topics. A topic that is another than before is told of.
func (t formTopics) EnsureTopics(ctx context.Context, ids []string) (map[string]error, error) {
	refused, recreated, err := t.session.ensureTopics(ctx, ids)
	for _, r := range recreated {
		id := strings.TrimPrefix(r.Topic, t.TopicName(""))
		t.session.issues.ReportAs(id, "using topic "+r.Topic, "a lead topic was deleted; what bears its name now is another one", r, zap.String("topic", r.Topic), zap.Int64("leads_before", r.Leads))
	}
	return refused, err
}

// formRecorder commits the records of forms through the publisher.
type formRecorder struct{ session *session }

// SaveForms implements forms.Recorder.
func (r formRecorder) SaveForms(ctx context.Context, ids []string) error {
	return r.session.ask(ctx, &saveForms{ids})
}

// Replays implements forms.Recorder.
func (r formRecorder) Replays() map[string]checkpoint.Replay { return r.session.state().Replays }

// saveForms commits what the checkpoint keeps of forms, as they are when it is handled: an
// older one must not follow.
type saveForms struct{ ids []string }

func (m *saveForms) handle(ctx context.Context, p *publisher) error {
	changed, records := p.forms.Unsaved(m.ids), checkpoint.Records{}
	for _, f := range changed {
		record, err := f.Record()
		if err != nil {
			return err
		}
		records[checkpoint.FormKey(f.ID)] = record
	}
	err := p.store.Commit(ctx, delivery.Batch{Records: records})
	if err == nil {
		p.forms.Saved(changed)
	}
	return err
}

// formOf is the form that a topic belongs to.
func (s *session) formOf(topic string) (id string, ok bool) {
	id, ok = strings.CutPrefix(topic, s.store.TopicName(""))
	return id, ok && lead.Digits(id) && s.forms.Get(id) != nil
}
