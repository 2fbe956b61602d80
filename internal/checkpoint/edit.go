package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// edited is a record that a person may write.
type edited interface {
	// problem says what is wrong with it under a key that ends so, nil when nothing is.
	problem(rest string) error
	// past are the times in it that lie in the past by their nature, by name.
	past() map[string]time.Time
}

// settable are the kinds of records that a person may write. Push is none: it
// is a message, not progress.
var settable = map[string]func() edited{
	KindSource:    func() edited { return &Progress{} },
	KindReplay:    func() edited { return &Replay{} },
	KindDeferred:  func() edited { return &DeferredWindow{} },
	KindForm:      func() edited { return &Form{} },
	KindTopic:     func() edited { return &Topic{} },
	KindRequests:  func() edited { return &Requests{} },
	KindDeletions: func() edited { return &Deletions{} },
}

// Settable are the kinds of records that a person may write.
func Settable() []string { return slices.Sorted(maps.Keys(settable)) }

// Edited reads a record that a person wrote to be stored under key. Decode
// takes what another release may have left out or added; here that is a
// mistake: an unknown member is refused, and so is a record without what its
// kind cannot do without, for the next start would stop at it or begin anew.
// What a form's Fields and the Requests' Counters hold is left to those who own
// them.
//
// now bounds what lies in the past by its nature: a position in the future would
// have what is submitted until then taken for read.
func Edited(key string, value []byte, now time.Time) (any, error) {
	kind, rest, _ := strings.Cut(key, "/")
	newRecord := settable[kind]
	if newRecord == nil {
		return nil, fmt.Errorf("key %q is of no kind that can be set: %s", key, strings.Join(Settable(), ", "))
	}
	record := newRecord()
	err := decodeGiven(value, record)
	if err == nil {
		err = strict(value, record)
	}
	if err == nil {
		err = record.problem(rest)
	}
	if err != nil {
		return nil, fmt.Errorf("record %q: %w", key, err)
	}
	past := record.past()
	for _, name := range slices.Sorted(maps.Keys(past)) {
		if past[name].After(now.Add(futureMargin)) {
			return nil, fmt.Errorf("record %q: %s is %s, in the future: it is now %s by this machine's clock", key, name, lead.FormatTime(past[name]), lead.FormatTime(now))
		}
	}
	return record, nil
}

// futureMargin is how far the clocks of those who write records may differ.
const futureMargin = time.Minute

func (p *Progress) past() map[string]time.Time {
	past := map[string]time.Time{"live": p.Live}
	for i, r := range p.Lookback {
		past[fmt.Sprintf("lookback[%d].last", i)] = r.Last
	}
	for i, r := range p.Backlog {
		past[fmt.Sprintf("backlog[%d].to", i)] = r.To
	}
	return past
}

func (r *Replay) past() map[string]time.Time {
	return map[string]time.Time{"to": r.To, "created": r.Created}
}

func (d *DeferredWindow) past() map[string]time.Time {
	past := map[string]time.Time{"to": d.To, "since": d.Since}
	for i, r := range d.Ranges {
		past[fmt.Sprintf("ranges[%d].to", i)] = r.To
	}
	return past
}

func (t *Topic) past() map[string]time.Time {
	past := map[string]time.Time{"last_lead": t.LastLead, "horizon": t.Horizon, "seen": t.Seen}
	for i, p := range t.Partitions {
		past[fmt.Sprintf("partitions[%d].last_lead", i)] = p.LastLead
	}
	return past
}

func (*Form) past() map[string]time.Time      { return nil }
func (*Requests) past() map[string]time.Time  { return nil }
func (*Deletions) past() map[string]time.Time { return nil }

// decodeGiven is Decode with errors about what was given, which nobody stored.
func decodeGiven(value []byte, record any) error {
	var head struct {
		Version *int `json:"version"`
	}
	if json.Unmarshal(value, &head) == nil && head.Version == nil {
		return fmt.Errorf("version is missing, which is %d in this release", Version)
	}
	err := Decode("", value, record)
	unreadable, ok := errors.AsType[*UnreadableError](err)
	if !ok {
		return err
	}
	syntax, isSyntax := errors.AsType[*json.SyntaxError](err)
	kind, isKind := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case isSyntax:
		return fmt.Errorf("it is not JSON (%w): checkpoints list -o json shows how records are written", syntax)
	case isKind && kind.Field == "":
		return fmt.Errorf("it is a JSON %s, not an object: checkpoints list -o json shows how records are written", kind.Value)
	case isKind:
		return fmt.Errorf("%s cannot be a JSON %s: checkpoints list -o json shows how records are written", kind.Field, kind.Value)
	}
	return fault.Plain(unreadable.Err)
}

// strict refuses members that the record does not have.
func strict(value []byte, record any) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(value, &members); err != nil {
		return fmt.Errorf("reading it: %w", fault.Plain(err))
	}
	delete(members, "version")
	body, err := json.Marshal(members)
	if err != nil {
		return fmt.Errorf("reading it: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err = d.Decode(record)
	if err == nil {
		return nil
	}
	if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		return fmt.Errorf("it has no member %s: checkpoints list -o json shows how records are written", name)
	}
	return fault.Plain(err)
}

func (p *Progress) problem(rest string) error {
	if _, ok := ParseSource(rest); !ok {
		return errors.New("the key is not source/<owner>/<lead type>")
	}
	if p.Live.IsZero() {
		return errors.New("live is missing: the time up to which everything was read")
	}
	for i, r := range p.Lookback {
		if r.LengthMillis <= 0 || r.Last.IsZero() {
			return fmt.Errorf("lookback[%d] needs a length_ms above 0 and a last", i)
		}
	}
	for i, r := range p.Backlog {
		if r.Kind != Backfill && r.Kind != CatchUp {
			return fmt.Errorf("backlog[%d].kind is %q, want %s or %s", i, r.Kind, Backfill, CatchUp)
		}
		if r.From.IsZero() || r.Fresh.IsZero() || r.Next.Before(r.From) || !r.Next.Before(r.To) {
			return fmt.Errorf("backlog[%d] needs from, next, to and fresh, with from <= next < to", i)
		}
	}
	return nil
}

func (r *Replay) problem(rest string) error {
	switch {
	case rest == "":
		return errors.New("the key is not replay/<id>")
	case r.Mode != Missing && r.Mode != All:
		return fmt.Errorf("mode is %q, want %s or %s", r.Mode, Missing, All)
	case r.From.IsZero() || !r.From.Before(r.To):
		return errors.New("it needs a from that is before its to")
	case r.Created.IsZero():
		return errors.New("created is missing: when the replay began")
	case len(r.Next) == 0:
		return errors.New("next is missing: where each source goes on")
	}
	for name, next := range r.Next {
		if _, ok := ParseSource(name); !ok || next.Before(r.From) || next.After(r.To) {
			return fmt.Errorf("next %q needs a name of the form <owner>/<lead type>, and a time between from and to", name)
		}
	}
	return nil
}

func (d *DeferredWindow) problem(rest string) error {
	if _, form, ok := ParseDeferredKey(KindDeferred + "/" + rest); !ok || !lead.Digits(form) {
		return errors.New("the key is not debt/<owner>/<lead type>/<form id>")
	}
	if d.From.IsZero() || !d.From.Before(d.To) || d.Since.IsZero() {
		return errors.New("it needs a since, and a from that is before its to")
	}
	for i, r := range d.Ranges {
		if r.From.IsZero() || !r.From.Before(r.To) || r.From.Before(d.From) || r.To.After(d.To) {
			return fmt.Errorf("ranges[%d] needs a from that is before its to, both within those of the record", i)
		}
	}
	return nil
}

func (f *Form) problem(rest string) error {
	switch {
	case !lead.Digits(rest):
		return errors.New("the key is not form/<form id>")
	case len(f.Fields) == 0:
		return errors.New("fields is missing: the names that the form's schema has given")
	case f.SchemaID < 0:
		return errors.New("schema_id is below 0")
	}
	for i, lost := range f.Lost {
		if lost.ID < 0 || lost.Since.IsZero() {
			return fmt.Errorf("lost[%d] needs an id that is not below 0 and a since", i)
		}
	}
	return nil
}

func (t *Topic) problem(rest string) error {
	switch {
	case !lead.Digits(rest):
		return errors.New("the key is not topic/<form id>")
	case !strings.HasSuffix(t.Topic, rest):
		return fmt.Errorf("topic is %q, want kafka.topic_prefix and the form's id", t.Topic)
	case t.Leads < 0 || t.EndOffset < 0 || t.SchemaID < 0:
		return errors.New("leads, end_offset and schema_id are not below 0")
	}
	for i, schema := range t.Schemas {
		if schema.ID < 0 || schema.Columns < 0 || schema.To.Before(schema.From) {
			return fmt.Errorf("schemas[%d] needs an id and columns that are not below 0, and a from that is not after its to", i)
		}
	}
	return nil
}

func (r *Requests) problem(rest string) error {
	if rest != "" || len(r.Counters) == 0 {
		return errors.New("the key is requests alone, and the record needs its counters")
	}
	return nil
}

func (d *Deletions) problem(rest string) error {
	if rest != "" || len(d.Next) == 0 || slices.Min(d.Next) < 0 {
		return errors.New("the key is deletions alone, and the record needs next, an offset of 0 or more for each partition")
	}
	if len(d.Marks) > len(d.Next) {
		return errors.New("marks has more partitions than next")
	}
	return nil
}
