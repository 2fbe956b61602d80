package kafka

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// keeps has the producer keep manifests in the topic "progress".
func keeps(t testing.TB, c *Client, p *Producer) {
	t.Helper()
	var last *Manifest
	err := c.Reader.Read(t.Context(), "progress", From{}, func(r *Record) error {
		if string(r.Key) != "manifest" {
			return nil
		}
		last = &Manifest{}
		return json.Unmarshal(r.Value, last)
	})
	if err != nil {
		t.Fatal(err)
	}
	p.KeepManifests("progress", last, func(m Manifest) (Message, error) {
		value, err := json.Marshal(m)
		return Message{Topic: "progress", Key: []byte("manifest"), Value: value}, err
	})
}

// coordinator answers for one whose last transaction is in that state, and gives the
// next start the same producer as before: the embedded one takes a transaction whose
// markers are lost for open.
func coordinator(f *kfake.Cluster, p *Producer, state string, partitions ...TopicPartition) {
	f.ControlKey(int16(describeTransactions), func(req kmsg.Request) (kmsg.Response, error, bool) {
		res := req.ResponseKind().(*kmsg.DescribeTransactionsResponse)
		said := kmsg.DescribeTransactionsResponseTransactionState{TransactionalID: p.id, State: state, ProducerID: p.pid, ProducerEpoch: p.epoch}
		for _, tp := range partitions {
			said.Topics = append(said.Topics, kmsg.DescribeTransactionsResponseTransactionStateTopic{Topic: tp.Topic, Partitions: []int32{int32(tp.Partition)}})
		}
		res.TransactionStates = append(res.TransactionStates, said)
		return res, nil, true
	})
	f.ControlKey(int16(protocol.InitProducerId), func(req kmsg.Request) (kmsg.Response, error, bool) {
		res := req.ResponseKind().(*kmsg.InitProducerIDResponse)
		res.ProducerID, res.ProducerEpoch = p.pid, p.epoch+1
		return res, nil, true
	})
}

// TestACommitWhoseMarkerWasLostOutlivesAKillInTheNextTransaction: the marker of
// an acknowledged transaction is lost in "lead". The next one does not write to
// "lead", so that it waits for nothing, and the process is killed in it. The next
// process is told of a transaction under way, which is aborted: what hangs in "lead"
// is none of it.
func TestACommitWhoseMarkerWasLostOutlivesAKillInTheNextTransaction(t *testing.T) {
	for name, under := range map[string][]TopicPartition{"in another topic": {{"other", 0}}, "before it wrote": nil} {
		t.Run(name, func(t *testing.T) {
			c, f := fake(t)
			create(t, c, 1, "lead", "other")
			p := producer(t, c, "tx")
			commit(t, p, message("lead", "1"))
			eventuallyValues(t, c, "lead", 1)
			swallow(t, f)
			commit(t, p, message("lead", "2"))
			if err := p.settleEarlier(t.Context(), []TopicPartition{{"other", 0}}); err != nil || len(p.awaiting) == 0 {
				t.Fatalf("the next transaction waits: %v, unshown %v", err, p.awaiting)
			}
			coordinator(f, p, "Ongoing", under...)
			next := producer(t, connect(t, Config{Brokers: f.ListenAddrs()}), "tx")
			next.epoch = p.epoch // as the embedded broker has it
			if ended, err := next.EndHanging(t.Context(), []string{"lead"}); err != nil || len(ended) != 1 {
				t.Fatalf("EndHanging = %v, %v; want the one partition", ended, err)
			}
			if got := eventuallyValues(t, c, "lead", 2); !slices.Equal(got, []string{"1", "2"}) {
				t.Errorf("topic lead holds %v, want what was acknowledged as committed", got)
			}
		})
	}
}

// TestAManifestTellsHowWhatHangsWasEnded, whatever the coordinator still knows: a
// committed transaction stands in a manifest that counts, also in those of the next
// ones; one that was aborted in none.
func TestAManifestTellsHowWhatHangsWasEnded(t *testing.T) {
	lead := TopicPartition{"lead", 0}
	for _, state := range []string{"Ongoing", "PrepareAbort", "CompleteAbort", "CompleteCommit", "Empty", "Dead"} {
		for name, committed := range map[string]bool{"committed": true, "aborted": false} {
			t.Run(state+" after it was "+name, func(t *testing.T) {
				c, f := fake(t)
				create(t, c, 1, "lead", "other", "progress")
				p := producer(t, c, "tx")
				keeps(t, c, p)
				commit(t, p, message("lead", "1"))
				eventuallyValues(t, c, "lead", 1)
				// What the embedded broker does for the topic "progress" alone.
				manifest := &Manifest{Producer: p.pid, Epoch: p.epoch, Written: []Written{{"other", 0, p.epoch, 0, 5}}}
				if committed {
					manifest.Written = append(manifest.Written, Written{"lead", 0, p.epoch, 1, 1})
				}
				swallow(t, f)
				p.manifests = nil
				commit(t, p, message("lead", "2"))
				coordinator(f, p, state, lead)
				next := producer(t, connect(t, Config{Brokers: f.ListenAddrs()}), "tx")
				next.KeepManifests("progress", manifest, nil)
				next.epoch = p.epoch
				if ended, err := next.EndHanging(t.Context(), []string{"lead"}); err != nil || len(ended) != 1 {
					t.Fatalf("EndHanging = %v, %v; want the one partition", ended, err)
				}
				want := []string{"1"}
				if committed {
					want = append(want, "2")
				}
				if got := eventuallyValues(t, c, "lead", len(want)); !slices.Equal(got, want) {
					t.Errorf("topic lead holds %v, want %v", got, want)
				}
			})
		}
	}
}

// TestEachTransactionSaysWhatItWrote and what those before it wrote whose end was not
// seen, until it is, over starts as well.
func TestEachTransactionSaysWhatItWrote(t *testing.T) {
	c, _ := fake(t)
	create(t, c, 2, "a", "b")
	create(t, c, 1, "progress")
	at := func(_, key string) int { return partitionOf([]byte(key), 2) }
	read := func(p *Producer) (m Manifest) {
		t.Helper()
		eventually(t, "its manifest", func() bool {
			m = Manifest{}
			err := c.Reader.Read(t.Context(), "progress", From{}, func(r *Record) error {
				if string(r.Key) == "manifest" {
					return json.Unmarshal(r.Value, &m)
				}
				return nil
			})
			return err == nil && m.Epoch == p.epoch && len(m.Written) > 0
		})
		return m
	}
	p := producer(t, c, "tx")
	keeps(t, c, p)
	commit(t, p, message("a", "x"), message("a", "x"), message("a", "x"), message("progress", "1"))
	first := read(p)
	if want := []Written{{"a", at("a", "x"), p.epoch, 0, 2}}; !slices.Equal(first.Written, want) || first.Producer != p.pid {
		t.Errorf("the manifest is %+v, want %v", first, want)
	}
	commit(t, p, message("progress", "2")) // writes nothing else: no manifest
	eventuallyValues(t, c, "progress", 3)
	seen := func() bool {
		return p.see(t.Context(), []TopicPartition{{"a", at("a", "x")}}) == nil && len(p.committed) == 0
	}
	eventually(t, "the marker", seen)
	p.committed[TopicPartition{"a", at("a", "x")}] = first.Written[0] // as if it were not seen
	commit(t, p, message("b", "y"))
	if want := []Written{first.Written[0], {"b", at("b", "y"), p.epoch, 0, 0}}; !slices.Equal(read(p).Written[:1], want[:1]) {
		t.Errorf("the manifest is %+v, want %v", read(p), want)
	}
	next := producer(t, c, "tx")
	keeps(t, c, next)
	commit(t, next, message("progress", "3")) // the first of its epoch
	if got := read(next).Written; len(got) != 2 || got[0] != first.Written[0] {
		t.Errorf("the next process says %+v, want what the one before did", got)
	}
	if _, err := next.EndHanging(t.Context(), []string{"a", "b"}); err != nil || len(next.committed) > 0 {
		t.Errorf("after a look %v is carried on, %v", next.committed, err)
	}
}

// TestARefusedManifestIsNobodysMessage of those that were to be written.
func TestARefusedManifestIsNobodysMessage(t *testing.T) {
	c, f := fake(t, kfake.NumBrokers(1))
	create(t, c, 1, "a", "progress")
	p := producer(t, c, "tx")
	keeps(t, c, p)
	f.ControlKey(int16(protocol.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		res := answerWith(req, 0).(*kmsg.ProduceResponse)
		for i := range res.Topics {
			if res.Topics[i].Topic == "progress" {
				res.Topics[i].Partitions[0].ErrorCode = int16(codeInvalidRecord)
			}
		}
		return res, nil, true
	})
	var refused *TopicError
	if _, err := p.Commit(t.Context(), []Message{message("a", "1")}); !errors.As(err, &refused) || refused.Topic != "progress" || refused.Index != -1 {
		t.Errorf("Commit = %v, want that the topic progress refuses, as a whole", err)
	}
}

func TestSequenceNumbersOfAManifestGoOnAfterTheLargest(t *testing.T) {
	w := Written{Epoch: 3, First: 1<<31 - 2, Last: 1}
	for sequence, want := range map[int32]bool{1<<31 - 3: false, 1<<31 - 2: true, 1<<31 - 1: true, 0: true, 1: true, 2: false} {
		if got := w.holds(3, sequence); got != want || w.holds(2, sequence) {
			t.Errorf("%d: %v, want %v, and no epoch but its own", sequence, got, want)
		}
	}
}

// TestWhatWasUnderWayIsRememberedWhileAStartIsTriedAgain: an InitProducerId has the
// coordinator forget the partitions of the transaction that it aborts.
func TestWhatWasUnderWayIsRememberedWhileAStartIsTriedAgain(t *testing.T) {
	c, _ := fake(t)
	in := map[TopicPartition]struct{}{{"other", 0}: {}}
	say := func(state string, epoch int16, partitions map[TopicPartition]struct{}) map[TopicPartition]struct{} {
		return c.outcomes.lastOpen("tx", &outcomeResponse{state: state, producerEpoch: producerEpoch{7, epoch}, partitions: partitions})
	}
	for i, step := range []struct {
		state      string
		epoch      int16
		partitions map[TopicPartition]struct{}
		want       bool
	}{
		{"Ongoing", 3, in, true}, {"PrepareEpochFence", 4, in, true}, {"PrepareAbort", 4, nil, true}, {"CompleteAbort", 4, nil, true},
		{"Empty", 5, nil, true}, {"Empty", 6, nil, false}, {"Empty", 5, nil, false}, {"Ongoing", 6, in, true}, {"CompleteCommit", 6, nil, false},
	} {
		if got := say(step.state, step.epoch, step.partitions); (len(got) == 1) != step.want {
			t.Errorf("step %d, %s: %v, want it %v", i, step.state, got, step.want)
		}
	}
}
