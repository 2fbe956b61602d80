package checkpoint

import (
	"cmp"
	"slices"
	"time"

	"leadstream/internal/lead"
)

// TopicSchema is a schema that records of a topic carry.
type TopicSchema struct {
	ID int `json:"id"`
	// Columns is how many of the form's columns it has; 0 when that is not known. A
	// form's later schemas have these as well, in the same order.
	Columns int `json:"columns,omitempty"`
	// From and To are the first and the last submission published with it; a From of
	// zero is not known. Last is when that was done last, by our clock.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	Last time.Time `json:"last,omitzero"`
}

// Carried are the schemas that the topic's records carry, as far as is known.
func (t Topic) Carried() []TopicSchema {
	if len(t.Schemas) == 0 && t.SchemaID != 0 { // published before they were listed
		return []TopicSchema{{ID: t.SchemaID, To: t.LastLead}}
	}
	return t.Schemas
}

// Published notes that a lead of that time of submission is published with a schema
// of so many of the form's columns.
func (t *Topic) Published(id, columns int, submitted, now time.Time) {
	t.Schemas = t.Carried()
	t.SchemaID = id
	i := slices.IndexFunc(t.Schemas, func(s TopicSchema) bool { return s.ID == id })
	if i < 0 {
		i = len(t.Schemas)
		t.Schemas = append(t.Schemas, TopicSchema{ID: id, From: submitted, To: submitted})
	}
	s := &t.Schemas[i]
	s.Columns, s.Last = columns, now
	if submitted.Before(s.From) {
		s.From = submitted
	}
	if submitted.After(s.To) {
		s.To = submitted
	}
}

// Replayed reports whether replays in mode All have published everything again that
// was published with the schema for leads of this owner: of two records of one key
// the later one counts. What was submitted before LinkedIn's oldest lead, when a
// replay began, no replay can bring.
func (s TopicSchema) Replayed(replays map[string]Replay, owner string) bool {
	var windows []lead.Window
	for _, r := range replays {
		if r.Mode != All || !r.Done() || !r.Created.After(s.Last) || !r.Of(owner) {
			continue
		}
		w := lead.Window{From: r.From, To: r.To}
		if !r.From.After(r.Created.Add(-lead.Retained)) {
			w.From = time.Time{}
		}
		windows = append(windows, w)
	}
	slices.SortFunc(windows, func(a, b lead.Window) int { return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To)) })
	at := s.From
	for _, w := range windows {
		if !w.From.After(at) && w.To.After(at) {
			at = w.To
		}
	}
	return at.After(s.To)
}
