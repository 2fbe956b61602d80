package checkpoint

import (
	"errors"
	"maps"
	"strings"
	"time"

	"leadstream/internal/lead"
)

// State is what the records of the checkpoint topic say together. A State that somebody
// else may have is never changed: Clone it first.
type State struct {
	Sources map[lead.Source]Progress
	// Recorded is when the progress of each source was written, by the clock of the
	// process that wrote it.
	Recorded  map[lead.Source]time.Time
	Replays   map[string]Replay
	Deferred  map[DeferredID]DeferredWindow
	Forms     map[string]Form  // by form
	Topics    map[string]Topic // by form
	Requests  Requests
	Deletions Deletions // how far those of the topic of deletions have been carried out

	// Transaction is what was written last, nil when that is not recorded.
	Transaction *Transaction

	// What is for people alone.
	Hours         Hours
	Process       Process
	Organizations Organizations
}

// DeferredID names what is deferred: the leads of one form of one source.
type DeferredID struct {
	Source lead.Source
	Form   string
}

// NewState is the state of an empty topic.
func NewState() *State {
	return &State{Sources: map[lead.Source]Progress{}, Recorded: map[lead.Source]time.Time{}, Replays: map[string]Replay{},
		Deferred: map[DeferredID]DeferredWindow{}, Forms: map[string]Form{}, Topics: map[string]Topic{}}
}

// Clone is a state that can be changed without s. Records are values.
func (s *State) Clone() *State {
	next := *s
	next.Sources, next.Recorded = maps.Clone(s.Sources), maps.Clone(s.Recorded)
	next.Replays, next.Deferred = maps.Clone(s.Replays), maps.Clone(s.Deferred)
	next.Forms, next.Topics = maps.Clone(s.Forms), maps.Clone(s.Topics)
	return &next
}

// Enter puts a record that was written at that time into the state. Kinds of records
// that this release does not know belong to a later one and are left alone.
func (s *State) Enter(key string, value []byte, at time.Time) error {
	kind, rest, _ := strings.Cut(key, "/")
	switch kind {
	case KindSource:
		src, ok := ParseSourceKey(key)
		if !ok {
			return &UnreadableError{Key: key, Err: errors.New("not source/<owner>/<lead type>")}
		}
		s.Recorded[src] = at
		return into(s.Sources, src, key, value)
	case KindDeferred:
		src, form, ok := ParseDeferredKey(key)
		if !ok {
			return &UnreadableError{Key: key, Err: errors.New("not debt/<owner>/<lead type>/<form>")}
		}
		return into(s.Deferred, DeferredID{src, form}, key, value)
	case KindReplay:
		return into(s.Replays, rest, key, value)
	case KindForm:
		return into(s.Forms, rest, key, value)
	case KindTopic:
		return into(s.Topics, rest, key, value)
	case KindRequests:
		return Decode(key, value, &s.Requests)
	case KindDeletions:
		return Decode(key, value, &s.Deletions)
	case KindHours:
		return Decode(key, value, &s.Hours)
	case KindProcess:
		return Decode(key, value, &s.Process)
	case KindOrganizations:
		return Decode(key, value, &s.Organizations)
	case KindTransaction:
		s.Transaction = &Transaction{}
		return Decode(key, value, s.Transaction)
	}
	return nil
}

func into[K comparable, V any](m map[K]V, k K, key string, value []byte) error {
	var v V
	if err := Decode(key, value, &v); err != nil {
		return err
	}
	m[k] = v
	return nil
}
