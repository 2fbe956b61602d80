package checkpoint

import (
	"time"

	"leadstream/internal/lead"
)

// Records are checkpoint records by key. A nil value removes the key.
type Records map[string]any

// Advance is what a window moves once all of it is durable. It is a value, applied to
// the state as it is at that moment.
type Advance interface {
	// On moves the state, and gives the records that are different now. published is how
	// many leads the window had.
	On(s *State, published int) Records
	// Whole reports whether the window may not have any of its leads deferred.
	Whole() bool
	// Lazy reports whether the records may wait while there is nothing else to commit:
	// what is older in the topic than in memory only makes a restart look back further.
	Lazy() bool
}

// Polled is a poll: the live window of a source was read up to After.Live.
type Polled struct {
	Source lead.Source
	After  Progress // its position and its look-back
	Read   lead.Window
	ReadAt ReadMark
	// Later is what was too much for the poll and becomes backlog; empty where there is
	// none. Fresh is from when on nothing of it had been read before, AsOf when it was
	// recorded.
	Later lead.Window
	Fresh time.Time
	AsOf  ReadMark
}

// On implements Advance.
func (a Polled) On(s *State, _ int) Records {
	next := a.After.Onto(s.Sources[a.Source]).Reconciled(a.Read, a.ReadAt)
	if !a.Later.Empty() {
		next = next.Defer(a.Later, a.Fresh, a.AsOf)
	}
	s.Sources[a.Source] = next
	return Records{SourceKey(a.Source): next}
}

// Whole implements Advance.
func (Polled) Whole() bool { return false }

// Lazy implements Advance: what is left for later is not to be forgotten.
func (a Polled) Lazy() bool { return a.Later.Empty() }

// BacklogDone is a part of a source's backlog.
type BacklogDone struct {
	Source lead.Source
	Kind   RangeKind
	Part   lead.Window
	ReadAt ReadMark
}

// On implements Advance.
func (a BacklogDone) On(s *State, published int) Records {
	next := s.Sources[a.Source].Done(a.Kind, a.Part, published, a.ReadAt)
	s.Sources[a.Source] = next
	return Records{SourceKey(a.Source): next}
}

// Whole implements Advance.
func (BacklogDone) Whole() bool { return false }

// Lazy implements Advance.
func (BacklogDone) Lazy() bool { return true }

// ReplayDone is a part of a replay. What the source's backlog has of it is done as well.
type ReplayDone struct {
	ID     string
	All    bool // mode all: what is deferred of it would go out unmarked
	Source lead.Source
	Part   lead.Window
	ReadAt ReadMark
}

// On implements Advance.
func (a ReplayDone) On(s *State, published int) Records {
	replay := s.Replays[a.ID].At(a.Source.String(), a.Part.To, published)
	s.Replays[a.ID] = replay
	records := Records{ReplayKey(a.ID): replay}
	if before, ok := s.Sources[a.Source]; ok {
		if after := before.Reconciled(a.Part, a.ReadAt); !before.sameBacklog(after) {
			s.Sources[a.Source] = after
			records[SourceKey(a.Source)] = after
		}
	}
	return records
}

// Whole implements Advance.
func (a ReplayDone) Whole() bool { return a.All }

// Lazy implements Advance.
func (ReplayDone) Lazy() bool { return false }

// DeferredDone is a part of what is deferred of a form.
type DeferredDone struct {
	ID     DeferredID
	Part   lead.Window
	Bound  Bound
	ReadAt ReadMark
}

// On implements Advance.
func (a DeferredDone) On(s *State, _ int) Records {
	left := s.Deferred[a.ID].Reconciled(a.Part, a.Bound, a.ReadAt)
	key := DeferredKey(a.ID.Source, a.ID.Form)
	if len(left.Ranges) == 0 {
		delete(s.Deferred, a.ID)
		return Records{key: nil}
	}
	s.Deferred[a.ID] = left
	return Records{key: left}
}

// Whole implements Advance: leads of a form that is suspended again are deferred again.
func (DeferredDone) Whole() bool { return false }

// Lazy implements Advance.
func (DeferredDone) Lazy() bool { return false }
