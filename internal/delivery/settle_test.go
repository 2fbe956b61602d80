package delivery

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"leadstream/internal/kafka"
)

// newTwistedWorld is a world on a broker that the test can bend.
func newTwistedWorld(t *testing.T) (*world, *kfake.Cluster) {
	t.Helper()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DefaultNumPartitions(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	w := &world{t: t, brokers: broker.ListenAddrs(), now: time.Now().UTC().Truncate(time.Millisecond)}
	if w.cluster, err = kafka.New(kafka.Config{Brokers: w.brokers, Log: zap.NewNop()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.cluster.Close)
	w.opts = Options{Cluster: w.cluster, Name: "leadstream", Prefix: "linkedin.leads.", Partitions: 1, ReplicationFactor: 1,
		Lookback: 168 * time.Hour, SettleTime: 50 * time.Millisecond, Now: func() time.Time { return w.now }, Log: zap.NewNop()}
	return w, broker
}

const endTxn = 26 // EndTxn of the Kafka protocol

// loseMarkers has the broker acknowledge the next commit and not end it, as one
// does that is killed in between.
func loseMarkers(broker *kfake.Cluster) {
	broker.ControlKey(endTxn, func(req kmsg.Request) (kmsg.Response, error, bool) {
		answer := req.ResponseKind()
		answer.SetVersion(req.GetVersion())
		return answer, nil, true
	})
}

func TestACommitThatKafkaAcknowledgedAndDidNotEndIsEndedAndHeld(t *testing.T) {
	w, broker := newTwistedWorld(t)
	s, _ := w.epoch()
	at := w.now.Add(-time.Minute)
	publish(t, s, "", response("a", at))
	loseMarkers(broker)
	publish(t, s, "", response("b", at))
	if got := w.holds(topic); len(got) != 1 {
		t.Fatalf("the topic shows %v, want the first lead alone", got)
	}
	// A line of work that reads the topic anew must not take b for missing.
	expect(t, ask(t, s, s.Lane(""), w.window(-time.Hour, 0), response("a", at), response("b", at)), 0, 2, 0, 0)
	w.wantHeld(topic, map[string]time.Time{"a": at, "b": at})
	_, state := w.epoch()
	if p := state.Sources[src]; !p.Live.Equal(at) || state.Topics[formID].Leads != 2 {
		t.Errorf("progress after all is %v, topics %+v; want what was committed with b", state.Sources, state.Topics)
	}
}

// Another program's record behind our commit is not its marker.
func TestAnothersRecordIsNotTheMarkerOfOurCommit(t *testing.T) {
	w, broker := newTwistedWorld(t)
	w.opts.Adopt = true
	s, _ := w.epoch()
	at := w.now.Add(-time.Minute)
	publish(t, s, "", response("a", at))
	loseMarkers(broker)
	publish(t, s, "", response("b", at))
	w.foreign(record("theirs", "x", at, []byte("x")))
	expect(t, ask(t, s, s.Lane(""), w.window(-time.Hour, 0), response("a", at), response("b", at)), 0, 2, 0, 0)
}
