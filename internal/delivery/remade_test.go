package delivery

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"leadstream/internal/checkpoint"
	"leadstream/internal/embedded"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
)

const checkpoints = "leadstream.checkpoints"

// deferred is what is deferred of a form.
func (w *world) deferred() checkpoint.DeferredWindow {
	return checkpoint.DeferredWindow{From: w.now.Add(-time.Hour), To: w.now, Since: w.now, Reason: "its schema is not compatible"}
}

// keep commits checkpoint records.
func keep(t *testing.T, s *Store, records map[string]any) error {
	t.Helper()
	return s.Commit(t.Context(), Batch{Records: records})
}

// tokensIn makes the topic again, as the token store of any process does.
func (w *world) tokensIn() {
	w.t.Helper()
	if err := NewTokens(w.opts).Put(w.t.Context(), "a/b", []byte("sealed")); err != nil {
		w.t.Fatal(err)
	}
}

// TestACheckpointTopicThatAnotherMadeAnewEndsTheEpochAndCountsForNothing: it is
// deleted under a connector, and the token store, which any process has, makes it
// again before the next commit. That succeeds, into a topic that lacks what is deferred:
// a process that took it for its progress would have forgotten that.
func TestACheckpointTopicThatAnotherMadeAnewEndsTheEpochAndCountsForNothing(t *testing.T) {
	anotherMadeAnew(t, newWorld(t))
}

func anotherMadeAnew(t *testing.T, w *world) {
	core, logs := observer.New(zap.InfoLevel)
	w.opts.Log = zap.New(core)
	s, _ := w.epoch()
	window := map[string]any{checkpoint.DeferredKey(src, formID): w.deferred()}
	for range 3 {
		if err := keep(t, s, window); err != nil {
			t.Fatal(err)
		}
	}
	w.remove(checkpoints)
	w.tokensIn()
	progress := map[string]any{checkpoint.SourceKey(src): checkpoint.Progress{Live: w.now}, checkpoint.RequestsKey: checkpoint.Requests{Counters: []byte(`{}`)}}
	err := keep(t, s, progress)
	if !errors.Is(err, kafka.ErrEpochLost) || !strings.Contains(err.Error(), checkpoints) {
		t.Fatalf("Commit = %v, want that the epoch is lost, and the topic named", err)
	}
	for range 2 { // also of the process that begins after the one that met it
		_, state := w.epoch()
		if len(state.Sources) > 0 || len(state.Deferred) > 0 || state.Requests.Counters != nil {
			t.Errorf("what was written into the topic counts: %+v", state)
		}
	}
	if said := logs.FilterMessageSnippet("made anew").Len(); said != 1 {
		t.Errorf("it is said %d times that the topic was made anew, want once", said)
	}
	tokens, err := NewTokens(w.opts).All(t.Context())
	if err != nil || len(tokens) != 1 {
		t.Errorf("the tokens are %v, %v; want the pair", tokens, err)
	}
	s, _ = w.epoch()
	if err := keep(t, s, progress); err != nil {
		t.Fatal(err)
	}
	if _, state := w.epoch(); len(state.Sources) != 1 {
		t.Errorf("the progress since is not read: %+v", state.Sources)
	}
}

// TestAProcessKilledRightAfterItsTopicWasMadeAnewLeavesNoProgress: the first record of
// a state that counts is that of the process, so that what was written without one is
// told from it, however many records the new topic has got by then.
func TestAProcessKilledRightAfterItsTopicWasMadeAnewLeavesNoProgress(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	if err := keep(t, s, map[string]any{checkpoint.DeferredKey(src, formID): w.deferred()}); err != nil {
		t.Fatal(err)
	}
	w.remove(checkpoints)
	for range 20 { // so many that the offsets tell nothing
		w.tokensIn()
	}
	progress := map[string]any{checkpoint.SourceKey(src): checkpoint.Progress{Live: w.now}}
	if err := keep(t, s, progress); err != nil && !errors.Is(err, kafka.ErrEpochLost) {
		t.Fatal(err)
	}
	if _, state := w.epoch(); len(state.Sources) > 0 {
		t.Errorf("progress without its deferred windows counts: %+v", state)
	}
}

// TestAnUnreadableRecordStopsAlsoWhereNothingCounts: it may be of a release that
// begins in another way.
func TestAnUnreadableRecordStopsAlsoWhereNothingCounts(t *testing.T) {
	w := newWorld(t)
	w.tokensIn()
	w.foreign(kafka.Message{Topic: checkpoints, Key: []byte("source/a/EVENT"), Value: []byte("{"), Time: w.now})
	o := w.opts
	o.Producer = w.cluster.NewProducer(o.Name, 15*time.Second)
	if _, err := New(o).Open(t.Context()); fault.KindOf(err) != fault.Fatal {
		t.Errorf("Open = %v, want a fatal error", err)
	}
}

// alter sets a setting of a topic, as kafka-configs does.
func (w *world) alter(topic, key, value string) {
	w.t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	res.Configs = []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: key, Value: &value}}
	req.Resources = append(req.Resources, res)
	w.request(req)
}

// addPartitions gives a topic more partitions, as kafka-topics --alter --partitions does.
func (w *world) addPartitions(topic string, count int32) {
	w.t.Helper()
	req := kmsg.NewPtrCreatePartitionsRequest()
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = topic, count
	req.Topics, req.TimeoutMillis = append(req.Topics, t), 5000
	if code := w.request(req).(*kmsg.CreatePartitionsResponse).Topics[0].ErrorCode; code != 0 {
		w.t.Fatalf("CreatePartitions: %d", code)
	}
}

func (w *world) request(req kmsg.Request) kmsg.Response {
	w.t.Helper()
	res, err := embedded.Request(w.t.Context(), w.brokers[0], req)
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

// TestWhatIsDoneToTheCheckpointTopicIsNoticedWhileRunning within a minute, and refused as
// at a start.
func TestWhatIsDoneToTheCheckpointTopicIsNoticedWhileRunning(t *testing.T) {
	for name, tt := range map[string]struct {
		topic string
		do    func(w *world)
	}{
		"checkpoints that are deleted by age": {checkpoints, func(w *world) { w.alter(checkpoints, "cleanup.policy", "delete") }},
		"checkpoints in three partitions":     {checkpoints, func(w *world) { w.addPartitions(checkpoints, 3) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s, _ := w.epoch()
			progress := map[string]any{checkpoint.SourceKey(src): checkpoint.Progress{Live: w.now}}
			tt.do(w)
			w.now = w.now.Add(time.Minute)
			err := keep(t, s, progress)
			if fault.KindOf(err) != fault.Fatal || !strings.Contains(err.Error(), tt.topic) {
				t.Errorf("Commit = %v, want a fatal error that names %s", err, tt.topic)
			}
			o := w.opts
			o.Producer = w.cluster.NewProducer(o.Name, 15*time.Second)
			if _, again := New(o).Open(t.Context()); fault.KindOf(again) != fault.Fatal || !strings.Contains(again.Error(), tt.topic) {
				t.Errorf("Open = %v, want the same", again)
			}
		})
	}
}

// TestADeletionIsNotAcknowledgedIntoATopicThatForgetsIt, also when that was changed
// while running.
func TestADeletionIsNotAcknowledgedIntoATopicThatForgetsIt(t *testing.T) {
	w := newWorld(t)
	n := NewDeletionLog(w.opts)
	if err := n.Delete(t.Context(), Deletion{ID: "a", Form: formID, At: w.now}); err != nil {
		t.Fatal(err)
	}
	w.alter("leadstream.deletions", "cleanup.policy", "compact,delete")
	w.now = w.now.Add(time.Minute)
	var policy *PolicyError
	if err := n.Delete(t.Context(), Deletion{ID: "b", Form: formID, At: w.now}); !errors.As(err, &policy) || policy.Topic != "leadstream.deletions" {
		t.Errorf("Delete = %v, want a *PolicyError of its topic", err)
	}
}

// TestACheckpointTopicOfThreePartitionsIsRefused by whoever relies on it, with what to
// do.
func TestACheckpointTopicOfThreePartitionsIsRefused(t *testing.T) {
	w := newWorld(t)
	results, err := w.cluster.Admin.CreateTopics(t.Context(), []kafka.TopicSpec{{Name: checkpoints, Partitions: 3, Configs: map[string]string{"cleanup.policy": "compact"}}})
	if err != nil || results[checkpoints] != nil {
		t.Fatal(results, err)
	}
	err = EnsureInternal(t.Context(), w.opts)
	partitions, ok := errors.AsType[*PartitionsError](err)
	if !ok || fault.KindOf(err) != fault.Fatal || partitions.Topic != checkpoints || partitions.Partitions != 3 {
		t.Fatalf("EnsureInternal = %v, want a fatal *PartitionsError", err)
	}
	if !strings.Contains(err.Error(), "delete the topic") || fault.TodoOf(err) == "" {
		t.Errorf("the error does not say what to do: %v", err)
	}
}

// TestTheNextProcessEndsWhatHungAsItsManifestSays, which it finds with the progress.
func TestTheNextProcessEndsWhatHungAsItsManifestSays(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	publish(t, s, "", response("a", w.now), response("b", w.now))
	_, state := w.epoch()
	if state.Transaction == nil {
		t.Fatal("the topic does not say what was written last")
	}
	at := slices.IndexFunc(state.Transaction.Written, func(w checkpoint.Written) bool { return w.Topic == topic })
	if at < 0 || state.Transaction.Written[at].Last-state.Transaction.Written[at].First != 1 {
		t.Errorf("it says %+v, want two records of %s", state.Transaction, topic)
	}
}
