package delivery

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"leadstream/internal/kafka"
)

// What the checkpoint says was carried out is of another topic where that of the
// deletions was made anew while nobody worked.
func TestADeletionInATopicThatWasMadeAnewIsCarriedOut(t *testing.T) {
	for name, again := range map[string][]string{"shorter": {"d"}, "as long": {"d", "e", "f"}, "longer": {"d", "e", "f", "g"}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s, _ := w.epoch()
			at := w.now.Add(-time.Hour)
			all := []string{"a", "b", "c", "d", "e", "f", "g"}
			for _, id := range all {
				publish(t, s, "", response(id, at))
			}
			for _, id := range all[:3] {
				w.delete(id, at.Add(time.Minute))
			}
			if n := applyDeletions(t, s); n != 3 {
				t.Fatalf("%d tombstones, want 3", n)
			}
			w.remove(DeletionsTopic(w.opts.Name)) // or: the cluster is another one, to which the topics were mirrored
			w.now = w.now.Add(time.Second)
			for _, id := range again {
				w.delete(id, at.Add(time.Minute)) // acknowledged to LinkedIn
			}
			next, _ := w.epoch()
			if n := applyDeletions(t, next); n != len(again) {
				t.Errorf("%d tombstones, want %d", n, len(again))
			}
			third, _ := w.epoch()
			if pending, err := followed(t, third); err != nil || pending != 0 {
				t.Errorf("after a restart %d are pending (%v), want none: they are carried out", pending, err)
			}
		})
	}
}

// A broker that does not know a topic for a moment (it has just started, or the
// topic is new) must not have its deletions taken for carried out, nor all of
// them forgotten.
func TestABrokerThatDoesNotKnowATopicForAMomentForgetsNoDeletion(t *testing.T) {
	w, broker := newTwistedWorld(t)
	at := w.now.Add(-time.Hour)
	// reopened is a new session with a connection that has asked for nothing yet, on
	// which a topic is unknown so many times.
	reopened := func(hidden string, times int) (*Store, error) {
		cluster, err := kafka.New(kafka.Config{Brokers: w.brokers, Log: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cluster.Close)
		o := w.opts
		o.Cluster, o.Producer = cluster, cluster.NewProducer(o.Name, 15*time.Second)
		s := New(o)
		hide(broker, hidden, times)
		_, err = s.Open(t.Context())
		return s, err
	}
	t.Run("lead topic", func(t *testing.T) {
		s, _ := w.epoch()
		publish(t, s, "", response("a", at))
		w.delete("a", at.Add(time.Minute))
		next, err := reopened(topic, 1)
		if err != nil {
			t.Fatal(err)
		}
		if n := applyDeletions(t, next); n != 1 {
			t.Errorf("%d tombstones, want one", n)
		}
		w.wantHeld(topic, map[string]time.Time{})
	})
	t.Run("topic of deletions", func(t *testing.T) {
		if _, err := reopened(DeletionsTopic(w.opts.Name), 1); err == nil {
			t.Error("the epoch has begun without the deletions")
		}
	})
	t.Run("checkpoint topic", func(t *testing.T) {
		if _, err := reopened(CheckpointTopic(w.opts.Name), 100); !errors.Is(err, kafka.ErrTopicMissing) {
			t.Errorf("Open = %v, want that the topic is missing: this is no first start", err)
		}
	})
}

// hide has the broker say so many times that it does not know the topic.
func hide(broker *kfake.Cluster, name string, times int) {
	broker.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		for _, asked := range req.(*kmsg.MetadataRequest).Topics {
			if asked.Topic == nil || *asked.Topic != name || times == 0 {
				continue
			}
			times--
			res := req.ResponseKind().(*kmsg.MetadataResponse)
			one := kmsg.NewMetadataResponseTopic()
			one.Topic, one.ErrorCode = asked.Topic, kerr.UnknownTopicOrPartition.Code
			res.Topics = append(res.Topics, one)
			return res, nil, true
		}
		return nil, nil, false
	})
}

// Leads are published while the topics of deleted ones are looked at.
func TestLookingForDeletedLeadsKeepsNoPublicationWaiting(t *testing.T) {
	w, broker := newTwistedWorld(t)
	s, _ := w.epoch()
	at := w.now.Add(-time.Hour)
	publish(t, s, "", response("a", at))
	w.delete("a", at.Add(time.Minute))
	asked, published := make(chan struct{}), make(chan struct{})
	broker.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		if req.(*kmsg.FetchRequest).Topics[0].Topic == topic {
			broker.DropControl()
			close(asked)
			broker.SleepControl(func() { <-published })
		}
		return nil, nil, false
	})
	recorded, err := s.Deletions.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, scans := s.Deletions.Take(recorded)
	scanned := make(chan struct{})
	go func() {
		s.Deletions.Scan(t.Context(), scans)
		close(scanned)
	}()
	<-asked
	publish(t, s, "", response("b", at))
	close(published)
	<-scanned
	if n := applyDeletions(t, s); n != 1 {
		t.Errorf("%d tombstones, want 1", n)
	}
	w.wantHeld(topic, map[string]time.Time{"b": at})
}

// A topic that refuses its tombstones is tried again and again; it is read on, not
// over and over.
func TestATopicThatRefusesIsNotReadFromItsBeginningAgain(t *testing.T) {
	w, broker := newTwistedWorld(t)
	s, _ := w.epoch()
	at := w.now.Add(-time.Hour)
	publish(t, s, "", response("a", at))
	s, _ = w.epoch() // what is published is visible
	w.delete("a", at.Add(time.Minute))
	var mu sync.Mutex
	var fetched []int64 // of the lead topic
	broker.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		if of := req.(*kmsg.FetchRequest).Topics[0]; of.Topic == topic {
			mu.Lock()
			fetched = append(fetched, of.Partitions[0].FetchOffset)
			mu.Unlock()
		}
		return nil, nil, false
	})
	for range 5 { // and nobody applies it
		if pending, err := followed(t, s); err != nil || pending != 1 {
			t.Fatalf("FollowDeletions = %d, %v", pending, err)
		}
	}
	mu.Lock()
	if !slices.Equal(fetched, []int64{0}) {
		t.Errorf("the topic was read from %v, want once from its beginning", fetched)
	}
	mu.Unlock()
	w.delete("b", at.Add(time.Minute)) // what is new is looked for
	if n := applyDeletions(t, s); n != 2 {
		t.Errorf("%d tombstones, want both", n)
	}
	if len(s.Deletions.scans) > 0 {
		t.Error("what the topic said is still in memory")
	}
}

// A topic that cannot be read, which may take long to find out, is asked while
// others may publish, and tombstoned once it can be read.
func TestATopicThatCannotBeReadKeepsNoPublicationWaiting(t *testing.T) {
	w, broker := newTwistedWorld(t)
	s, _ := w.epoch()
	at := w.now.Add(-time.Hour)
	publish(t, s, "", response("a", at))
	w.delete("a", at.Add(time.Minute))
	var refusing atomic.Bool
	var asked atomic.Int32
	broker.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		if of := req.(*kmsg.ListOffsetsRequest).Topics; !refusing.Load() || of[0].Topic != topic {
			return nil, nil, false
		}
		asked.Add(1)
		res := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		one := kmsg.NewListOffsetsResponseTopic()
		one.Topic = topic
		one.Partitions = append(one.Partitions, kmsg.ListOffsetsResponseTopicPartition{ErrorCode: kerr.TopicAuthorizationFailed.Code})
		res.Topics = append(res.Topics, one)
		return res, nil, true
	})
	refusing.Store(true)
	for range 3 {
		if _, err := followed(t, s); err != nil {
			t.Fatal(err)
		}
		asked.Store(0)
		var refused *RefusedError
		if err := applying(t, s); !errors.As(err, &refused) || asked.Load() > 0 {
			t.Errorf("ApplyDeletions = %v with %d requests, want a refusal that was known", err, asked.Load())
		}
		s.Deletions.refusals[topic] = Refusal{Err: refused, Tries: 1} // the rest is over
	}
	refusing.Store(false)
	if n := applyDeletions(t, s); n != 1 {
		t.Errorf("%d tombstones, want 1", n)
	}
}

// A topic that is removed while its tombstones are waited for needs none.
func TestATopicThatIsRemovedMeanwhileNeedsNoTombstones(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	at := w.now.Add(-time.Hour)
	publish(t, s, "", response("a", at))
	w.delete("a", at.Add(time.Minute))
	if _, err := followed(t, s); err != nil {
		t.Fatal(err)
	}
	w.remove(topic)
	var err error
	for try := range 2 { // the first finds it gone
		if _, err = followed(t, s); err != nil {
			t.Fatal(err)
		}
		if r, refused := s.Deletions.refusals[topic]; refused && try > 0 {
			r.until = time.Time{} // the rest is over
			s.Deletions.refusals[topic] = r
		}
		err = applying(t, s)
	}
	if pending, following := followed(t, s); err != nil || following != nil || pending != 0 {
		t.Errorf("ApplyDeletions = %v, and %d deletions are pending (%v), want none", err, pending, following)
	}
}
