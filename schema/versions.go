package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// versions is a sorted set of form versions. It is never changed in place, so
// that copies may share it. As text it is a list of runs: 1-3,7.
type versions []int

// mostVersions bounds what a text may unfold to.
const mostVersions = 100_000

func (v versions) has(n int) bool {
	_, found := slices.BinarySearch(v, n)
	return found
}

func (v versions) with(n int) versions {
	at, found := slices.BinarySearch(v, n)
	if found {
		return v
	}
	return slices.Insert(slices.Clone(v), at, n)
}

func (v versions) without(n int) versions {
	at, found := slices.BinarySearch(v, n)
	if !found {
		return v
	}
	return slices.Delete(slices.Clone(v), at, at+1)
}

// max is the highest of the set, -1 when it is empty.
func (v versions) max() int {
	if len(v) == 0 {
		return -1
	}
	return v[len(v)-1]
}

// MarshalText implements encoding.TextMarshaler.
func (v versions) MarshalText() ([]byte, error) {
	var out []byte
	for i := 0; i < len(v); {
		end := i
		for end+1 < len(v) && v[end+1] == v[end]+1 {
			end++
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(out, int64(v[i]), 10)
		if end > i {
			out = append(out, '-')
			out = strconv.AppendInt(out, int64(v[end]), 10)
		}
		i = end + 1
	}
	return out, nil
}

// UnmarshalText implements encoding.TextUnmarshaler. Runs must be in order.
func (v *versions) UnmarshalText(text []byte) error {
	var out versions
	if len(text) == 0 {
		*v = nil
		return nil
	}
	for run := range strings.SplitSeq(string(text), ",") {
		first, last, isRun := strings.Cut(run, "-")
		if !isRun {
			last = first
		}
		from, err := strconv.Atoi(first)
		if err != nil {
			return fmt.Errorf("reading form versions %.50q: %w", text, err)
		}
		to, err := strconv.Atoi(last)
		if err != nil {
			return fmt.Errorf("reading form versions %.50q: %w", text, err)
		}
		if from <= out.max() || to < from || len(out)+to-from >= mostVersions {
			return fmt.Errorf("reading form versions %.50q: not a list of increasing runs", text)
		}
		for n := from; n <= to; n++ {
			out = append(out, n)
		}
	}
	*v = out
	return nil
}
