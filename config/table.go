package config

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// envPrefix begins the name of every environment variable of leadstream.
const envPrefix = "LEADSTREAM_"

// fileSuffix makes a secret's key the key of the file that holds it.
const fileSuffix = "_file"

// Key describes one key of the configuration.
type Key struct {
	Path    string // as in the file: kafka.brokers
	Env     string // LEADSTREAM_KAFKA_BROKERS
	Default string // as it would be written; empty when there is none
	// Shown is how the default is put in the documentation.
	Shown string
	// Bound says what values are right, in a few words; empty when any is.
	Bound  string
	Doc    string
	Secret bool
	// FileTwin is the key that names a file to read a secret from.
	FileTwin string
}

// setting is a Key and where its value stands in a Config.
type setting struct {
	Key
	index []int
	kind  reflect.Type
	tag   reflect.StructTag
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	secretType   = reflect.TypeFor[Secret]()
)

// settings is the table of all keys in the order of the struct.
var settings = walk(reflect.TypeFor[Config](), "", nil)

// Keys lists every key in the order of the documentation.
func Keys() []Key {
	keys := make([]Key, len(settings))
	for i, s := range settings {
		keys[i] = s.Key
	}
	return keys
}

func walk(t reflect.Type, prefix string, index []int) []setting {
	var out []setting
	for i := range t.NumField() {
		f := t.Field(i)
		name, ok := f.Tag.Lookup("key")
		if !ok {
			continue
		}
		path, at := prefix+name, append(slices.Clone(index), i)
		if f.Type.Kind() == reflect.Struct && f.Type != secretType {
			out = append(out, walk(f.Type, path+".", at)...)
			continue
		}
		out = append(out, describe(f, path, at))
	}
	return out
}

func describe(f reflect.StructField, path string, index []int) setting {
	s := setting{index: index, kind: f.Type, tag: f.Tag}
	s.Path, s.Env = path, envName(path)
	s.Default, s.Doc = f.Tag.Get("default"), f.Tag.Get("doc")
	s.Shown = s.Default
	if shows, ok := f.Tag.Lookup("shows"); ok {
		s.Shown = shows
	}
	s.Secret = f.Type == secretType
	if s.Secret {
		s.FileTwin = path + fileSuffix
	}
	s.Bound = s.bound()
	return s
}

// bound puts the tags min, max, also, oneof and rule into words.
func (s *setting) bound() string {
	if low, ok := s.tag.Lookup("min"); ok {
		text := low + " to " + s.tag.Get("max")
		if also, ok := s.tag.Lookup("also"); ok {
			text += ", or " + also
		}
		return text
	}
	if one, ok := s.tag.Lookup("oneof"); ok {
		return "one of " + strings.Join(strings.Fields(one), ", ")
	}
	if name, ok := s.tag.Lookup("rule"); ok {
		return rules[name].bound
	}
	if s.kind.Kind() == reflect.Bool {
		return "true or false"
	}
	return ""
}

func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// names are what may be written in the file: every path and every twin.
func names() []string {
	var out []string
	for _, s := range settings {
		out = append(out, s.Path)
		if s.Secret {
			out = append(out, s.FileTwin)
		}
	}
	return out
}

// find is the setting that a written name belongs to, and whether the name
// is that of its file twin.
func find(name string) (s *setting, twin bool) {
	for i := range settings {
		switch {
		case settings[i].Path == name:
			return &settings[i], false
		case settings[i].Secret && settings[i].FileTwin == name:
			return &settings[i], true
		}
	}
	return nil, false
}

// isSection reports whether keys begin with name and a dot.
func isSection(name string) bool {
	return slices.ContainsFunc(settings, func(s setting) bool {
		return strings.HasPrefix(s.Path, name+".")
	})
}
