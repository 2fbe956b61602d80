package connector

import (
	"strings"

	"leadstream/internal/delivery"
	"leadstream/internal/lead"
)

// usable reports whether the leads of all these responses can be encoded now.
func (b *formBook) usable(responses []*lead.Response) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range responses {
		if f := b.forms[r.Form.ID]; f == nil || !f.ready || f.codec == nil {
			return false
		}
	}
	return true
}

// unready makes the next use of a form prepare it again.
func (b *formBook) unready(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.forms[id]; f != nil {
		f.ready, f.topic = false, false
	}
}

// encode makes the value of a response's record.
func (b *formBook) encode(r *lead.Response) ([]byte, delivery.Schema, []lead.Fault, error) {
	b.mu.Lock()
	codec := b.forms[r.Form.ID].codec
	b.mu.Unlock()
	const chunk = 256 << 10
	if cap(b.arena)-len(b.arena) < 4<<10 {
		b.arena = make([]byte, 0, chunk)
	}
	start := len(b.arena)
	out, faults, err := codec.Encode(b.arena, r)
	if err != nil {
		return nil, delivery.Schema{}, nil, err
	}
	b.arena = out
	id, columns := codec.Schema()
	return out[start:len(out):len(out)], delivery.Schema{ID: id, Columns: columns}, faults, nil
}

// ofTopic is the form that a topic belongs to.
func (b *formBook) ofTopic(topic string) (string, bool) {
	id, ok := strings.CutPrefix(topic, b.leader.store.TopicName(""))
	if !ok || !lead.Digits(id) {
		return "", false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	_, known := b.forms[id]
	return id, known
}

// markUnfit remembers that Kafka refuses a lead, and why.
func (b *formBook) markUnfit(r *lead.Response, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unfits[r.ID+"@"+lead.FormatTime(r.SubmittedAt)] = why.Error()
}

// unfit is why Kafka refuses a lead; empty when it never did.
func (b *formBook) unfit(r *lead.Response) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.unfits) == 0 {
		return ""
	}
	return b.unfits[r.ID+"@"+lead.FormatTime(r.SubmittedAt)]
}
