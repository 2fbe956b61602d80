package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"
)

// defaultPath is read from the working directory when no file is named.
const defaultPath = "leadstream.yaml"

// maxFile bounds the configuration file and the files of secrets, in bytes.
const maxFile = 1 << 20

// fileLayer reads the YAML file at path. Everything that is not a key of
// ours, twice there or of the wrong shape is a problem with its line. The
// error is for a file that cannot be read at all.
func fileLayer(path string, p *problems) (layer, error) {
	text, err := readBounded(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return parseFile(text, path, p), nil
}

func readBounded(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // to open a pipe does not wait for who writes to it
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: nothing to lose
	var from io.Reader = f
	if info, err := f.Stat(); err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0 {
		from = &pipe{f, path}
	}
	text, err := io.ReadAll(io.LimitReader(from, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("larger than %d bytes", maxFile)}
	}
	return text, nil
}

// pipeWait is how long a pipe may say nothing.
var pipeWait = 10 * time.Second

// pipe reads what somebody else is still writing, as of a shell's <(command), and
// does not wait for ever for who never writes.
type pipe struct {
	*os.File
	path string
}

func (p *pipe) Read(b []byte) (int, error) {
	for end := time.Now().Add(pipeWait); ; {
		_ = p.SetReadDeadline(end) // what has no deadline is read as it comes
		n, err := p.File.Read(b)
		switch {
		case n > 0:
			p.path = "" // somebody writes: the end of it is the end
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, io.EOF) && p.path != "" && !time.Now().Before(end):
			return 0, &fs.PathError{Op: "read", Path: p.Name(), Err: fmt.Errorf("it is a pipe to which nobody writes; waited %s", pipeWait)}
		case errors.Is(err, io.EOF) && p.path != "": // nobody has opened it for writing yet
			time.Sleep(10 * time.Millisecond)
			continue
		}
		return n, err
	}
}

// parseFile turns the text of a file into a layer.
func parseFile(text []byte, path string, p *problems) layer {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, second yaml.Node
	out := layer{}
	if err := decoder.Decode(&document); err != nil {
		if !errors.Is(err, io.EOF) {
			p.add("", "", "not YAML: "+withoutQuotes(err), path)
		}
		return out
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		p.add("", "", "holds more than one YAML document, only one is read", path)
		return out
	}
	root := resolveAlias(document.Content[0])
	switch {
	case root.Kind == yaml.MappingNode:
		r := reader{path: path, out: out, problems: p, seen: map[string]*yaml.Node{}}
		r.section("", root)
	case root.Tag != "!!null":
		p.add("", "", "does not hold keys and values", path)
	}
	return out
}

// The parser quotes what it stumbled over, which may be part of a secret.
var quoted = regexp.MustCompile(`'[^']*'|"[^"]*"|` + "`[^`]*`")

func withoutQuotes(err error) string {
	text := quoted.ReplaceAllString(err.Error(), "'…'")
	return strings.TrimPrefix(text, "yaml: ")
}

func resolveAlias(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// reader walks the nodes of one file.
type reader struct {
	path     string
	out      layer
	problems *problems
	seen     map[string]*yaml.Node // the keys that were met, also in a section that stands there twice
}

func (r *reader) where(n *yaml.Node) string { return fmt.Sprintf("%s:%d", r.path, n.Line) }

func (r *reader) section(prefix string, n *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], resolveAlias(n.Content[i+1])
		name := prefix + clip(key.Value)
		first, twice := r.seen[name]
		if !twice {
			r.seen[name] = key
		}
		switch {
		case isSection(name):
			if twice {
				r.problems.add(name, "", fmt.Sprintf("given twice, first in line %d: put its keys into one place", first.Line), r.where(key))
			}
			r.subsection(name, key, value)
		case twice:
			r.problems.add(name, "", fmt.Sprintf("given twice, first in line %d: keep one of the two", first.Line), r.where(key))
		default:
			r.leaf(name, key, value)
		}
	}
}

func (r *reader) subsection(name string, key, value *yaml.Node) {
	switch {
	case value.Kind == yaml.MappingNode:
		r.section(name+".", value)
	case value.Tag == "!!null": // all its keys are commented out
	default:
		r.problems.add(name, "", "is a section, its keys go below it, indented", r.where(key))
	}
}

func (r *reader) leaf(name string, key, value *yaml.Node) {
	if s, _ := find(name); s == nil {
		r.problems.add(name, "", "no such key"+didYouMean(name, names()), r.where(key))
		return
	}
	v := raw{where: r.where(key)}
	switch {
	case value.Tag == "!!null":
		r.problems.add(name, "", "has no value; give one or take the line out", r.where(key))
		return
	case value.Kind == yaml.ScalarNode:
		v.text = value.Value
	case value.Kind == yaml.SequenceNode:
		v.shape = list
		for _, item := range value.Content {
			item = resolveAlias(item)
			if item.Kind != yaml.ScalarNode {
				r.problems.add(name, "", "is a list of plain values", r.where(item))
				return
			}
			v.list = append(v.list, item.Value)
		}
	case value.Kind == yaml.MappingNode:
		v.shape, v.pairs = mapping, r.pairs(name, value)
		if v.pairs == nil {
			return
		}
	}
	r.out[name] = v
}

// pairs is nil after a problem.
func (r *reader) pairs(name string, n *yaml.Node) map[string]string {
	out, lines := map[string]string{}, map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], resolveAlias(n.Content[i+1])
		first, twice := lines[key.Value]
		switch {
		case value.Kind != yaml.ScalarNode || value.Tag == "!!null":
			r.problems.add(name+"."+clip(key.Value), "", "needs one plain value", r.where(key))
			return nil
		case twice:
			r.problems.add(name+"."+clip(key.Value), "", fmt.Sprintf("given twice, first in line %d: keep one of the two", first), r.where(key))
			return nil
		}
		out[key.Value], lines[key.Value] = value.Value, key.Line
	}
	return out
}
