// Package checkpoint is the memory of leadstream's progress: the arithmetic of
// windows and look-back, and the records that keep it in the compacted topic
// <name>.checkpoints.
//
// A record's key is text that a person can read, its value a JSON object with a
// version number. A release reads its own version, all older ones, and the one
// of the next release (whose added fields it ignores), so that a rolling update
// can be turned back. A value that cannot be read is an error, never a missing
// one: starting over because of it would be wrong.
package checkpoint

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// Version is the version number that this release writes.
const Version = 1

// The kinds of records, which are the first part of their keys.
const (
	KindSource   = "source"   // source/<owner URN>/<lead type>: Progress
	KindReplay   = "replay"   // replay/<id>: Replay
	KindDeferred = "debt"     // debt/<owner URN>/<lead type>/<form id>: Deferred window
	KindForm     = "form"     // form/<form id>: Form
	KindTopic    = "topic"    // topic/<form id>: Topic
	KindRequests = "requests" // requests: Requests
	// KindDeletions is how far <name>.deletions has been carried out, KindPush what
	// a process that stands by was notified of.
	KindDeletions = "deletions" // deletions: Deletions
	KindPush      = "push"      // push/<owner URN>/<lead type>: Push

	KindHours         = "hours"         // hours: Hours
	KindProcess       = "process"       // process: Process
	KindTransaction   = "transaction"   // transaction: Transaction
	KindOrganizations = "organizations" // organizations: Organizations
	KindToken         = "token"         // token/<what package oauth names it>: Token
)

// The keys of kinds that have one record.
const (
	RequestsKey      = KindRequests
	DeletionsKey     = KindDeletions
	HoursKey         = KindHours
	ProcessKey       = KindProcess
	TransactionKey   = KindTransaction
	OrganizationsKey = KindOrganizations
)

// SourceKey is the key of a source's progress.
func SourceKey(src lead.Source) string { return KindSource + "/" + src.String() }

// PushKey is the key of what was told of a source.
func PushKey(src lead.Source) string { return KindPush + "/" + src.String() }

// ParsePushKey reads what PushKey made.
func ParsePushKey(key string) (lead.Source, bool) { return parseSource(KindPush, key) }

// ReplayKey is the key of a replay's progress.
func ReplayKey(id string) string { return KindReplay + "/" + id }

// DeferredKey is the key of what is deferred of a suspended form.
func DeferredKey(src lead.Source, form string) string {
	return KindDeferred + "/" + src.String() + "/" + form
}

// FormKey is the key of a form's fields, TopicKey of its topic's state.
func FormKey(form string) string  { return KindForm + "/" + form }
func TopicKey(form string) string { return KindTopic + "/" + form }

// TokenKey is the key of a record of LinkedIn tokens.
func TokenKey(id string) string { return KindToken + "/" + id }

// ParseTokenKey reads what TokenKey made.
func ParseTokenKey(key string) (id string, ok bool) { return strings.CutPrefix(key, KindToken+"/") }

// ParseSourceKey reads what SourceKey made.
func ParseSourceKey(key string) (lead.Source, bool) { return parseSource(KindSource, key) }

// ParseDeferredKey reads what DeferredKey made.
func ParseDeferredKey(key string) (src lead.Source, form string, ok bool) {
	i := max(strings.LastIndexByte(key, '/'), 0)
	src, ok = parseSource(KindDeferred, key[:i])
	return src, strings.TrimPrefix(key[i:], "/"), ok
}

func parseSource(kind, key string) (lead.Source, bool) {
	rest, ok := strings.CutPrefix(key, kind+"/")
	src, named := ParseSource(rest)
	return src, ok && named
}

// ParseSource reads what lead.Source.String made.
func ParseSource(s string) (lead.Source, bool) {
	owner, kind, ok := strings.Cut(s, "/")
	return lead.Source{Owner: owner, Type: kind}, ok && owner != "" && kind != ""
}

// Mode is what a replay does about leads that the topics hold.
type Mode string

const (
	// Missing publishes only what the topics do not hold.
	Missing Mode = "missing"
	// All publishes every lead of the window again, marked, once per replay.
	All Mode = "all"
)

// Replay is one explicit replay of a window. It is made when the replay first
// starts; its bounds are then fixed, also where they were given as ages.
type Replay struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Mode    Mode      `json:"mode"`
	Created time.Time `json:"created"` // our clock; the replay's records stand behind it
	// Next is where each source goes on; a source that reached To is done.
	Next map[string]time.Time `json:"next"`
	// Leads is how many it has published.
	Leads int64 `json:"leads,omitempty"`
}

// Done reports whether every source has been replayed.
func (r Replay) Done() bool {
	if len(r.Next) == 0 {
		return false
	}
	for _, t := range r.Next {
		if t.Before(r.To) {
			return false
		}
	}
	return true
}

// Of reports whether the replay is of leads of this owner.
func (r Replay) Of(owner string) bool {
	for name := range r.Next {
		if src, ok := ParseSource(name); ok && src.Owner == owner {
			return true
		}
	}
	return false
}

// Ratio is the part of the replay that is done, 0 to 1, by submission time.
func (r Replay) Ratio() float64 {
	total, left := time.Duration(0), time.Duration(0)
	for _, t := range r.Next {
		total += r.To.Sub(r.From)
		left += max(r.To.Sub(t), 0)
	}
	if total <= 0 {
		return 1
	}
	return 1 - float64(left)/float64(total)
}

// At is the replay with one source's position moved, and so many leads published.
func (r Replay) At(source string, next time.Time, leads int) Replay {
	r.Next = maps.Clone(r.Next)
	r.Next[source] = next
	r.Leads += int64(leads)
	return r
}

// Form is what must not be forgotten of a form: the fields that its schema has
// given so far (owned by package schema) and its last known name.
type Form struct {
	Fields json.RawMessage `json:"fields"`
	// SchemaID is the registered id of exactly these fields; 0 while they are
	// not registered yet: names are committed first.
	SchemaID int `json:"schema_id,omitempty"`
	// SchemaVersion is its version in the form's subject; 0 when not known.
	SchemaVersion int    `json:"schema_version,omitempty"`
	Owner         string `json:"owner,omitempty"`
	Name          string `json:"name,omitempty"`
	// Lost are the schemas that records of the form's topic carry and that the
	// registry did not know when it was last asked.
	Lost []LostSchema `json:"lost,omitempty"`
}

// ReadFields reads the fields of the form with that id into fields, which package
// schema owns.
func (f Form) ReadFields(id string, fields any) error {
	if err := json.Unmarshal(f.Fields, fields); err != nil {
		return &UnreadableError{Key: FormKey(id), Err: err}
	}
	return nil
}

// LostSchema is a schema id under which the registry has something else than what
// records were written with: nothing, or (Other) another schema.
type LostSchema struct {
	ID    int       `json:"id"`
	Other bool      `json:"other,omitempty"`
	Since time.Time `json:"since"` // when that was noticed
}

// Topic is the state of a form's topic as of the last commit to it.
type Topic struct {
	Topic    string `json:"topic"`
	SchemaID int    `json:"schema_id,omitempty"` // of the last lead published
	// Schemas are all that its records carry, oldest first.
	Schemas []TopicSchema `json:"schemas,omitempty"`
	// Leads counts the leads published to it by this installation.
	Leads int64 `json:"leads"`
	// LastLead is the latest submission published.
	LastLead time.Time `json:"last_lead,omitzero"`
	// EndOffset is a lower bound of the sum of the partitions' end offsets. A
	// topic that ends before it is not the topic it was.
	EndOffset int64 `json:"end_offset"`
	// Made is how many partitions the topic had when this installation made it: while it
	// has as many, each key is in one of them alone. 0 where somebody else made it.
	Made int `json:"made_with,omitempty"`
	// Horizon, when set, is the moment before which the topic is not sure to
	// remember what was published to it.
	Horizon time.Time `json:"horizon,omitzero"`
	// Existed says that the topic held something before this installation's
	// first lead to it. What was submitted before Seen, when it was first met,
	// may have been among that.
	Existed bool      `json:"existed,omitempty"`
	Seen    time.Time `json:"seen,omitzero"`
	// Partitions say by partition what was there before the last commit.
	Partitions []Partition `json:"partitions,omitempty"`
}

// Partition is what is known of a partition of a lead topic.
type Partition struct {
	// First is its first offset as it was seen last: what lies before has been removed.
	First int64 `json:"first,omitempty"`
	// End is an offset up to which LastLead speaks.
	End int64 `json:"end"`
	// LastLead is no earlier than the latest submission published below End.
	LastLead time.Time `json:"last_lead,omitzero"`
}

// Requests are the API requests made on one UTC day, by endpoint; owned by the
// LinkedIn client.
type Requests struct {
	Counters json.RawMessage `json:"counters"`
}

// Deletions is how far the topic of deletions has been carried out.
type Deletions struct {
	// Next is the offset by partition from which on deletions may still lack their
	// tombstones.
	Next []int64 `json:"next"`
	// Marks are by partition the last record that was read. Where the topic does
	// not hold it any more, Next says nothing of that topic.
	Marks []Mark `json:"marks,omitempty"`
}

// Mark is a record of a topic, known by its offset and time; zero is none.
type Mark struct {
	Offset int64     `json:"offset"`
	Time   time.Time `json:"time,omitzero"`
}

// Transaction is what the last transaction wrote that holds such a record, and what
// those before it wrote that was not seen to be ended: see kafka.Manifest.
type Transaction struct {
	Producer int64     `json:"producer"`
	Epoch    int16     `json:"epoch"`
	Written  []Written `json:"written,omitempty"`
}

// Written is what a transaction wrote to a partition, by the sequence numbers that
// Kafka knows its records by.
type Written struct {
	Topic     string `json:"topic"`
	Partition int    `json:"partition"`
	Epoch     int16  `json:"epoch"`
	First     int32  `json:"first"`
	Last      int32  `json:"last"`
}

// Push is what LinkedIn told a process that stands by, for the one that works: a
// record of its own for each notification or several, never read at a start.
type Push struct {
	Created []Pushed `json:"created"`
}

// Pushed is one response that was created.
type Pushed struct {
	Response string    `json:"response"` // id
	At       time.Time `json:"at"`
}

// Token is a pair of LinkedIn tokens as token.store kafka keeps it beside the
// progress. Names and content are owned by package oauth.
type Token struct {
	// Sealed is the pair, encrypted; empty where the key says all there is.
	Sealed []byte `json:"sealed,omitempty"`
}

// UnreadableError says that a record of the checkpoint topic cannot be read. It
// stops the program: to go on without the record would be to forget progress.
type UnreadableError struct {
	Key string
	Err error
}

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("reading checkpoint record %q: %v (written by a newer release? run that release, or remove the record with `leadstream checkpoints reset`)", e.Key, fault.Plain(e.Err))
}

// Unwrap is the cause.
func (e *UnreadableError) Unwrap() error { return e.Err }

// Fault makes it fatal.
func (e *UnreadableError) Fault() fault.Kind { return fault.Fatal }

// Encode is the value of a record: v's JSON object with the version number as
// its first member. v is one of the record types of this package.
func Encode(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding a checkpoint record: %w", err)
	}
	head := fmt.Appendf(nil, `{"version":%d`, Version)
	if len(body) > len(`{}`) {
		head = append(head, ',')
	}
	return append(head, body[1:]...), nil
}

// Decode reads the value of the record key into v, a pointer to one of the
// record types of this package. Its errors are *UnreadableError.
func Decode(key string, value []byte, v any) error {
	var head struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(value, &head); err != nil {
		return &UnreadableError{Key: key, Err: err}
	}
	switch {
	case head.Version == nil || *head.Version < 1:
		return &UnreadableError{Key: key, Err: fmt.Errorf("no version number")}
	case *head.Version > Version+1:
		return &UnreadableError{Key: key, Err: fmt.Errorf("version %d, this release reads up to %d", *head.Version, Version+1)}
	}
	if err := json.Unmarshal(value, v); err != nil {
		return &UnreadableError{Key: key, Err: err}
	}
	return nil
}
