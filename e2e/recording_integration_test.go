//go:build integration

package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// recordings holds a directory for each release of which an installation was
// recorded; testdata/recordings/README.md says how.
const recordings = "testdata/recordings"

// recording is what a release has left behind when it was killed: all of Kafka
// and of the registry that is its own, its token files, and LinkedIn as it was.
type recording struct {
	Release string    // commit of the release
	Left    time.Time // when the last process was killed
	Topics  []topicLine
	Records []recordLine // by topic and partition, in the order of their offsets
	Schemas []schemaLine // by subject and version
	// LinkedIn are the requests to the simulator's control API that make its world.
	LinkedIn []controlLine
	Files    map[string]octets
}

// topicLine is a topic with the settings it was made with.
type topicLine struct {
	Topic   string            `json:"topic"`
	Configs map[string]string `json:"configs"`
	First   []int64           `json:"first"` // by partition the oldest offset that is left
}

// recordLine is what stands at an offset: a record, or the end of a transaction.
type recordLine struct {
	Topic     string      `json:"topic"`
	Partition int         `json:"partition"`
	Offset    int64       `json:"offset"`
	Time      int64       `json:"time"`          // epoch milliseconds
	Producer  int64       `json:"producer"`      // of the transaction; -1 outside of any
	End       string      `json:"end,omitempty"` // commit or abort; then there is no record
	Key       octets      `json:"key"`
	Value     octets      `json:"value"`
	Headers   [][2]string `json:"headers,omitempty"`
}

// schemaLine is a version of a subject; ID and Version are what the registry gave.
type schemaLine struct {
	Subject       string `json:"subject"`
	Compatibility string `json:"compatibility,omitempty"` // of the subject, where it has one of its own
	Version       int    `json:"version"`
	ID            int    `json:"id"`
	Schema        string `json:"schema"`
}

// controlLine is a request to the simulator's control API.
type controlLine struct {
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Body   json.RawMessage `json:"body,omitempty"`
}

// octets are a text where they are one, so that a recording can be read.
type octets []byte

func (o octets) MarshalJSON() ([]byte, error) {
	switch {
	case o == nil:
		return []byte("null"), nil
	case utf8.Valid(o):
		return json.Marshal(string(o))
	}
	return json.Marshal(map[string]string{"hex": hex.EncodeToString(o)})
}

func (o *octets) UnmarshalJSON(text []byte) error {
	*o = nil
	switch text[0] {
	case 'n':
		return nil
	case '"':
		var s string
		err := json.Unmarshal(text, &s)
		*o = octets(s)
		return err
	}
	var coded struct{ Hex string }
	if err := json.Unmarshal(text, &coded); err != nil {
		return err
	}
	var err error
	*o, err = hex.DecodeString(coded.Hex)
	return err
}

// The files of a recording.
const (
	fileAbout    = "about.json"
	fileKafka    = "kafka.jsonl.gz" // each topic, and behind it its records
	fileRegistry = "registry.jsonl.gz"
	fileLinkedIn = "linkedin.jsonl.gz"
	dirFiles     = "files"
)

type about struct {
	Release string    `json:"release"`
	Left    time.Time `json:"left"`
}

// load reads a recording.
func load(dir string) (*recording, error) {
	r := &recording{Files: map[string]octets{}}
	text, err := os.ReadFile(filepath.Join(dir, fileAbout))
	if err != nil {
		return nil, err
	}
	var a about
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("%s: %w", fileAbout, err)
	}
	r.Release, r.Left = a.Release, a.Left
	err = readLines(filepath.Join(dir, fileKafka), func(line []byte) error {
		if bytes.Contains(line[:bytes.IndexByte(line, ',')+12], []byte(`"configs":`)) {
			return appendLine(&r.Topics, line)
		}
		return appendLine(&r.Records, line)
	})
	if err == nil {
		err = readLines(filepath.Join(dir, fileRegistry), func(line []byte) error { return appendLine(&r.Schemas, line) })
	}
	if err == nil {
		err = readLines(filepath.Join(dir, fileLinkedIn), func(line []byte) error { return appendLine(&r.LinkedIn, line) })
	}
	if err != nil {
		return nil, err
	}
	files, err := os.ReadDir(filepath.Join(dir, dirFiles))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if r.Files[f.Name()], err = os.ReadFile(filepath.Join(dir, dirFiles, f.Name())); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func appendLine[T any](to *[]T, line []byte) error {
	var v T
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return err
	}
	*to = append(*to, v)
	return nil
}

func readLines(path string, take func(line []byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read from
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	lines := bufio.NewReader(unpacked)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = take(line)
		}
		if err != nil {
			return fmt.Errorf("%s line %d: %w", path, n, err)
		}
	}
}

// save writes a recording into a directory, in the place of what is there.
func (r *recording) save(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, dirFiles), 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(about{r.Release, r.Left}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, fileAbout), append(text, '\n'), 0o644); err != nil {
		return err
	}
	var kafka []any
	for _, t := range r.Topics {
		kafka = append(kafka, t)
		for _, line := range r.Records {
			if line.Topic == t.Topic {
				kafka = append(kafka, line)
			}
		}
	}
	for name, lines := range map[string][]any{fileKafka: kafka, fileRegistry: anys(r.Schemas), fileLinkedIn: anys(r.LinkedIn)} {
		if err := writeLines(filepath.Join(dir, name), lines); err != nil {
			return err
		}
	}
	for name, content := range r.Files {
		if err := os.WriteFile(filepath.Join(dir, dirFiles, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func anys[T any](list []T) []any {
	out := make([]any, len(list))
	for i := range list {
		out[i] = list[i]
	}
	return out
}

func writeLines(path string, lines []any) error {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, line := range lines {
		if err := e.Encode(line); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(path, packed.Bytes(), 0o644)
}

// ends are the offsets at which the partitions of a topic ended.
func (r *recording) ends(topic string) []int64 {
	i := slices.IndexFunc(r.Topics, func(t topicLine) bool { return t.Topic == topic })
	if i < 0 {
		return nil
	}
	ends := slices.Clone(r.Topics[i].First)
	for _, line := range r.Records {
		if line.Topic == topic {
			ends[line.Partition] = max(ends[line.Partition], line.Offset+1)
		}
	}
	return ends
}

// split tells the records that consumers saw from those of the transaction that the
// kill has left open. What was aborted is neither.
func (r *recording) split() (committed, open []recordLine) {
	pending := map[string][]recordLine{} // by partition, of the transaction under way
	for _, line := range r.Records {
		at := fmt.Sprint(line.Topic, line.Partition)
		switch {
		case line.Producer < 0:
			committed = append(committed, line)
		case line.End == "":
			pending[at] = append(pending[at], line)
		default:
			if line.End == "commit" {
				committed = append(committed, pending[at]...)
			}
			pending[at] = nil
		}
	}
	for _, lines := range pending {
		open = append(open, lines...)
	}
	return committed, open
}

// progress are the checkpoints of an installation by their keys.
func (r *recording) progress(name string) map[string]string {
	committed, _ := r.split()
	progress := map[string]string{}
	for _, line := range committed {
		if line.Topic != name+".checkpoints" {
			continue
		}
		if progress[string(line.Key)] = string(line.Value); line.Value == nil {
			delete(progress, string(line.Key))
		}
	}
	return progress
}

// complete is an error that names what a recording lacks of all that an upgrade is to
// be tried with.
func (r *recording) complete() error {
	_, open := r.split()
	p, of := r.progress(whole), func(urn string) string { return "urn:li:organization:" + urn + "/EVENT" }
	var replay struct {
		From, To time.Time
		Next     map[string]time.Time
	}
	var deletions struct{ Next []int64 }
	err := errors.Join(json.Unmarshal([]byte(p["replay/"+everyone]), &replay), json.Unmarshal([]byte(p["deletions"]), &deletions))
	if err != nil {
		return fmt.Errorf("replay and deletions: %w", err)
	}
	half := 0
	for _, next := range replay.Next {
		if next.After(replay.From) && next.Before(replay.To) {
			half++
		}
	}
	inKafka := slices.ContainsFunc(r.Records, func(l recordLine) bool {
		return l.Topic == inTopic+".checkpoints" && strings.HasPrefix(string(l.Key), "token/")
	})
	var missing []error
	for what, there := range map[string]bool{
		"a backfill half done":                   strings.Contains(p["source/"+of(nordwind)], `"kind":"backfill"`),
		"an outage that is half caught up with":  strings.Contains(p["source/"+of(alpenblick)], `"kind":"catch_up"`),
		"deferred leads of a suspended form":     p["debt/"+of(alpenblick)+"/"+webinar] != "",
		"deferred leads that a replay asked for": strings.Contains(p["debt/"+of(alpenblick)+"/"+workshop], `"explicit":true`),
		"a replay half done":                     half > 0,
		"deletions half carried out":             len(deletions.Next) == 1 && deletions.Next[0] > 0 && deletions.Next[0] < r.ends(whole + ".deletions")[0],
		"records that were removed from a topic": slices.ContainsFunc(r.Topics, func(t topicLine) bool { return slices.Max(t.First) > 0 }),
		"a transaction left open, with leads":    slices.ContainsFunc(open, func(l recordLine) bool { return kind(l.Topic) == "" }),
		"a transaction that was aborted":         slices.ContainsFunc(r.Records, func(l recordLine) bool { return l.End == "abort" }),
		"tokens in Kafka":                        inKafka,
		"an encrypted token file":                bytes.HasPrefix(r.Files["token."+whole], []byte("age-encryption.org/")),
		"a token file that is not encrypted":     bytes.Contains(r.Files["token."+inPlain], []byte(`"refresh_token"`)),
	} {
		if !there {
			missing = append(missing, fmt.Errorf("the recording lacks %s", what))
		}
	}
	return errors.Join(missing...)
}

// kind is what a topic of an installation is for, empty for leads.
func kind(topic string) string {
	for _, kind := range []string{"checkpoints", "deletions", "deadletters"} {
		if strings.HasSuffix(topic, "."+kind) {
			return kind
		}
	}
	return ""
}
