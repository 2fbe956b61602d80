package delivery

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
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
		Lookback: 168 * time.Hour, VisibleTime: 50 * time.Millisecond, Now: func() time.Time { return w.now }, Log: zap.NewNop()}
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
	expect(t, ask(t, s, s.NewView(""), w.window(-time.Hour, 0), response("a", at), response("b", at)), 0, 2, 0, 0)
	w.wantHeld(topic, map[string]time.Time{"a": at, "b": at})
	_, state := w.epoch()
	if p := state.Sources[src]; !p.Live.Equal(at) || state.Topics[formID].Leads != 2 {
		t.Errorf("progress after all is %v, topics %+v; want what was committed with b", state.Sources, state.Topics)
	}
}

// A lead topic that cannot be looked at when the session begins keeps no other waiting.
func TestATopicThatCannotBeLookedAtKeepsNoEpochFromBeginning(t *testing.T) {
	w, broker := newTwistedWorld(t)
	s, _ := w.epoch()
	publish(t, s, "", response("a", w.now.Add(-time.Minute)))
	broker.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if asked := req.(*kmsg.MetadataRequest).Topics; len(asked) != 1 || *asked[0].Topic != topic {
			broker.KeepControl()
			return nil, nil, false
		}
		res := req.ResponseKind().(*kmsg.MetadataResponse)
		one := kmsg.NewMetadataResponseTopic()
		one.Topic, one.ErrorCode = new(topic), kerr.UnknownServerError.Code
		res.Topics = append(res.Topics, one)
		return res, nil, true
	})
	cluster, err := kafka.New(kafka.Config{Brokers: w.brokers, Log: zap.NewNop()}) // that knows of no topic yet
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	w.cluster, w.opts.Cluster = cluster, cluster
	next, state := w.epoch()
	if len(state.Topics) != 1 || !next.topics[topic].unlooked {
		t.Errorf("topics %v, want that of the form, to be looked at before its next use", state.Topics)
	}
}

func TestATopicThatWasNotLookedAtIsBeforeItsNextUse(t *testing.T) {
	w, broker := newTwistedWorld(t)
	s, _ := w.epoch()
	at := w.now.Add(-time.Minute)
	publish(t, s, "", response("a", at))
	loseMarkers(broker)
	publish(t, s, "", response("b", at))
	s.topics[topic].unlooked, s.topics[topic].written = true, nil // as after a start
	expect(t, ask(t, s, s.NewView(""), w.window(-time.Hour, 0), response("a", at), response("b", at)), 0, 2, 0, 0)
	w.wantHeld(topic, map[string]time.Time{"a": at, "b": at})
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
	expect(t, ask(t, s, s.NewView(""), w.window(-time.Hour, 0), response("a", at), response("b", at)), 0, 2, 0, 0)
}
