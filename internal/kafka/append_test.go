package kafka

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// follow is what a tailer hands out now.
func follow(t *testing.T, f *Tailer) (got []string, anew bool) {
	t.Helper()
	got = []string{}
	anew, err := f.Next(t.Context(), func(r *Record) error {
		got = append(got, string(r.Value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, anew
}

func TestAppendedRecordsAreSeenAtOnceAndFenceNobody(t *testing.T) {
	c, _ := fake(t)
	create(t, c, 1, "a")
	p := producer(t, c, "ours")
	open(t, p, message("a", "open"))
	m := Message{Topic: "a", Key: []byte("k"), Value: []byte("beside it"), Headers: []Header{{"h", []byte("x")}}, Time: time.UnixMilli(1_793_012_345_678)}
	if err := c.Append(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got := values(t, c, "a", From{}); !slices.Equal(got, []string{"beside it"}) {
		t.Errorf("beside an open transaction %q is read, want what was appended", got)
	}
	if code, err := p.end(t.Context(), true); code != 0 || err != nil {
		t.Fatalf("the transaction ends with %v, %v: it was fenced", code, err)
	}
	if got := eventuallyValues(t, c, "a", 2); !slices.Equal(got, []string{"beside it", "open"}) {
		t.Errorf("%q is read, want both", got)
	}
}

func TestAppendToAMissingTopicIsRefused(t *testing.T) {
	c, _ := fake(t)
	var refused *TopicError
	err := c.Append(t.Context(), message("nowhere", "x"))
	if !errors.Is(err, ErrTopicMissing) || !errors.As(err, &refused) || refused.Topic != "nowhere" {
		t.Errorf("Append = %v, want a *TopicError that names the topic", err)
	}
}

func TestFollowerHandsOutEachRecordOnce(t *testing.T) {
	c, f := fake(t)
	tailer := c.Tailer("a")
	if got, anew := follow(t, tailer); len(got) > 0 || anew {
		t.Errorf("of a missing topic %q is read (anew %v)", got, anew)
	}
	create(t, c, 2, "a")
	for _, value := range []string{"1", "2", "3"} {
		if err := c.Append(t.Context(), message("a", value)); err != nil {
			t.Fatal(err)
		}
	}
	got, anew := follow(t, tailer)
	slices.Sort(got)
	if !slices.Equal(got, []string{"1", "2", "3"}) || anew {
		t.Errorf("%q is read (anew %v), want all three", got, anew)
	}
	if got, _ := follow(t, tailer); len(got) > 0 {
		t.Errorf("%q is read again", got)
	}
	if err := c.Append(t.Context(), message("a", "4")); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("issue")
	if _, err := tailer.Next(t.Context(), func(*Record) error { return failed }); !errors.Is(err, failed) {
		t.Fatalf("Next = %v, want fn's error", err)
	}
	if got, _ := follow(t, tailer); !slices.Equal(got, []string{"4"}) {
		t.Errorf("after an error %q is read, want what was not taken", got)
	}
	if err := f.DeleteTopic("a"); err != nil {
		t.Fatal(err)
	}
	create(t, c, 1, "a")
	if err := c.Append(t.Context(), message("a", "new")); err != nil {
		t.Fatal(err)
	}
	if got, anew := follow(t, tailer); !slices.Equal(got, []string{"new"}) || !anew {
		t.Errorf("of the topic made anew %q is read (anew %v)", got, anew)
	}
}

func TestAFollowerMissesNoTransactionThatWasOpen(t *testing.T) {
	c, _ := fake(t)
	create(t, c, 1, "a")
	tailer := c.Tailer("a")
	slow, quick := producer(t, c, "slow"), producer(t, c, "quick")
	commit(t, quick, message("a", "1"))
	eventuallyValues(t, c, "a", 1)
	open(t, slow, message("a", "slow"))
	commit(t, quick, message("a", "2"))
	eventuallyValues(t, c, "a", 2)
	if got, _ := follow(t, tailer); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("beside an open transaction %q is read, want [1 2]", got)
	}
	commit(t, quick, message("a", "3"))
	eventuallyValues(t, c, "a", 3)
	if got, _ := follow(t, tailer); !slices.Equal(got, []string{"3"}) {
		t.Errorf("then %q is read, want [3]", got)
	}
	if got := tailer.Position(); !slices.Equal(got, []int64{2}) {
		t.Errorf("it stands at %v, want before the open transaction", got)
	}
	if code, err := slow.end(t.Context(), true); code != 0 || err != nil {
		t.Fatalf("end = %v, %v", code, err)
	}
	eventuallyValues(t, c, "a", 4)
	if got, _ := follow(t, tailer); !slices.Equal(got, []string{"slow"}) {
		t.Errorf("once it is committed %q is read, want [slow]", got)
	}
	if got, _ := follow(t, tailer); len(got) > 0 {
		t.Errorf("%q is read again", got)
	}
	if got := tailer.Position(); !slices.Equal(got, []int64{8}) {
		t.Errorf("it stands at %v, want at the end", got)
	}
}

// unknown has brokers answer n times that they do not know a topic, as one does
// that has not heard of it yet.
func unknown(f *kfake.Cluster, topic string, n int) {
	f.ControlKey(int16(protocol.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		for _, asked := range req.(*kmsg.MetadataRequest).Topics {
			if asked.Topic == nil || *asked.Topic != topic || n == 0 {
				continue
			}
			n--
			res := req.ResponseKind().(*kmsg.MetadataResponse)
			one := kmsg.NewMetadataResponseTopic()
			one.Topic, one.ErrorCode = asked.Topic, int16(codeUnknownTopic)
			res.Topics = append(res.Topics, one)
			return res, nil, true
		}
		return nil, nil, false
	})
}

// What is remembered of a topic is not thrown away because one broker does not
// know it for a moment.
func TestATopicIsGoneWhenNoBrokerKnowsIt(t *testing.T) {
	c, f := fake(t)
	create(t, c, 1, "a")
	if err := c.Append(t.Context(), message("a", "1")); err != nil {
		t.Fatal(err)
	}
	tailer := c.Tailer("a")
	follow(t, tailer)
	c.forget("a")
	unknown(f, "a", 2) // for what is asked, and for one broker of three
	var away *UnreachableError
	if anew, err := tailer.Next(t.Context(), func(*Record) error { return nil }); anew || !errors.As(err, &away) {
		t.Errorf("Next = %v, %v, want an *UnreachableError", anew, err)
	}
	if got, anew := follow(t, tailer); len(got) > 0 || anew {
		t.Errorf("then %q is read (anew %v), want nothing new", got, anew)
	}
	fresh := c.Tailer("a")
	fresh.MustExist()
	c.forget("a")
	unknown(f, "a", 1)
	if _, err := fresh.Next(t.Context(), func(*Record) error { return nil }); !errors.As(err, &away) {
		t.Errorf("Next of a topic that is known to exist = %v, want an *UnreachableError", err)
	}
	if err := f.DeleteTopic("a"); err != nil {
		t.Fatal(err)
	}
	c.forget("a")
	if got, anew := follow(t, tailer); len(got) > 0 || !anew {
		t.Errorf("of the topic that was removed %q is read (anew %v)", got, anew)
	}
	if gone, err := c.Admin.Gone(t.Context(), "a", "b"); err != nil || !slices.Equal(gone, []string{"a", "b"}) {
		t.Errorf("Gone = %v, %v, want both", gone, err)
	}
}

// A topic that was made anew may have grown to where the one before ended, or
// beyond, when it is looked at next.
func TestAnExactFollowerTellsATopicFromAnotherThatIsAsLong(t *testing.T) {
	for name, values := range map[string][]string{"as long": {"new 1", "new 2"}, "longer": {"new 1", "new 2", "new 3"}} {
		t.Run(name, func(t *testing.T) {
			c, f := fake(t)
			create(t, c, 1, "a")
			written := time.UnixMilli(1_793_012_345_678)
			write := func(values ...string) {
				t.Helper()
				for _, value := range values {
					written = written.Add(time.Second)
					if err := c.Append(t.Context(), Message{Topic: "a", Value: []byte(value), Time: written}); err != nil {
						t.Fatal(err)
					}
				}
			}
			write("1")
			tailer := c.Tailer("a").DetectRecreation()
			follow(t, tailer)
			write("2")
			if got, anew := follow(t, tailer); !slices.Equal(got, []string{"2"}) || anew {
				t.Fatalf("of the same topic %q is read (anew %v)", got, anew)
			}
			if got := tailer.Marks(); len(got) != 1 || got[0].Offset != 1 || !got[0].Time.Equal(written) {
				t.Errorf("Marks = %v, want the last record", got)
			}
			if err := f.DeleteTopic("a"); err != nil {
				t.Fatal(err)
			}
			create(t, c, 1, "a")
			write(values...)
			if got, anew := follow(t, tailer); !slices.Equal(got, values) || !anew {
				t.Errorf("of the topic made anew %q is read (anew %v), want %q", got, anew, values)
			}
			if got, anew := follow(t, tailer); len(got) > 0 || anew {
				t.Errorf("then %q is read (anew %v)", got, anew)
			}
		})
	}
}

// TestATopicIsNotGoneBecauseNoBrokerIsNamed: one that has just begun to run may know
// of neither.
func TestATopicIsNotGoneBecauseNoBrokerIsNamed(t *testing.T) {
	c, f := fake(t, kfake.NumBrokers(1))
	create(t, c, 1, "a")
	var answers atomic.Int32
	f.ControlKey(int16(protocol.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if f.KeepControl(); answers.Add(1) == 8 {
			f.DropControl()
		}
		res := req.ResponseKind().(*kmsg.MetadataResponse)
		for _, asked := range req.(*kmsg.MetadataRequest).Topics {
			one := kmsg.NewMetadataResponseTopic()
			one.Topic, one.ErrorCode = asked.Topic, int16(codeUnknownTopic)
			res.Topics = append(res.Topics, one)
		}
		return res, nil, true
	})
	if gone, err := c.Admin.Gone(t.Context(), "a"); err != nil || len(gone) > 0 {
		t.Errorf("Gone = %v, %v; want none", gone, err)
	}
	if answers.Load() == 0 {
		t.Error("no broker was asked")
	}
}

// TestAnErrorInOnePartitionKeepsThePlacesOfTheOthers: what was handed out of them does not come
// again.
func TestAnErrorInOnePartitionKeepsThePlacesOfTheOthers(t *testing.T) {
	c, _ := fake(t)
	create(t, c, 8, "a")
	tailer := c.Tailer("a").KeepProgress()
	add := func(values ...string) {
		for _, value := range values {
			m := message("a", value)
			m.Key = []byte(value)
			if err := c.Append(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
	}
	old := []string{"old1", "old2", "old3", "old4", "old5", "old6", "old7", "old8"}
	add(old...)
	if got, _ := follow(t, tailer); len(got) != len(old) {
		t.Fatalf("%q is read, want all", got)
	}
	add("new1", "new2", "new3", "new4")
	failed := errors.New("not this one")
	if _, err := tailer.Next(t.Context(), func(*Record) error { return failed }); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	got, _ := follow(t, tailer)
	slices.Sort(got)
	if slices.ContainsFunc(got, func(v string) bool { return slices.Contains(old, v) }) || len(got) < 3 {
		t.Errorf("after an error %q is read, want new ones alone", got)
	}
}
