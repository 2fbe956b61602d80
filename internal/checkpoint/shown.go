package checkpoint

import (
	"iter"
	"slices"
	"time"
)

// The records of this file are for people alone: nothing that is read or
// published depends on them. They are written in transactions that are made for
// something else, but for Organizations when it has changed who can be read. An
// older release does not know them.

// HoursKept is how many hours Hours holds: a day and the running hour.
const HoursKept = 25

// Hours counts the leads committed in each hour of the last day, by our clock.
// It is a value.
type Hours struct {
	// First is when the first hour begins, in UTC.
	First time.Time `json:"first,omitzero"`
	// Leads are the counts of the hours from First on, at most HoursKept.
	Leads []int64 `json:"leads"`
}

// Add is h with leads committed at that time, and without what is older than a
// day by then.
func (h Hours) Add(at time.Time, leads int) Hours {
	hour := at.UTC().Truncate(time.Hour)
	if last := h.First.Add(time.Duration(len(h.Leads)-1) * time.Hour); last.Sub(hour) == time.Hour {
		hour = last // the process before this one has a clock that is a little ahead
	}
	next := Hours{First: hour.Add(-(HoursKept - 1) * time.Hour), Leads: make([]int64, HoursKept)}
	for start, n := range h.All() {
		if i := start.Sub(next.First) / time.Hour; i >= 0 && i < HoursKept {
			next.Leads[i] += n
		}
	}
	next.Leads[HoursKept-1] += int64(leads)
	if first := slices.IndexFunc(next.Leads, func(n int64) bool { return n > 0 }); first > 0 {
		next.First, next.Leads = next.First.Add(time.Duration(first)*time.Hour), next.Leads[first:]
	}
	return next
}

// All are the hours' beginnings with their counts, oldest first.
func (h Hours) All() iter.Seq2[time.Time, int64] {
	return func(yield func(time.Time, int64) bool) {
		for i, n := range h.Leads {
			if !yield(h.First.Truncate(time.Hour).Add(time.Duration(i)*time.Hour), n) {
				return
			}
		}
	}
}

// Process names the process that began the newest producer epoch: while it
// lives, it is the active one.
type Process struct {
	// ID is the host's name, with the process's number where that may not be
	// enough.
	ID    string    `json:"id"`
	Since time.Time `json:"since"`
}

// Organizations are the organizations that are known, as they were found last:
// they keep their names in processes that did not find them, and one that is
// found no more is missed.
type Organizations struct {
	Known []Organization `json:"known"`
}

// Organization is one of them.
type Organization struct {
	URN   string   `json:"urn"`
	Name  string   `json:"name,omitempty"`
	Roles []string `json:"roles,omitempty"`
	// Problem says why its leads cannot be read, Todo what to do; empty when they can.
	Problem string `json:"problem,omitempty"`
	Todo    string `json:"todo,omitempty"`
	// Incidental: nobody asked for it; its Problem is no failure.
	Incidental bool `json:"incidental,omitempty"`
}
