package status

import (
	"fmt"
	"slices"
	"strings"
)

// bundle is what has one problem and one remedy, told in one line.
type bundle struct {
	problem, todo string
	ids           []string
}

// bundles gathers what is amiss, by problem and remedy: a thousand forms that are
// suspended for one reason are one thing that needs attention.
type bundles struct{ list []bundle }

// mostBundles bounds the lines that the probe gives one part of the work. The last
// of so many is for whatever has none of its own.
const mostBundles = 10

func (b *bundles) add(id, problem, todo string) {
	i := slices.IndexFunc(b.list, func(other bundle) bool { return other.problem == problem && other.todo == todo })
	if i < 0 && len(b.list) < mostBundles {
		if len(b.list) == mostBundles-1 {
			problem, todo = "the status page says why", "see the status page"
		}
		b.list = append(b.list, bundle{problem: problem, todo: todo})
	}
	if i < 0 {
		i = len(b.list) - 1
	}
	b.list[i].ids = append(b.list[i].ids, id)
}

// several names up to three of many.
func several(names []string) string {
	const shown = 3
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
