// Package forms knows which lead forms there are and whether each can be published to.
//
// A form is provisioned before its first lead goes out, always in this order: its topic is
// made, its column names are committed, its schema is registered, the schema's id is
// committed. What one form lacks suspends that form and no other. A Book keeps the forms; it
// reaches LinkedIn, the registry, the topics and the checkpoint through small interfaces, and
// never while it holds its lock.
package forms

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/lead"
	"leadstream/schema"
)

// State is the state of a form.
type State string

// The states of a form.
const (
	Unknown      State = "unknown"      // Nothing of it has been read.
	Provisioning State = "provisioning" // Its fields are known; its topic or its schema is still to be made.
	Ready        State = "ready"        // Its leads can be published.
	Suspended    State = "suspended"    // It cannot be published to; its leads are deferred.
)

// Event is something that happens to a form.
type Event string

// The events in the life of a form.
const (
	Read        Event = "its fields are read"
	Changed     Event = "fields, topic or schema change" // LinkedIn shows more fields, the topic is gone, the registry lost the schema
	Provisioned Event = "topic and schema are made"
	Refused     Event = "something refuses it"
	Retried     Event = "its back-off ends"
)

// transitions is the life of a form: the state that an event leads to. An event that is not
// listed for a state does not change it.
var transitions = map[State]map[Event]State{
	Unknown:      {Read: Provisioning, Refused: Suspended},
	Provisioning: {Provisioned: Ready, Refused: Suspended},
	Ready:        {Changed: Provisioning, Refused: Suspended},
	Suspended:    {Retried: Provisioning},
}

// transition is the state after an event.
func transition(s State, e Event) State {
	if next, ok := transitions[s][e]; ok {
		return next
	}
	return s
}

// Form is what is known of a lead form. It is a value: the book replaces it and never changes
// it.
type Form struct {
	ID, Owner, Name string
	State           State
	// Why is the reason of a suspension, nil in other states.
	Why error
	// Gone says that LinkedIn does not show the form any more. Its leads go out with what is
	// known of it.
	Gone bool
	// Fields are nil while the form is unknown.
	Fields *schema.Fields
	// Codec encodes with the schema of that id; nil before a schema is registered.
	Codec    *schema.Codec
	SchemaID int
	Version  int // of the schema in the form's subject; 0 when not known
	// Lost are the schemas that the topic's records carry and the registry lacks.
	Lost []checkpoint.LostSchema

	// text is the digest of the registered schema that the codec encodes; the texts of a
	// thousand forms are four megabytes.
	text [sha256.Size]byte
	// sure: the registry has said, since it was last away, that SchemaID names this schema.
	sure bool
	// topic: it exists, as far as is known.
	topic bool
	// asked is when LinkedIn was last asked for something that the form lacked: a version (as
	// its number) or a question (as its id, negated).
	asked map[int64]time.Time
	// failures counts the suspensions in a row without a lead going out between them; retryAt
	// is when the form is tried again, and said the reason that was told last.
	failures int
	retryAt  time.Time
	said     string
	saved    bool // the checkpoint holds the form as it is
	recorded int  // schema id in the checkpoint
}

// restored is a form as the checkpoint keeps it.
func restored(id string, saved checkpoint.Form) (*Form, error) {
	f := &Form{ID: id, Owner: saved.Owner, Name: saved.Name, State: transition(Unknown, Read), Fields: new(schema.Fields),
		Version: saved.SchemaVersion, Lost: saved.Lost, saved: true, recorded: saved.SchemaID}
	if err := json.Unmarshal(saved.Fields, f.Fields); err != nil {
		return nil, err
	}
	if saved.SchemaID == 0 {
		return f, nil
	}
	codec, err := schema.Compile(f.Fields, saved.SchemaID)
	if err != nil {
		return nil, err
	}
	f.Codec, f.SchemaID, f.text = codec, saved.SchemaID, digest(f.Fields.Schema())
	return f, nil
}

func digest(schema string) [sha256.Size]byte { return sha256.Sum256([]byte(schema)) }

// on takes in an event. The reason of a suspension goes with it.
func (f *Form) on(e Event) {
	if f.State = transition(f.State, e); f.State != Suspended {
		f.Why = nil
	}
}

// add takes in a version of the form that LinkedIn shows.
func (f *Form) add(version lead.Form) {
	f.Gone, f.Name = false, version.Name
	if version.Owner != "" {
		f.Owner = version.Owner
	}
	if next := f.Fields.Clone(); next.Add(version) {
		f.Fields, f.saved = next, false
		f.on(Changed)
	}
}

// decided reports whether there is nothing to prepare.
func (f *Form) decided() bool { return f.State == Ready || f.State == Suspended }

// registered reports whether the schema id is that of exactly the form's fields.
func (f *Form) registered() bool { return f.Codec != nil && f.text == digest(f.Fields.Schema()) }

// Record is what the checkpoint keeps of the form.
func (f *Form) Record() (checkpoint.Form, error) {
	fields, err := json.Marshal(f.Fields)
	if err != nil {
		return checkpoint.Form{}, fmt.Errorf("encoding the fields of form %s: %w", f.ID, err)
	}
	record := checkpoint.Form{Fields: fields, Owner: f.Owner, Name: f.Name, Lost: f.Lost}
	if f.registered() {
		record.SchemaID, record.SchemaVersion = f.SchemaID, f.Version
	}
	return record, nil
}
