package delivery

import (
	"cmp"
	"slices"
)

// entries are records of the deletions as they are read. Of those that say nothing
// beside a later one of the same id none is kept: what is in the topic may be many
// times the ids that it is about.
type entries map[entryPlace][]deletionEntry

// entryPlace is an id in a partition: in a topic that was given more partitions an id
// may be in several.
type entryPlace struct {
	id        string
	partition int
}

// add takes in the next record of its partition.
func (all entries) add(e deletionEntry) {
	at := entryPlace{e.ID, e.partition}
	list := all[at]
	if e.lifted || len(list) == 0 {
		all[at] = []deletionEntry{e}
		return
	}
	last := &list[len(list)-1]
	switch {
	case last.lifted || last.unreadable: // this one counts instead
		e.anew = true
		list = []deletionEntry{e}
	case e.unreadable:
		list = append(list, e)
	case !e.At.Before(last.At) && (e.Form != "" || last.Form == ""):
		e.anew = last.anew
		*last = e
	case e.At.Before(last.At) && (last.Form != "" || e.Form == ""):
	default:
		list = append(list, e)
	}
	all[at] = list
}

// inOrder calls fn for each that is kept, those of an id in the order in which they
// were written, whatever the partition.
func (all entries) inOrder(fn func(deletionEntry)) {
	byID := map[string][]deletionEntry{}
	for at, list := range all {
		byID[at.id] = append(byID[at.id], list...)
	}
	for _, list := range byID {
		slices.SortStableFunc(list, func(a, b deletionEntry) int {
			if a.partition == b.partition {
				return cmp.Compare(a.offset, b.offset)
			}
			return a.time.Compare(b.time)
		})
		for _, e := range list {
			fn(e)
		}
	}
}
