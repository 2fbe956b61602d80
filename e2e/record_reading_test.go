//go:build integration && record

package e2e

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// proxy stands between the connectors and LinkedIn. It stalls requests for leads, and
// remembers the tokens that were given.
type proxy struct {
	*httptest.Server

	mu     sync.Mutex
	stalls []*stall
	tokens []controlLine
}

// stall are the requests for an organization's leads whose window begins between two
// moments and does not reach into the last half hour, as that of every poll does. They
// get no answer.
type stall struct {
	t        testing.TB
	owner    string
	from, to time.Time     // where the windows begin
	met      chan struct{} // closed when the first has come
	once     sync.Once
}

func newProxy(t testing.TB, target string) *proxy {
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{}
	forward := httputil.NewSingleHostReverseProxy(to)
	forward.ModifyResponse = p.remember
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s := p.stalled(r); s != nil {
			s.once.Do(func() { close(s.met) })
			<-r.Context().Done()
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		p.CloseClientConnections()
		p.Close()
	})
	return p
}

func (p *proxy) stall(t testing.TB, owner string, from, to time.Time) *stall {
	s := &stall{t: t, owner: owner, from: from, to: to, met: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalls = append(p.stalls, s)
	return s
}

// await waits until a request was stalled.
func (s *stall) await() {
	s.t.Helper()
	select {
	case <-s.met:
	case <-time.After(60 * time.Second):
		s.t.Fatalf("no request for leads of %s came whose window begins between %s and %s", s.owner, s.from, s.to)
	}
}

var window = regexp.MustCompile(`start:(\d+),end:(\d+)`)

func (p *proxy) stalled(r *http.Request) *stall {
	query, err := url.PathUnescape(r.URL.RawQuery)
	bounds := window.FindStringSubmatch(query)
	if err != nil || bounds == nil {
		return nil
	}
	moment := func(text string) time.Time {
		at, _ := strconv.ParseInt(text, 10, 64) // digits
		return time.UnixMilli(at)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.stalls, func(s *stall) bool {
		return strings.Contains(query, s.owner) && !moment(bounds[1]).Before(s.from) && moment(bounds[1]).Before(s.to) && time.Since(moment(bounds[2])) > 30*time.Minute
	})
	if i < 0 {
		return nil
	}
	return p.stalls[i]
}

// remember keeps the tokens of an answer, as requests that have them issued again.
func (p *proxy) remember(res *http.Response) error {
	if !strings.HasSuffix(res.Request.URL.Path, "/accessToken") || res.StatusCode != http.StatusOK {
		return nil
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	var token struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal(body, &token); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens = append(p.tokens, controlLine{"POST", "/sim/tokens", json.RawMessage(text(object{
		"accessToken": token.Access, "refreshToken": token.Refresh, "accessLife": thirtyYears, "refreshLife": thirtyYears,
	}))})
	return nil
}

// lines reads JSON lines.
func (l *linkedin) lines(path string, into *[]map[string]any) error {
	b, err := get(l.url + path)
	if err != nil {
		return err
	}
	for line := range bytes.Lines(b) {
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		var v map[string]any
		if err := d.Decode(&v); err != nil {
			return err
		}
		*into = append(*into, v)
	}
	return nil
}

// marked counts the records of a replay in mode all by lead.
func (f *continuous) marked(replay string) map[identity]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	marked := map[identity]int{}
	for i := range f.seen.records {
		if r := &f.seen.records[i]; r.header("leadstream.replay") == replay {
			marked[r.identity()]++
		}
	}
	return marked
}

// partition is where a lead was seen.
func (f *continuous) partition(id string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.seen.records {
		if f.seen.records[i].Key == id {
			return f.seen.records[i].Partition
		}
	}
	return -1
}

// record reads everything, Kafka first: after some seconds it ends the transaction
// that the kill has left open.
func (s *scenario) record() *recording {
	s.t.Helper()
	r := &recording{Release: s.release(), Left: s.left.UTC().Truncate(time.Millisecond), Files: map[string]octets{}}
	s.readTopics(r)
	s.readRegistry(r)
	r.LinkedIn = append(slices.Concat(s.made, s.proxy.tokens), s.leads()...)
	for _, w := range s.all {
		path := w.settings["LEADSTREAM_TOKEN_FILE"]
		content, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) && w.name == inTopic {
			continue
		}
		if err != nil {
			s.t.Fatal(err)
		}
		r.Files[filepath.Base(path)] = content
	}
	if err := r.complete(); err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *scenario) readTopics(r *recording) {
	s.t.Helper()
	client := admin(s.brokers)
	known, err := client.Metadata(s.t.Context(), &kafka.MetadataRequest{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, topic := range known.Topics {
		ours := slices.ContainsFunc(s.all, func(w *world) bool { return strings.HasPrefix(topic.Name, w.name+".") })
		if !ours {
			continue
		}
		t := topicLine{Topic: topic.Name, Configs: s.configs(topic.Name), First: make([]int64, len(topic.Partitions))}
		for partition := range topic.Partitions {
			s.readPartition(r, &t, partition)
		}
		r.Topics = append(r.Topics, t)
	}
	slices.SortFunc(r.Topics, func(a, b topicLine) int { return strings.Compare(a.Topic, b.Topic) })
}

// configs are the settings that a topic was made with.
func (s *scenario) configs(topic string) map[string]string {
	s.t.Helper()
	res, err := admin(s.brokers).DescribeConfigs(s.t.Context(), &kafka.DescribeConfigsRequest{
		Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	configs := map[string]string{}
	for _, e := range res.Resources[0].ConfigEntries {
		const ofTheTopic = 1 // DYNAMIC_TOPIC_CONFIG
		if e.ConfigSource == ofTheTopic {
			configs[e.ConfigName] = e.ConfigValue
		}
	}
	return configs
}

// offsets are the ends of a topic's partitions.
func (s *scenario) offsets(topic string) map[int]int64 {
	s.t.Helper()
	ends := map[int]int64{}
	for partition := range 2 {
		res, err := admin(s.brokers).Fetch(s.t.Context(), &kafka.FetchRequest{Topic: topic, Partition: partition, Offset: 0, MinBytes: 1, MaxBytes: 1, MaxWait: 100 * time.Millisecond})
		if err == nil {
			err = res.Error
		}
		if err != nil {
			s.t.Fatal(err)
		}
		ends[partition] = res.HighWatermark
	}
	return ends
}

// readPartition reads what stands at each offset, markers and open transactions too.
func (s *scenario) readPartition(r *recording, t *topicLine, partition int) {
	s.t.Helper()
	first := int64(kafka.FirstOffset)
	for next, end := first, int64(-1); end < 0 || next < end; {
		res, err := admin(s.brokers).Fetch(s.t.Context(), &kafka.FetchRequest{Topic: t.Topic, Partition: partition, Offset: next, MinBytes: 1, MaxBytes: 8 << 20, MaxWait: 200 * time.Millisecond})
		if err == nil {
			err = res.Error
		}
		if err != nil {
			s.t.Fatalf("reading %s-%d: %v", t.Topic, partition, err)
		}
		if end = res.HighWatermark; next == first {
			t.First[partition] = res.LogStartOffset
			next = res.LogStartOffset
		}
		batches, ok := res.Records.(*protocol.RecordStream)
		if !ok {
			continue
		}
		for _, batch := range batches.Records {
			lines, err := linesOf(batch)
			if err != nil {
				s.t.Fatalf("reading %s-%d: %v", t.Topic, partition, err)
			}
			for _, line := range lines {
				if line.Offset < next {
					continue
				}
				if line.Offset != next {
					s.t.Fatalf("%s-%d has nothing at offset %d: was it compacted?", t.Topic, partition, next)
				}
				line.Topic, line.Partition = t.Topic, partition
				r.Records = append(r.Records, line)
				next++
			}
		}
	}
}

func linesOf(batch protocol.RecordReader) (lines []recordLine, err error) {
	producer, control := int64(-1), false
	switch b := batch.(type) {
	case *protocol.ControlBatch:
		producer, control = b.ProducerID, true
	case *protocol.RecordBatch:
		if b.Attributes.Transactional() {
			producer = b.ProducerID
		}
	}
	for {
		record, err := batch.ReadRecord()
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return nil, err
		}
		key, err := protocol.ReadAll(record.Key)
		if err != nil {
			return nil, err
		}
		value, err := protocol.ReadAll(record.Value)
		if err != nil {
			return nil, err
		}
		line := recordLine{Offset: record.Offset, Time: record.Time.UnixMilli(), Producer: producer}
		if control {
			line.End = map[uint16]string{0: "abort", 1: "commit"}[binary.BigEndian.Uint16(key[2:])]
		} else {
			line.Key, line.Value = key, value
			for _, h := range record.Headers {
				line.Headers = append(line.Headers, [2]string{h.Key, string(h.Value)})
			}
		}
		lines = append(lines, line)
	}
}

func (s *scenario) readRegistry(r *recording) {
	s.t.Helper()
	type config struct {
		CompatibilityLevel string `json:"compatibilityLevel"`
	}
	var subjects []string
	var usual config
	s.ask("/subjects", &subjects)
	s.ask("/config", &usual)
	for _, subject := range subjects {
		level := usual
		if b, err := get(s.registry + "/config/" + subject); err == nil { // 404: it has none
			if err := json.Unmarshal(b, &level); err != nil {
				s.t.Fatal(err)
			}
		}
		if level == usual {
			level.CompatibilityLevel = ""
		}
		for _, version := range s.versions(subject) {
			line := schemaLine{Compatibility: level.CompatibilityLevel}
			s.ask("/subjects/"+subject+"/versions/"+strconv.Itoa(version), &line)
			r.Schemas = append(r.Schemas, line)
		}
	}
	slices.SortFunc(r.Schemas, func(a, b schemaLine) int {
		return cmp.Or(strings.Compare(a.Subject, b.Subject), a.Version-b.Version)
	})
}
