package config

import (
	"slices"
	"strings"
)

// raw is a value as it was written, before anyone knows what it should be.
type raw struct {
	shape shape
	text  string   // of a scalar
	list  []string // of a list
	pairs map[string]string
	where string // for people: leadstream.yaml:12
}

type shape uint8

const (
	scalar shape = iota // also every flag and variable; lists and maps are then split
	list
	mapping
)

// layer holds what one place sets, by the names of the file (twins included).
type layer map[string]raw

// splitList is the list in a scalar: parted by commas, blanks around the
// items dropped. Empty items stay, so that they are noticed.
func splitList(text string) []string {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	items := strings.Split(text, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

// splitPairs is the map in a scalar: k=v parted by commas. A part without an
// equals sign belongs to the value before it, since values of Kafka's are
// lists themselves: cleanup.policy=compact,delete,segment.ms=3600000. The
// second result is a part that belongs to nothing, or a key given twice.
func splitPairs(text string) (pairs map[string]string, bad string) {
	pairs = map[string]string{}
	last := ""
	for _, part := range splitList(text) {
		k, v, found := strings.Cut(part, "=")
		k = strings.TrimSpace(k)
		switch {
		case found && k == "":
			return nil, part
		case found:
			if _, twice := pairs[k]; twice {
				return nil, part
			}
			pairs[k], last = strings.TrimSpace(v), k
		case last == "":
			return nil, part
		default:
			pairs[last] += "," + part
		}
	}
	return pairs, ""
}

// environment is the layer of the variables, and a warning for each variable
// that begins like one of ours and is none. A variable that is set to the
// empty string counts as not set, since that is how compose files and
// manifests write an optional one.
func environment(environ []string) (layer, []Warning) {
	known := map[string]string{}
	for _, name := range names() {
		known[envName(name)] = name
	}
	out, warnings := layer{}, []Warning(nil)
	for _, entry := range environ {
		variable, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(variable, envPrefix) {
			continue
		}
		name, ok := known[variable]
		switch {
		case !ok:
			warnings = append(warnings, Warning{Key: variable, Text: "is ignored, there is no such setting" + meantVariable(variable)})
		case value != "":
			out[name] = raw{text: value, where: "environment " + variable}
		}
	}
	slices.SortFunc(warnings, func(a, b Warning) int { return strings.Compare(a.Key, b.Key) })
	return out, warnings
}

// meantVariable is a hint like didYouMean's. What all variables begin with makes
// none of them alike.
func meantVariable(variable string) string {
	all := names()
	for i := range all {
		all[i] = strings.TrimPrefix(envName(all[i]), envPrefix)
	}
	if n := nearest(strings.TrimPrefix(variable, envPrefix), all); n != "" {
		return ", did you mean " + envPrefix + n + "?"
	}
	return ""
}

// flags is the layer of the command line, by key. Secrets are refused there:
// everybody on the machine can read a command line.
func flags(given map[string]string, p *problems) layer {
	out := layer{}
	for _, name := range sortedKeys(given) {
		text := given[name]
		s, twin := find(name)
		switch {
		case s == nil:
			p.add(name, "", "no such key"+didYouMean(name, names()), "flag")
		case s.Secret && !twin:
			p.add(name, "", "a secret cannot be a flag, since a command line is there for all to read; use "+s.Env+" or "+s.FileTwin, "flag")
		default:
			out[name] = raw{text: text, where: "flag"}
		}
	}
	return out
}
