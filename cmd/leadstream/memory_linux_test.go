package main

import (
	"context"
	wire "encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kmsg"

	"leadstream/internal/embedded"
	"leadstream/internal/kafka"
	"leadstream/internal/linkedinsim"
)

// memoryLimit is what a process may take, whatever it meets in Kafka.
const memoryLimit = 192 << 20

func init() { acts["measured"] = measured }

// measured is the program for ten seconds at most, which says at its end how much
// memory it took. What a process says of a child includes memory of its own.
func measured() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	code := run(ctx, process{args: os.Args[1:], environ: os.Environ(), stdin: strings.NewReader(""), stdout: os.Stdout, stderr: os.Stdout})
	cancel()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	peak, _, _ = strings.Cut(peak, "\n")
	fmt.Printf("\nVmHWM: %s\n", peak)
	os.Exit(code)
}

// inLittleMemory runs a command in a process of its own, holds what it took to the
// limit, and gives its exit code and what it said.
func (s *stack) inLittleMemory(args ...string) (code int, said string) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), os.Args[0], args...) //nolint:gosec // this very program
	env := maps.Clone(s.env)
	env[actAs], env["LEADSTREAM_LOG_LEVEL"] = "measured", "info"
	for key, value := range env {
		cmd.Env = append(cmd.Env, key+"="+value)
	}
	out, err := cmd.CombinedOutput()
	took := regexp.MustCompile(`\nVmHWM:\s*(\d+) kB`).FindSubmatch(out)
	if took == nil {
		s.t.Fatalf("%v does not say what it took: %v: %s", args, err, out)
	}
	if kb, _ := strconv.Atoi(string(took[1])); kb<<10 > memoryLimit && !raceDetector {
		s.t.Errorf("%v took %d MB", args, kb>>10)
	} else {
		s.t.Logf("%v took %d MB", args, kb>>10)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// plant writes a batch of a few kilobytes to a topic that unpacks to so many bytes: each
// record has that key and a value of zeros.
func (s *stack) plant(topic, key string, records, value int) {
	s.t.Helper()
	var payload []byte
	for i := range records {
		one := wire.AppendVarint([]byte{0, 0}, int64(i))
		one = append(wire.AppendVarint(one, int64(len(key))), key...)
		one = append(wire.AppendVarint(one, int64(value)), make([]byte, value+1)...)
		payload = append(wire.AppendVarint(payload, int64(len(one))), one...)
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = z.Close() }()
	now := time.Now().UnixMilli()
	b := kmsg.NewRecordBatch()
	b.PartitionLeaderEpoch, b.Magic, b.Attributes, b.LastOffsetDelta, b.NumRecords = -1, 2, 4, int32(records-1), int32(records)
	b.FirstTimestamp, b.MaxTimestamp, b.ProducerID, b.ProducerEpoch, b.FirstSequence = now, now, -1, -1, -1
	b.Records = z.EncodeAll(payload, nil)
	raw := b.AppendTo(nil)
	wire.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	wire.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 9, -1, 5000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	part := kmsg.NewProduceRequestTopicPartition()
	part.Records = raw
	t.Partitions = append(t.Partitions, part)
	req.Topics = append(req.Topics, t)
	res, err := embedded.Request(s.t.Context(), s.env["LEADSTREAM_KAFKA_BROKERS"], req)
	if err != nil || res.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode != 0 {
		s.t.Fatalf("writing to %s: %v, %+v", topic, err, res)
	}
}

// TestWhatUnpacksToMuchIsRefusedInEveryTopicThatIsRead, in little memory, by the name of
// the topic: 30 KB that unpack to 300 MB.
func TestWhatUnpacksToMuchIsRefusedInEveryTopicThatIsRead(t *testing.T) {
	t.Parallel()
	for kind, tt := range map[string]struct {
		topic    string
		commands map[string]int // to exit codes
	}{
		"leads":        {"", map[string]int{"run --once": exitUnexpected, "tail --from-beginning": exitUnexpected}},
		"progress":     {"leadstream.checkpoints", map[string]int{"run --once": exitUnexpected, "checkpoints list": exitUnexpected, "check": exitDifferences}},
		"dead letters": {"leadstream.deadletters", map[string]int{"deadletters list": exitUnexpected, "run --once": exitUnexpected}},
		"deletions":    {"leadstream.deletions", map[string]int{"run --once": exitUnexpected}},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
			if got := s.run(t.Context(), nil, "run", "--once"); got.code != exitDone {
				t.Fatal(got.stderr)
			}
			topic := tt.topic
			if topic == "" {
				topic = "linkedin.leads." + oneFormID(t, s)
			}
			if kind == "deletions" {
				made, err := s.cluster().Admin.CreateTopics(t.Context(), compacted(topic))
				if err != nil || made[topic] != nil {
					t.Fatal(made, err)
				}
			}
			s.plant(topic, "bomb", 1, 300<<20)
			res, err := http.Post(s.env["LEADSTREAM_LINKEDIN_API_URL"]+"/sim/leads", "application/json", strings.NewReader(`{"count":1}`))
			if err != nil || res.StatusCode != http.StatusOK {
				t.Fatal(res, err)
			}
			_ = res.Body.Close()
			for _, command := range slices.Sorted(maps.Keys(tt.commands)) {
				code, said := s.inLittleMemory(strings.Fields(command)...)
				if want := tt.commands[command]; code != want || want != exitDone && (!strings.Contains(said, topic) || !strings.Contains(said, "16 MiB")) {
					t.Errorf("%s: exit code %d, want %d with the topic and the bound\n%s", command, code, want, said)
				}
			}
		})
	}
}

// TestManyRecordsInAFewBytesTakeLittleMemory: batches of a kilobyte with a million
// records, and values that are just not too large, as often as there is room.
func TestManyRecordsInAFewBytesTakeLittleMemory(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != exitDone {
		t.Fatal(got.stderr)
	}
	made, err := s.cluster().Admin.CreateTopics(t.Context(), compacted("leadstream.deletions"))
	if err != nil || made["leadstream.deletions"] != nil {
		t.Fatal(made, err)
	}
	lead := "linkedin.leads." + oneFormID(t, s)
	for i := range 2 {
		for _, topic := range []string{lead, "leadstream.checkpoints", "leadstream.deadletters", "leadstream.deletions"} {
			s.plant(topic, "many", 1_000_000, 0)
			s.plant(topic, fmt.Sprint("large/", i), 1, 15<<20)
		}
	}
	for _, command := range []string{"run --once", "deadletters list", "checkpoints list"} {
		s.inLittleMemory(strings.Fields(command)...)
	}
}

// compacted is a topic as the installation makes its own.
func compacted(name string) []kafka.TopicSpec {
	return []kafka.TopicSpec{{Name: name, Partitions: 1, Configs: map[string]string{"cleanup.policy": "compact"}}}
}
