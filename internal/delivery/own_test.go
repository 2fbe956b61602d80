package delivery

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"leadstream/internal/fault"
	"leadstream/internal/kafka"
)

func TestIssueWithAnInternalTopicIsNotOneFormsAffair(t *testing.T) {
	denied := &kafka.TopicError{Topic: "leadstream.checkpoints", Index: -1, Err: &kafka.AuthorizationError{Resource: "topic", Name: "leadstream.checkpoints", Operation: "Read"}}
	for _, tt := range []struct {
		name string
		err  error
		want fault.Kind
	}{
		{"a permission that is missing", denied, fault.Pause},
		{"a corrupt batch", &kafka.CorruptError{Topic: "leadstream.checkpoints", Err: errors.New("checksum")}, fault.Fatal},
		{"Kafka away", &kafka.UnreachableError{Err: errors.New("refused")}, fault.Retry},
		{"another policy", &PolicyError{}, fault.Fatal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := ownTopic(fmt.Errorf("reading: %w", tt.err))
			if got := fault.KindOf(err); got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%v is of kind %v, want %v", err, got, tt.want)
			}
		})
	}
	if ownTopic(nil) != nil {
		t.Error("no issue became one")
	}
}

func TestInternalTopicsThatCannotBeMadeWaitForAPerson(t *testing.T) {
	w := newWorld(t)
	w.opts.ReplicationFactor = 5 // of one broker
	o := w.opts
	o.Producer = w.cluster.NewProducer(o.Name, 15*time.Second)
	if _, err := New(o).Open(t.Context()); fault.KindOf(err) != fault.Pause {
		t.Errorf("Open = %v of kind %v, want pause", err, fault.KindOf(err))
	}
}

func TestACheckpointTopicThatRefusesItsRecordsWaitsForAPerson(t *testing.T) {
	w := newWorld(t)
	made, err := w.cluster.Admin.CreateTopics(t.Context(), []kafka.TopicSpec{{Name: CheckpointTopic(w.opts.Name), Partitions: 1, ReplicationFactor: 1,
		Configs: map[string]string{"cleanup.policy": "compact", "max.message.bytes": "10"}}})
	if err = errors.Join(err, made[CheckpointTopic(w.opts.Name)]); err != nil {
		t.Fatal(err)
	}
	o := w.opts
	o.Producer = w.cluster.NewProducer(o.Name, 15*time.Second)
	_, err = New(o).Open(t.Context())
	if fault.KindOf(err) != fault.Pause {
		t.Errorf("Open = %v of kind %v, want pause", err, fault.KindOf(err))
	}
}

// What a topic holds beside our leads is found wherever it stands when the topic was
// there before us, and among the last records when we have made it.
func TestATopicIsOursAloneWhenEveryRecordBearsOurName(t *testing.T) {
	name := func(name string) []kafka.Header { return []kafka.Header{{Key: HeaderName, Value: []byte(name)}} }
	ours := kafka.Message{Key: []byte("a"), Value: []byte("v"), Headers: name("leadstream")}
	theirs := kafka.Message{Key: []byte("b"), Value: []byte("v"), Headers: name("other")}
	strange := kafka.Message{Key: []byte("c"), Value: []byte("v")}
	byHand := kafka.Message{Key: []byte("a")}
	many := make([]kafka.Message, ownerSample)
	for i := range many {
		many[i] = ours
	}
	for _, tt := range []struct {
		name         string
		records      []kafka.Message
		before, made string // what others there are in a topic that existed, and in one of ours
	}{
		{"our leads", []kafka.Message{ours, byHand, ours}, "", ""},
		{"another installation's beside them", []kafka.Message{ours, theirs, ours}, `leads of the installation "other"`, `leads of the installation "other"`},
		{"a record without a name", []kafka.Message{strange, ours}, "records that leadstream did not write", "records that leadstream did not write"},
		{"one from long before", append([]kafka.Message{strange}, many...), "records that leadstream did not write", ""},
		{"another's in a shorter partition", append([]kafka.Message{theirs}, slices.Repeat([]kafka.Message{ours}, 2*ownerSample)...), `leads of the installation "other"`, `leads of the installation "other"`},
		{"tombstones by hand alone", []kafka.Message{byHand}, "nothing that tells who made it", ""},
		{"nothing", nil, "nothing that tells who made it", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			partitions := 1
			if strings.Contains(tt.name, "partition") {
				partitions = 3 // the keys are of different ones
			}
			if _, err := w.cluster.Admin.CreateTopics(t.Context(), []kafka.TopicSpec{{Name: topic, Partitions: partitions, ReplicationFactor: 1}}); err != nil {
				t.Fatal(err)
			}
			for _, m := range tt.records {
				m.Topic, m.Time = topic, w.now
				if err := w.cluster.Append(t.Context(), m); err != nil {
					t.Fatal(err)
				}
			}
			for existed, want := range map[bool]string{true: tt.before, false: tt.made} {
				if got, err := Others(t.Context(), w.cluster, topic, "leadstream", existed); err != nil || got != want {
					t.Errorf("Others (existed %v) = %q, %v, want %q", existed, got, err, want)
				}
			}
		})
	}
}
