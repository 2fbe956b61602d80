package kafka

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/protocol"

	"leadstream/internal/fault"
)

// TestReadKeepsTheRecordWhole: key, value, headers and time, null apart from
// empty.
func TestReadKeepsTheRecordWhole(t *testing.T) {
	c, _ := fake(t)
	create(t, c, 1, "a")
	p := producer(t, c, "tx")
	at := time.Date(2026, 11, 23, 10, 0, 0, 123_000_000, time.UTC)
	commit(t, p,
		Message{Topic: "a", Key: []byte("k"), Value: []byte("v"), Headers: []Header{{"h", []byte("x")}, {"n", nil}}, Time: at},
		Message{Topic: "a", Key: []byte("gone"), Time: at.Add(-time.Hour)},
		Message{Topic: "a", Key: []byte{}, Value: []byte{}, Time: at})
	eventuallyValues(t, c, "a", 3)
	var got []string
	err := c.Reader.Read(t.Context(), "a", From{}, func(r *Record) error {
		got = append(got, fmt.Sprintf("%s-%d@%d %q %v %v %v %v", r.Topic, r.Partition, r.Offset, r.Key, r.Value, r.Value == nil,
			headersOf(r.Headers, func(h Header) (string, []byte) { return h.Key, h.Value }), r.Time))
		return nil
	})
	want := []string{
		fmt.Sprintf("a-0@0 %q [118] false [h=x n=<nil>] %v", "k", at),
		fmt.Sprintf("a-0@1 %q [] true [] %v", "gone", at.Add(-time.Hour)),
		fmt.Sprintf("a-0@2 %q [] false [] %v", "", at),
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Read = %v, %q\nwant %q", err, got, want)
	}
}

// TestReadShowsWhatIsCommitted: in the order of the commits, up to the high
// watermark, whatever stands at the end.
func TestReadShowsWhatIsCommitted(t *testing.T) {
	c, _ := fake(t)
	create(t, c, 1, "a")
	if got := values(t, c, "a", From{}); len(got) != 0 {
		t.Errorf("an empty topic holds %v", got)
	}
	ours, other := producer(t, c, "ours"), producer(t, c, "other")
	open(t, other, message("a", "other 1"))
	commit(t, ours, message("a", "ours 1"))
	aborted := open(t, ours, message("a", "never"))
	if err := aborted.giveUp(t.Context(), errors.New("enough")); err == nil || errors.Is(err, ErrEpochLost) {
		t.Fatalf("giveUp = %v", err)
	}
	commit(t, ours, message("a", "ours 2"))
	if got := eventuallyValues(t, c, "a", 2); !slices.Equal(got, []string{"ours 1", "ours 2"}) {
		t.Errorf("beside an open transaction: %v, want [ours 1, ours 2]", got)
	}
	if code, err := other.end(t.Context(), true); code != 0 || err != nil {
		t.Fatalf("end = %v, %v", code, err)
	}
	if got := eventuallyValues(t, c, "a", 3); !slices.Equal(got, []string{"ours 1", "ours 2", "other 1"}) {
		t.Errorf("got %v, want the order of the commits", got)
	}
}

// TestWhatOthersWriteDecidesNoTransaction: not behind it, and not before it.
func TestWhatOthersWriteDecidesNoTransaction(t *testing.T) {
	c, _ := fake(t)
	create(t, c, 1, "a")
	ours, other := producer(t, c, "ours"), producer(t, c, "other")
	markerVisible := func(offset int64, want bool) {
		t.Helper()
		if got, err := c.Reader.MarkersVisible(t.Context(), "a", map[int]int64{0: offset}); err != nil || got != want {
			t.Errorf("Decided(%d) = %v, %v; want %v", offset, got, err, want)
		}
	}
	commit(t, other, message("a", "before")) // offsets 0 and 1
	eventuallyValues(t, c, "a", 1)
	markerVisible(0, true)
	tx := open(t, ours, message("a", "1"), message("a", "2")) // 2 and 3
	markerVisible(3, false)
	commit(t, other, message("a", "behind")) // 4 and 5
	eventuallyValues(t, c, "a", 2)
	markerVisible(3, false)
	markerVisible(4, true) // that is another's
	if code, err := tx.end(t.Context(), true); code != 0 || err != nil {
		t.Fatalf("end = %v, %v", code, err)
	}
	eventuallyValues(t, c, "a", 4)
	markerVisible(3, true)
	open(t, ours, message("a", "later")) // and what comes behind does not matter
	markerVisible(3, true)
}

// open leaves a transaction open with the messages written.
func open(t testing.TB, p *Producer, msgs ...Message) *transaction {
	t.Helper()
	pl, err := p.plan(t.Context(), msgs)
	if err != nil {
		t.Fatal(err)
	}
	tx := p.begin(pl)
	if err := tx.add(t.Context()); err != nil {
		t.Fatal(err)
	}
	for round := range pl.rounds {
		if err := tx.produce(t.Context(), round); err != nil {
			t.Fatal(err)
		}
	}
	return tx
}

// TestReadFrom: a time or an offset.
func TestReadFrom(t *testing.T) {
	c, _ := fake(t)
	create(t, c, 1, "a")
	p := producer(t, c, "tx")
	at := time.Now().Add(time.Minute)                 // markers have the time at which they were written
	for i, minutes := range []int{0, 10, 20, 5, 30} { // the fourth is late
		m := message("a", fmt.Sprint(i))
		m.Time = at.Add(time.Duration(minutes) * time.Minute)
		commit(t, p, m)
	}
	eventuallyValues(t, c, "a", 5)
	tests := map[string]struct {
		from From
		want []string
	}{
		"beginning":           {From{}, []string{"0", "1", "2", "3", "4"}},
		"time":                {From{Time: at.Add(15 * time.Minute)}, []string{"2", "3", "4"}},
		"before the first":    {From{Time: time.UnixMilli(-5)}, []string{"0", "1", "2", "3", "4"}},
		"after the last":      {From{Time: at.Add(time.Hour)}, []string{}},
		"offset":              {From{Offset: 4}, []string{"2", "3", "4"}}, // each is followed by its marker
		"offset of a marker":  {From{Offset: 5}, []string{"3", "4"}},
		"offset past the end": {From{Offset: 1000}, []string{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := values(t, c, "a", tt.from); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestReadGoesThroughIssues: what passes is waited for; what does not is
// named by its type.
func TestReadGoesThroughIssues(t *testing.T) {
	c, f := fake(t)
	create(t, c, 3, "a")
	p := producer(t, c, "tx")
	want := []string{}
	for i := range 30 {
		want = append(want, fmt.Sprintf("%02d", i))
		commit(t, p, message("a", want[i]))
	}
	eventuallyValues(t, c, "a", 30)
	sorted := func() []string { got := values(t, c, "a", From{}); slices.Sort(got); return got }

	refuse(f, protocol.Fetch, codeNotLeader, -1, codeStorageError, codeUnknownLeaderEpoch)
	refuse(f, protocol.ListOffsets, codeNotLeader, -1, codeLeaderNotAvailable, codeOffsetNotAvailable)
	if got := sorted(); !slices.Equal(got, want) {
		t.Errorf("after issues: %v", got)
	}
	loseAnswers(t, c, protocol.Fetch, 2)
	if got := sorted(); !slices.Equal(got, want) {
		t.Errorf("after lost answers: %v", got)
	}

	refuse(f, protocol.Fetch, codeTopicAuthorization)
	wantPermission(t, c.Reader.Read(t.Context(), "a", From{}, func(*Record) error { return nil }), "a", "Read")

	stop := errors.New("stop")
	if err := c.Reader.Read(t.Context(), "a", From{}, func(*Record) error { return stop }); err != stop {
		t.Errorf("Read = %v, want the error of the function as it is", err)
	}
	err := c.Reader.Read(t.Context(), "gone", From{}, func(*Record) error { return nil })
	if !errors.Is(err, ErrTopicMissing) || fault.KindOf(err) != fault.Suspend {
		t.Errorf("Read of a missing topic = %v, want ErrTopicMissing", err)
	}
}

// TestReadNamesWhatIsCorrupt: with the place, by the type that suspends.
func TestReadNamesWhatIsCorrupt(t *testing.T) {
	d := testDecoder(t)
	good := encode(t, producerState{}, samples["one"]...)[4:]
	good[len(good)-1] ^= 1
	p := &partitionReader{topicRead: &topicRead{topic: "a", decoder: d, fn: func(*Record) error { return nil }}, partition: 2, next: 5, end: 9}
	err := p.take(t.Context(), good)
	corrupt, ok := errors.AsType[*CorruptError](err)
	if !ok || corrupt.Topic != "a" || corrupt.Partition != 2 || corrupt.Offset != 5 || fault.KindOf(err) != fault.Suspend {
		t.Errorf("take = %v, want *CorruptError at a-2, offset 5", err)
	}
}
