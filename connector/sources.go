package connector

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/lead"
)

// sources are the sources that are read in a session, and how each fares. Safe for concurrent
// use.
type sources struct {
	mu  sync.Mutex
	all map[lead.Source]*sourceState
	// strangers are sources that LinkedIn notified of and that are not read.
	strangers map[lead.Source]bool
}

// sourceState is how a source fares.
type sourceState struct {
	success  time.Time // of the last poll
	caughtUp bool      // it was polled up to the moment at which its first poll began, for --once
	err      error     // why it cannot be read until somebody acts; nil while it can
	stuck    error     // why --once has given its backlog up
	notified bool      // LinkedIn has a subscription to our webhook for it
	pending  *pendingNotifications
}

func newSources() *sources {
	return &sources{all: map[lead.Source]*sourceState{}, strangers: map[lead.Source]bool{}}
}

// add begins with a source; false when it was begun with before.
func (s *sources) add(src lead.Source) (pending *pendingNotifications, added bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[src] != nil {
		return nil, false
	}
	pending = newPendingNotifications()
	s.all[src] = &sourceState{pending: pending}
	return pending, true
}

// get is a copy of how a source fares; false when it is not read.
func (s *sources) get(src lead.Source) (sourceState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state := s.all[src]; state != nil {
		return *state, true
	}
	return sourceState{}, false
}

// has reports whether a source is read.
func (s *sources) has(src lead.Source) bool {
	_, ok := s.get(src)
	return ok
}

// set changes how a source fares. One that is not read has nothing to change.
func (s *sources) set(src lead.Source, change func(*sourceState)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state := s.all[src]; state != nil {
		change(state)
	}
}

// list are the sources in the order of their names.
func (s *sources) list() []lead.Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Keys(s.all), func(a, b lead.Source) int { return strings.Compare(a.String(), b.String()) })
}

// mostStrangers bounds the sources that are said to be none of ours.
const mostStrangers = 100

// notify hands a notification to its source. A source that is not known yet is polled as soon as
// it is. unknown says that discovery has not found it, the first time.
func (s *sources) notify(src lead.Source, p checkpoint.Pushed, discovered bool) (unknown bool) {
	s.mu.Lock()
	state := s.all[src]
	if state == nil && discovered && !s.strangers[src] && len(s.strangers) < mostStrangers {
		s.strangers[src], unknown = true, true
	}
	s.mu.Unlock()
	if state != nil {
		state.pending.add(p)
	}
	return unknown
}

// drop has no request made any more for a response that was deleted.
func (s *sources) drop(id string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, state := range s.all {
		state.pending.drop(id, at)
	}
}
