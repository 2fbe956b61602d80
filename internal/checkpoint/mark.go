package checkpoint

import (
	"slices"

	"leadstream/internal/lead"
)

// ReadMark orders reading and recording within one process: what is read with a
// mark knows nothing of what was recorded under a later one. It is not stored, since
// no reader outlives its process.
type ReadMark uint64

// renewal says when a part of a backlog was recorded last.
type renewal struct {
	lead.Window
	asOf ReadMark
}

// maxRenewals bounds how many are kept apart. Of more, the two oldest are one.
const maxRenewals = 64

func renew(renewed []renewal, w lead.Window, asOf ReadMark) []renewal {
	renewed = append(slices.DeleteFunc(renewed, func(r renewal) bool { // covered by the new one
		return !r.From.Before(w.From) && !r.To.After(w.To)
	}), renewal{w, asOf})
	if len(renewed) > maxRenewals {
		a, b := renewed[0], renewed[1]
		renewed[1] = renewal{lead.Window{From: lead.Earlier(a.From, b.From), To: lead.Later(a.To, b.To)}, max(a.asOf, b.asOf)}
		renewed = renewed[1:]
	}
	return renewed
}

// within reports whether any of the ranges still holds a part of it.
func (r renewal) within(ranges []Range) bool {
	return slices.ContainsFunc(ranges, func(other Range) bool { return r.Overlaps(other.Window()) })
}

// cleared are the parts of w that nobody recorded since it was read.
func cleared(w lead.Window, renewed []renewal, readAt ReadMark) []lead.Window {
	parts := []lead.Window{w}
	for _, r := range renewed {
		if r.asOf <= readAt {
			continue
		}
		var left []lead.Window
		for _, part := range parts {
			left = append(left, part.Without(r.Window)...)
		}
		parts = left
	}
	return parts
}
