package config

import (
	"errors"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// LoadOptions says where to look for values.
type LoadOptions struct {
	// Path is the configuration file. When it is empty, leadstream.yaml in
	// the working directory is read if it is there.
	Path string
	// NoFile reads no file at all.
	NoFile bool
	// Environ is the environment in the form of os.Environ.
	Environ []string
	// Flags are values of the command line by key, written as they would be
	// in the environment.
	Flags map[string]string
	// Require lists keys without which the command cannot do its work.
	Require []string
}

// Load finds every value and checks it: alone, then together with the
// others. Everything that is wrong comes back at once, in an *InvalidError;
// the Config is nil then. Warnings name what works but is probably not meant.
// They and the error never hold a secret.
func Load(o LoadOptions) (*Config, []Warning, error) {
	var found problems
	file, err := openFile(o, &found)
	if err != nil {
		found.add("", "", err.Error(), "")
	}
	env, warnings := environment(o.Environ)
	merged := merge(&found, file, env, flags(o.Flags, &found))
	c, bad := resolve(merged)
	found = append(found, bad...)
	c.cross(&found)
	if len(bad) == 0 {
		warnings = append(warnings, c.doubts()...)
	}
	c.require(o.Require, merged, &found)
	if len(found) > 0 {
		return nil, warnings, &InvalidError{Problems: found}
	}
	return c, warnings, nil
}

// openFile is the layer of the file; none when no file was named and the one
// looked for by default is not there.
func openFile(o LoadOptions, p *problems) (layer, error) {
	if o.NoFile {
		return nil, nil
	}
	if o.Path != "" {
		return fileLayer(o.Path, p)
	}
	file, err := fileLayer(defaultPath, p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return file, err
}

// merge lays the layers over each other, later ones on top. A secret and its
// twin are one thing: a place that sets either hides what is below, and a
// place that sets both contradicts itself.
func merge(p *problems, layers ...layer) layer {
	out := layer{}
	for _, l := range layers {
		for _, name := range sortedKeys(l) {
			v := l[name]
			s, twin := find(name)
			if !s.Secret {
				out[name] = v
				continue
			}
			other := s.FileTwin
			if twin {
				other = s.Path
			}
			if beside, both := l[other]; both {
				if !twin {
					p.add(s.Path, "", "is given here and in "+s.FileTwin+" ("+beside.where+"); keep one of the two", v.where)
				}
				continue
			}
			delete(out, other)
			out[name] = v
		}
	}
	return out
}

// resolve makes a Config of the defaults and what the layers set. The
// problems are in the order of the table.
func resolve(l layer) (*Config, problems) {
	var found problems
	c := &Config{origins: map[string]string{}}
	root := reflect.ValueOf(c).Elem()
	for i := range settings {
		s := &settings[i]
		v, ok := l[s.Path]
		if twin, given := l[s.FileTwin]; s.Secret && given {
			v, ok = readSecret(s, twin, &found)
		}
		if !ok {
			if v, ok = (raw{text: s.Default, where: "default"}), s.Default != ""; !ok {
				continue
			}
		}
		value, reason := s.parse(v)
		if reason != "" {
			found.add(s.Path, s.display(v), reason, v.where)
			continue
		}
		root.FieldByIndex(s.index).Set(value)
		c.origins[s.Path] = v.where
	}
	return c, found
}

// readSecret reads the file that a twin names. One line break at its end is
// not part of the secret, and a second one is a mistake (parseSecret).
func readSecret(s *setting, twin raw, p *problems) (raw, bool) {
	if twin.shape != scalar || !isPath(twin.text) {
		p.add(s.FileTwin, "", "must be a path", twin.where)
		return raw{}, false
	}
	text, err := readBounded(twin.text)
	if err != nil {
		p.add(s.FileTwin, twin.text, err.Error(), twin.where)
		return raw{}, false
	}
	secret, ended := strings.CutSuffix(string(text), "\n")
	if ended {
		secret = strings.TrimSuffix(secret, "\r")
	}
	if secret == "" {
		p.add(s.FileTwin, twin.text, "the file is empty", twin.where)
		return raw{}, false
	}
	return raw{text: secret, where: "file " + twin.text + " (" + twin.where + ")"}, true
}

// require reports the keys a command needs that are not set. A key that was
// set to something bad has been reported already.
func (c *Config) require(keys []string, given layer, p *problems) {
	for _, key := range keys {
		s, _ := find(key)
		if s == nil {
			p.add(key, "", "no such key", "")
			continue
		}
		if where := c.origins[s.Path]; where != "" && c.text(s) == placeholder {
			p.add(key, s.display(raw{text: placeholder}), "is still what the example has: put your own in its place", where)
		}
		_, inline := given[s.Path]
		_, twin := given[s.FileTwin]
		if inline || twin || c.origins[s.Path] != "" {
			continue
		}
		reason := "is needed; set it in the file, or as " + s.Env
		if s.Secret {
			reason += ", or put it into a file and name that in " + s.FileTwin
		}
		p.add(key, "", reason, "")
	}
}

// text is the value in force of a scalar setting, also of a secret: it is not to be
// shown.
func (c *Config) text(s *setting) string {
	switch v := reflect.ValueOf(c).Elem().FieldByIndex(s.index).Interface().(type) {
	case Secret:
		return v.Reveal()
	case string:
		return v
	}
	return ""
}

// Value is one key with the value in force and the place it came from.
type Value struct {
	Key string `json:"key"`
	// Value as it could stand in an environment variable; secrets redacted.
	Value  string `json:"value"`
	Source string `json:"source"`
}

// Values lists every key in the order of the documentation.
func (c *Config) Values() []Value {
	root := reflect.ValueOf(c).Elem()
	out := make([]Value, len(settings))
	for i, s := range settings {
		out[i] = Value{Key: s.Path, Value: written(root.FieldByIndex(s.index)), Source: c.origins[s.Path]}
		if out[i].Source == "" {
			out[i].Source = "not set"
		}
	}
	return out
}

// FlagValues reads settings written KEY=VALUE, as LoadOptions.Flags wants
// them. Of a key given twice the last counts, as with flags in general.
func FlagValues(args []string) (map[string]string, error) {
	out := map[string]string{}
	var found problems
	for _, arg := range args {
		k, v, ok := strings.Cut(arg, "=")
		if !ok || k == "" {
			found.add(strconv.Quote(clip(k)), "", "a setting on the command line is written KEY=VALUE, as kafka.brokers=localhost:9092", "flag")
			continue
		}
		out[k] = v
	}
	if len(found) > 0 {
		return nil, &InvalidError{Problems: found}
	}
	return out, nil
}

// sortedKeys keeps the order of problems the same from run to run.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
