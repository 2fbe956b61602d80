package delivery

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// The headers of a lead's record; all values are UTF-8 text.
const (
	HeaderSubmittedAt = "leadstream.submitted_at" // RFC 3339 with milliseconds, UTC
	HeaderDelivery    = "leadstream.delivery"     // a Delivery
	HeaderFetchedAt   = "leadstream.fetched_at"   // RFC 3339 with milliseconds, UTC
	HeaderOwner       = "leadstream.owner"        // URN of the organization
	HeaderFormVersion = "leadstream.form_version"
	HeaderName        = "leadstream.name"       // the installation that published it
	HeaderReplay      = "leadstream.replay"     // id of the replay in mode all that published it again
	HeaderDeletedAt   = "leadstream.deleted_at" // on a tombstone
)

// Delivery is how a lead came to be published.
type Delivery string

const (
	DeliveryLive     Delivery = "live"
	DeliveryBackfill Delivery = "backfill"
	DeliveryLate     Delivery = "late"
	DeliveryReplay   Delivery = "replay"
	DeliveryPush     Delivery = "push" // fetched because LinkedIn told of it
)

// Lead is a response with its encoded value, ready to be published.
type Lead struct {
	*lead.Response
	Value    []byte // Confluent wire format
	Schema   Schema // that the value names
	Delivery Delivery
	// Replay marks it with the id of a replay in mode all.
	Replay string
}

// Schema is what a lead is encoded with: its id, and how many columns it has.
type Schema struct{ ID, Columns int }

// messages makes the record of each lead, in the order given. What the leads
// have in common is made once, and what each has of its own is cut from common
// blocks: an allocation for every header costs as much as compressing it.
func (s *Store) messages(leads []Lead, out []kafka.Message) []kafka.Message {
	now := s.opts.Now()
	texts := shared{s.opts.Name: []byte(s.opts.Name)}
	versions, topics, times := map[int][]byte{}, s.topicNames(leads), timeTexts{}
	headers := make([]kafka.Header, 0, len(leads)*maxHeaders)
	own := make([]byte, 0, ownBytes(leads))
	for i := range leads {
		l := &leads[i]
		version := versions[l.Form.Version]
		if version == nil {
			version = strconv.AppendInt(nil, int64(l.Form.Version), 10)
			versions[l.Form.Version] = version
		}
		from := len(own)
		own = append(own, l.ID...)
		key := own[from:len(own):len(own)]
		from = len(own)
		own = lead.AppendTime(own, l.SubmittedAt)
		first := len(headers)
		headers = append(headers,
			kafka.Header{Key: HeaderSubmittedAt, Value: own[from:len(own):len(own)]},
			kafka.Header{Key: HeaderDelivery, Value: texts.of(string(l.Delivery))},
			kafka.Header{Key: HeaderFetchedAt, Value: times.of(l.FetchedAt)},
			kafka.Header{Key: HeaderOwner, Value: texts.of(l.Owner)},
			kafka.Header{Key: HeaderFormVersion, Value: version},
			kafka.Header{Key: HeaderName, Value: texts.of(s.opts.Name)})
		if l.Replay != "" {
			headers = append(headers, kafka.Header{Key: HeaderReplay, Value: texts.of(l.Replay)})
		}
		out = append(out, kafka.Message{
			Topic: topics[l.Form.ID], Key: key, Value: l.Value,
			Headers: headers[first:len(headers):len(headers)], Time: lead.Later(now, l.SubmittedAt),
		})
	}
	return out
}

// maxHeaders is the most that a lead's record has.
const maxHeaders = 7

// ownBytes is what the keys and the times of submission take.
func ownBytes(leads []Lead) int {
	n := len(leads) * len(lead.TimeLayout)
	for i := range leads {
		n += len(leads[i].ID)
	}
	return n
}

// topicNames are the topics of the leads' forms, by form.
func (s *Store) topicNames(leads []Lead) map[string]string {
	names := map[string]string{}
	for i := range leads {
		if form := leads[i].Form.ID; names[form] == "" {
			names[form] = s.TopicName(form)
		}
	}
	return names
}

// shared makes bytes of a text once: many records have the same.
type shared map[string][]byte

func (t shared) of(text string) []byte {
	b, ok := t[text]
	if !ok {
		b = []byte(text)
		t[text] = b
	}
	return b
}

// timeTexts formats the same moment once: leads of a page share theirs.
type timeTexts struct {
	at   time.Time
	text []byte
}

func (s *timeTexts) of(t time.Time) []byte {
	if s.text == nil || !s.at.Equal(t) {
		s.at, s.text = t, lead.AppendTime(nil, t)
	}
	return s.text
}

// The headers of a dead letter, in Kafka Connect's names (KIP-298).
const (
	HeaderErrorTopic     = "__connect.errors.topic"
	HeaderErrorConnector = "__connect.errors.connector.name"
	HeaderErrorStage     = "__connect.errors.stage"
	HeaderErrorClass     = "__connect.errors.class.name"
	HeaderErrorException = "__connect.errors.exception.class.name"
	HeaderErrorMessage   = "__connect.errors.exception.message"
	// HeaderTruncated is the SHA-256 of the whole element, in hex, where the
	// value is only its beginning.
	HeaderTruncated = "leadstream.truncated_sha256"
)

// DeadLetter is an element that cannot be published.
type DeadLetter struct {
	*lead.Response
	Stage  string // what was being done: DECODE, ENCODE, PRODUCE
	Reason string // a short class of error, for metrics
	Error  string // the error's text; never a value of the element
}

// Key is the record key of the dead letter: <lead id>@<submittedAt>, or a hash
// of the element when it has no such identity, whatever the order of its members.
func (d DeadLetter) Key() string {
	if d.ID != "" && !d.SubmittedAt.IsZero() {
		return d.ID + "@" + lead.FormatTime(d.SubmittedAt)
	}
	element := jsontext.Value(d.Raw).Clone()
	if element.Compact(jsontext.ReorderRawObjects(true)) != nil {
		element = d.Raw // it is no JSON
	}
	sum := sha256.Sum256(element)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (s *Store) deadMessage(d DeadLetter) kafka.Message {
	value := d.Raw
	topic := ""
	if d.Form.ID != "" {
		topic = s.TopicName(d.Form.ID)
	}
	headers := []kafka.Header{
		{Key: HeaderErrorTopic, Value: []byte(topic)},
		{Key: HeaderErrorConnector, Value: []byte(s.opts.Name)},
		{Key: HeaderErrorStage, Value: []byte(d.Stage)},
		{Key: HeaderErrorClass, Value: []byte("leadstream." + d.Reason)},
		{Key: HeaderErrorException, Value: []byte(d.Reason)},
		{Key: HeaderErrorMessage, Value: []byte(d.Error)},
		{Key: HeaderOwner, Value: []byte(d.Owner)},
		{Key: HeaderFetchedAt, Value: lead.AppendTime(nil, d.FetchedAt)},
		{Key: HeaderName, Value: []byte(s.opts.Name)},
	}
	if limit := s.opts.MaxDeadLetter; len(value) > limit {
		sum := sha256.Sum256(value)
		value = value[:limit]
		headers = append(headers, kafka.Header{Key: HeaderTruncated, Value: []byte(hex.EncodeToString(sum[:]))})
	}
	return kafka.Message{Topic: s.DeadLetterTopic(), Key: []byte(d.Key()), Value: value, Headers: headers, Time: s.opts.Now()}
}
