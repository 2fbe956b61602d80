package kafka

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// swallow has the coordinator acknowledge the next end of a transaction and
// forget its markers.
func swallow(t *testing.T, f *kfake.Cluster) {
	t.Helper()
	var swallowed atomic.Bool
	f.ControlKey(int16(protocol.EndTxn), func(req kmsg.Request) (kmsg.Response, error, bool) {
		swallowed.Store(true)
		return answerWith(req, 0), nil, true
	})
	t.Cleanup(func() {
		if !swallowed.Load() {
			t.Error("the end of the transaction came through")
		}
	})
}

func TestAnAcknowledgedCommitWithoutMarkersIsEndedAsOne(t *testing.T) {
	c, f := fake(t)
	create(t, c, 1, "a", "b")
	p := producer(t, c, "tx")
	commit(t, p, message("a", "1"), message("b", "1"))
	eventuallyValues(t, c, "a", 1)
	swallow(t, f)
	commit(t, p, message("a", "2"), message("b", "2"))
	last := map[int]int64{0: 2} // behind 1 and its marker
	if markerVisible, err := c.Reader.MarkersVisible(t.Context(), "a", last); err != nil || markerVisible {
		t.Fatalf("Decided = %v, %v; want it awaitsMarker", markerVisible, err)
	}
	ended, err := p.EndHanging(t.Context(), []string{"b", "missing", "a"})
	if want := []TopicPartition{{"a", 0}, {"b", 0}}; err != nil || !slices.Equal(ended, want) {
		t.Fatalf("EndHanging = %v, %v; want %v", ended, err, want)
	}
	for _, topic := range []string{"a", "b"} {
		if got := eventuallyValues(t, c, topic, 2); !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("topic %s holds %v, want both", topic, got)
		}
	}
	if ended, err := p.EndHanging(t.Context(), []string{"a", "b"}); err != nil || len(ended) > 0 {
		t.Errorf("EndHanging of what is decided = %v, %v", ended, err)
	}
	commit(t, p, message("a", "3")) // the producer is good
	if got := eventuallyValues(t, c, "a", 3); !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Errorf("topic a holds %v", got)
	}
}

// TestAnAcknowledgedCommitWithoutMarkersOutlivesAnAbort: the transaction after it in
// the partition is refused, and its abort would end what was committed as well.
func TestAnAcknowledgedCommitWithoutMarkersOutlivesAnAbort(t *testing.T) {
	c, f := fake(t)
	create(t, c, 1, "a")
	p := producer(t, c, "tx")
	swallow(t, f)
	commit(t, p, message("a", "1"))
	f.ControlKey(int16(protocol.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		return answerWith(req, int16(codeInvalidRecord)), nil, true
	})
	var refused *TopicError
	if _, err := p.Commit(t.Context(), []Message{message("a", "refused")}); !errors.As(err, &refused) {
		t.Fatalf("Commit = %v, want that the topic refuses", err)
	}
	commit(t, p, message("a", "2"))
	if got := eventuallyValues(t, c, "a", 2); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("topic a holds %v, want what was committed", got)
	}
}

// TestACommitWithoutMarkersIsEndedThoughNothingFollowsInItsPartition: consumers do
// not pass it until then.
func TestACommitWithoutMarkersIsEndedThoughNothingFollowsInItsPartition(t *testing.T) {
	c, f := fake(t)
	create(t, c, 1, "a", "b")
	p := producer(t, c, "tx")
	swallow(t, f)
	commit(t, p, message("a", "1"))
	w := p.awaiting[TopicPartition{"a", 0}]
	w.at = w.at.Add(-overdue)
	p.awaiting[TopicPartition{"a", 0}] = w
	// Elsewhere is where it is not expected: the embedded broker would end both.
	if err := p.settleEarlier(t.Context(), []TopicPartition{{"b", 0}}); err != nil {
		t.Fatal(err)
	}
	if got := values(t, c, "a", From{}); !slices.Equal(got, []string{"1"}) || len(p.awaiting) > 0 {
		t.Errorf("topic a holds %v, want what was committed", got)
	}
}

// TestAPartitionWithoutLeaderKeepsNoOtherWaitingForItsMarkers although markers are
// missing there, and are overdue.
func TestAPartitionWithoutLeaderKeepsNoOtherWaitingForItsMarkers(t *testing.T) {
	c, f := fake(t, kfake.NumBrokers(1))
	create(t, c, 1, "a", "b")
	p := producer(t, c, "tx")
	commit(t, p, message("a", "1"), message("b", "1"))
	p.awaiting[TopicPartition{"a", 0}] = awaitingMarker{at: time.Now().Add(-overdue)}
	var asked atomic.Int32 // for a, in vain
	f.ControlKey(int16(protocol.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		if !slices.ContainsFunc(req.(*kmsg.ListOffsetsRequest).Topics, func(t kmsg.ListOffsetsRequestTopic) bool { return t.Topic == "a" }) {
			return nil, nil, false
		}
		asked.Add(1)
		return answerWith(req, int16(codeLeaderNotAvailable)), nil, true
	})
	commit(t, p, message("b", "2"))
	commit(t, p, message("b", "3"))
	if n := asked.Load(); n == 0 || n > 50 {
		t.Errorf("%d requests were made for the other topic, want a few", n)
	}
	if _, still := p.awaiting[TopicPartition{"a", 0}]; !still {
		t.Error("the other topic is not looked after any more")
	}
}

// TestALookForMarkersIsOneRequestToEachBroker where they are there, as a rule.
func TestALookForMarkersIsOneRequestToEachBroker(t *testing.T) {
	c, f := fake(t, kfake.NumBrokers(1))
	topics := []string{"a", "b", "c"}
	create(t, c, 2, topics...)
	p := producer(t, c, "tx")
	var asked atomic.Int32
	f.ControlKey(int16(protocol.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		asked.Add(1)
		return nil, nil, false
	})
	for round := range 4 {
		var msgs []Message
		for i, topic := range topics {
			msgs = append(msgs, message(topic, strconv.Itoa(round+i)))
		}
		commit(t, p, msgs...)
		eventually(t, "the markers", func() bool {
			return p.see(t.Context(), slices.Collect(maps.Keys(p.awaiting))) == nil && len(p.awaiting) == 0
		})
	}
	if asked.Store(0); p.settleEarlier(t.Context(), []TopicPartition{{"a", 0}, {"a", 1}}) != nil || asked.Load() > 0 {
		t.Errorf("%d requests where all is seen, want none", asked.Load())
	}
	commit(t, p, message("a", "x"), message("b", "x"), message("c", "x"))
	eventuallyValues(t, c, "a", 5)
	asked.Store(0)
	commit(t, p, message("a", "y"), message("b", "y"), message("c", "y"))
	if n := asked.Load(); n != 1 {
		t.Errorf("%d requests for offsets, want one", n)
	}
}

// TestAnAcknowledgedAbortWithoutMarkersDoesNotComeToLight: the next commit in the
// partition would end it as well.
func TestAnAcknowledgedAbortWithoutMarkersDoesNotComeToLight(t *testing.T) {
	c, f := fake(t)
	create(t, c, 1, "a")
	p := producer(t, c, "tx")
	swallow(t, f)
	cause := errors.New("refused")
	if err := open(t, p, message("a", "0")).giveUp(t.Context(), cause); !errors.Is(err, cause) {
		t.Fatalf("aborting = %v", err)
	}
	commit(t, p, message("a", "1"))
	if got := eventuallyValues(t, c, "a", 1); !slices.Equal(got, []string{"1"}) {
		t.Errorf("topic a holds %v, want what was committed alone", got)
	}
}

// TestTheNextProcessEndsWhatHangsAsItWasEnded: it knows from the coordinator how.
func TestTheNextProcessEndsWhatHangsAsItWasEnded(t *testing.T) {
	for _, c := range []struct {
		state string
		want  []string
	}{
		{"CompleteCommit", []string{"1", "2"}},
		{"PrepareCommit", []string{"1", "2"}},
		{"CompleteAbort", []string{"1"}},
		{"Empty", []string{"1"}},
	} {
		t.Run(c.state, func(t *testing.T) {
			cluster, f := fake(t)
			create(t, cluster, 1, "a")
			p := producer(t, cluster, "tx")
			commit(t, p, message("a", "1"))
			eventuallyValues(t, cluster, "a", 1)
			swallow(t, f)
			commit(t, p, message("a", "2"))
			// The embedded coordinator still takes it for open: it answers for one
			// that has ended it.
			f.ControlKey(int16(describeTransactions), func(req kmsg.Request) (kmsg.Response, error, bool) {
				res := req.ResponseKind().(*kmsg.DescribeTransactionsResponse)
				res.TransactionStates = []kmsg.DescribeTransactionsResponseTransactionState{{
					TransactionalID: req.(*kmsg.DescribeTransactionsRequest).TransactionalIDs[0], State: c.state,
					ProducerID: p.pid, ProducerEpoch: p.epoch,
				}}
				return res, nil, true
			})
			f.ControlKey(int16(protocol.InitProducerId), func(req kmsg.Request) (kmsg.Response, error, bool) {
				res := req.ResponseKind().(*kmsg.InitProducerIDResponse)
				res.ProducerID, res.ProducerEpoch = p.pid, p.epoch
				return res, nil, true
			})
			next := producer(t, cluster, "tx")
			ended, err := next.EndHanging(t.Context(), []string{"a"})
			if err != nil || len(ended) != 1 {
				t.Fatalf("EndHanging = %v, %v; want the one partition", ended, err)
			}
			if got := eventuallyValues(t, cluster, "a", len(c.want)); !slices.Equal(got, c.want) {
				t.Errorf("topic a holds %v, want %v", got, c.want)
			}
		})
	}
}

// TestWhatHungIsReadOnceItIsEnded: the coordinator answers before the markers are
// written, and a reader that did not wait for them would miss what counts.
func TestWhatHungIsReadOnceItIsEnded(t *testing.T) {
	c, f := fake(t)
	create(t, c, 1, "a")
	p := producer(t, c, "tx")
	swallow(t, f)
	commit(t, p, message("a", "1"))
	swallow(t, f) // its markers come when somebody has looked for them in vain
	var looks atomic.Int32
	f.ControlKey(int16(protocol.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		if req.(*kmsg.ListOffsetsRequest).IsolationLevel == readCommitted && looks.Add(1) == 3 {
			go func() { _, _ = p.end(context.Background(), true) }() //nolint:usetesting // may outlive the test
		}
		return nil, nil, false
	})
	if ended, err := p.EndHanging(t.Context(), []string{"a"}); err != nil || len(ended) != 1 {
		t.Fatalf("EndHanging = %v, %v; want the one partition", ended, err)
	}
	if got := values(t, c, "a", From{}); !slices.Equal(got, []string{"1"}) {
		t.Errorf("topic a holds %v, want what was committed", got)
	}
}

// TestACommitIsEndedAsOneByTheSecondOfTwoStarts: the first one got no further.
func TestACommitIsEndedAsOneByTheSecondOfTwoStarts(t *testing.T) {
	c, f := fake(t)
	create(t, c, 1, "a")
	p := producer(t, c, "tx")
	commit(t, p, message("a", "1"))
	eventuallyValues(t, c, "a", 1)
	swallow(t, f)
	commit(t, p, message("a", "2"))
	var begun atomic.Bool
	f.ControlKey(int16(describeTransactions), func(req kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		state := kmsg.DescribeTransactionsResponseTransactionState{
			TransactionalID: "tx", State: "CompleteCommit", ProducerID: p.pid, ProducerEpoch: p.epoch,
		}
		if begun.Load() {
			state.State = "Empty"
		}
		res := req.ResponseKind().(*kmsg.DescribeTransactionsResponse)
		res.TransactionStates = append(res.TransactionStates, state)
		return res, nil, true
	})
	f.ControlKey(int16(protocol.InitProducerId), func(req kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		begun.Store(true)
		res := req.ResponseKind().(*kmsg.InitProducerIDResponse)
		res.ProducerID, res.ProducerEpoch = p.pid, p.epoch
		return res, nil, true
	})
	producer(t, c, "tx")
	next := producer(t, c, "tx")
	if ended, err := next.EndHanging(t.Context(), []string{"a"}); err != nil || len(ended) != 1 {
		t.Fatalf("EndHanging = %v, %v; want the one partition", ended, err)
	}
	if got := eventuallyValues(t, c, "a", 2); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("topic a holds %v, want both", got)
	}
}

// TestACommitIsRememberedOverStartsThatGotNoFurther: an InitProducerId has the
// coordinator forget how the last transaction was ended, also one whose answer is
// lost, or after which Kafka is away.
func TestACommitIsRememberedOverStartsThatGotNoFurther(t *testing.T) {
	said := func(state string, pid int64, epoch int16) *outcomeResponse {
		return &outcomeResponse{state: state, producerEpoch: producerEpoch{pid, epoch}}
	}
	for name, tt := range map[string]struct {
		said []*outcomeResponse
		want bool // after the last one
	}{
		"once":                         {[]*outcomeResponse{said("CompleteCommit", 7, 3), said("Empty", 7, 4)}, true},
		"over and over":                {[]*outcomeResponse{said("PrepareCommit", 7, 3), said("CompleteCommit", 7, 3), said("Empty", 7, 4), said("Empty", 7, 4), said("Empty", 7, 5)}, true},
		"nothing is known":             {[]*outcomeResponse{said("Empty", 7, 4)}, false},
		"others were about":            {[]*outcomeResponse{said("CompleteCommit", 7, 3), said("Empty", 7, 5)}, false},
		"another producer id":          {[]*outcomeResponse{said("CompleteCommit", 7, 3), said("Empty", 8, 0)}, false},
		"an abort since":               {[]*outcomeResponse{said("CompleteCommit", 7, 3), said("CompleteAbort", 7, 4), said("Empty", 7, 5)}, false},
		"an open transaction":          {[]*outcomeResponse{said("CompleteCommit", 7, 3), said("Ongoing", 7, 4)}, false},
		"a commit after others' start": {[]*outcomeResponse{said("CompleteCommit", 7, 3), said("Empty", 7, 5), said("CompleteCommit", 7, 5)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			c, got := connect(t, Config{Brokers: []string{"localhost:1"}}), false
			for _, s := range tt.said {
				got = c.outcomes.lastCommitted("tx", s)
			}
			if got != tt.want {
				t.Errorf("committed = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestSomebodyElsesOpenTransactionIsLeftAlone(t *testing.T) {
	c, _ := fake(t)
	create(t, c, 1, "a")
	other, p := producer(t, c, "other"), producer(t, c, "tx")
	open(t, other, message("a", "0"))
	if ended, err := p.EndHanging(t.Context(), []string{"a"}); err != nil || len(ended) > 0 {
		t.Errorf("EndHanging = %v, %v; want nothing ended", ended, err)
	}
}

func TestAnAnswerToDescribeTransactionsThatIsNoneIsRefused(t *testing.T) {
	good := []byte{0, 0, 0, 0, 0, 2, 0, 0, 3, 't', 'x', 6, 'E', 'm', 'p', 't', 'y'}
	good = append(good, make([]byte, 4+8)...) // timeout and begin
	good = append(good, 0, 0, 0, 0, 0, 0, 0, 7, 0, 5)
	if res, err := decodeOutcome(good); err != nil || res.state != "Empty" || res.code != 0 || res.pid != 7 || res.epoch != 5 {
		t.Fatalf("decodeOutcome = %+v, %v", res, err)
	}
	for n := range good {
		if res, err := decodeOutcome(good[:n]); err == nil {
			t.Errorf("the first %d bytes are taken for %+v", n, res)
		}
	}
}
