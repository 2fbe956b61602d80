package delivery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"leadstream/internal/checkpoint"
	"leadstream/internal/kafka"
)

// all are the token records as one reader of them sees them.
func all(t *testing.T, tokens *Tokens) map[string]string {
	t.Helper()
	records, err := tokens.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for id, sealed := range records {
		texts[id] = string(sealed)
	}
	return texts
}

func expectTokens(t *testing.T, tokens *Tokens, want map[string]string) {
	t.Helper()
	if got := all(t, tokens); !maps.Equal(got, want) {
		t.Errorf("tokens = %v, want %v", got, want)
	}
}

func TestTokensAreSeenByEveryProcessAndBeforeTheFirstStart(t *testing.T) {
	w := newWorld(t)
	one, two := NewTokens(w.opts), NewTokens(w.opts)
	expectTokens(t, one, map[string]string{})
	if err := one.Delete(t.Context(), "a"); err != nil {
		t.Errorf("Delete without a topic: %v", err)
	}
	for id, sealed := range map[string]string{"a": "one", "b/c": "two"} {
		if err := one.Put(t.Context(), id, []byte(sealed)); err != nil {
			t.Fatal(err)
		}
	}
	expectTokens(t, two, map[string]string{"a": "one", "b/c": "two"})
	if err := two.Put(t.Context(), "a", nil); err != nil {
		t.Fatal(err)
	}
	if err := two.Delete(t.Context(), "b/c"); err != nil {
		t.Fatal(err)
	}
	for _, tokens := range []*Tokens{one, two, NewTokens(w.opts)} {
		expectTokens(t, tokens, map[string]string{"a": ""})
	}
	info, err := w.cluster.Admin.DescribeTopics(t.Context(), []string{CheckpointTopic("leadstream")}, "cleanup.policy")
	if err != nil || info[CheckpointTopic("leadstream")].Configs["cleanup.policy"] != "compact" {
		t.Errorf("the topic that a consent makes: %v, %v; want it compacted", info, err)
	}
}

// Whoever writes tokens neither fences the connector nor is held up by it, and
// progress does not see them.
func TestTokensAndProgressShareATopicWithoutTouchingEachOther(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	tokens := NewTokens(w.opts)
	if err := tokens.Put(t.Context(), "a", []byte("one")); err != nil {
		t.Fatal(err)
	}
	err := s.Commit(t.Context(), Batch{Records: map[string]any{checkpoint.SourceKey(src): checkpoint.Progress{Live: w.now}}})
	if err != nil {
		t.Fatalf("committing after tokens were written: %v", err)
	}
	if _, state := w.epoch(); len(state.Sources) != 1 || !state.Sources[src].Live.Equal(w.now) {
		t.Errorf("progress = %v", state.Sources)
	}
	expectTokens(t, tokens, map[string]string{"a": "one"})
}

func TestTokensOfATopicMadeAnewAreThoseOfTheNewOne(t *testing.T) {
	w := newWorld(t)
	w.opts.Now = func() time.Time { // time passes
		w.now = w.now.Add(time.Millisecond)
		return w.now
	}
	tokens := NewTokens(w.opts)
	for _, id := range []string{"a", "b", "c"} {
		if err := tokens.Put(t.Context(), id, []byte(id)); err != nil {
			t.Fatal(err)
		}
	}
	if got := slices.Sorted(maps.Keys(all(t, tokens))); len(got) != 3 {
		t.Fatalf("tokens = %q", got)
	}
	if err := w.cluster.Admin.DeleteTopics(t.Context(), []string{CheckpointTopic("leadstream")}); err != nil {
		t.Fatal(err)
	}
	expectTokens(t, tokens, map[string]string{})
	if err := tokens.Put(t.Context(), "d", []byte("d")); err != nil {
		t.Fatal(err)
	}
	expectTokens(t, tokens, map[string]string{"d": "d"})

	// A new topic that has grown beyond the old one is another one all the same.
	if err := w.cluster.Admin.DeleteTopics(t.Context(), []string{CheckpointTopic("leadstream")}); err != nil {
		t.Fatal(err)
	}
	other := NewTokens(w.opts)
	for range 5 {
		if err := other.Put(t.Context(), "e", []byte("e")); err != nil {
			t.Fatal(err)
		}
	}
	expectTokens(t, tokens, map[string]string{"e": "e"})
	if err := other.Put(t.Context(), "f", []byte("f")); err != nil {
		t.Fatal(err)
	}
	expectTokens(t, tokens, map[string]string{"e": "e", "f": "f"})
}

// The clock of whoever wrote it may have stood still, and the new topic may end
// where the old one did.
func TestATopicMadeAnewIsNoticedThoughItEndsWhereTheOldOneDid(t *testing.T) {
	w := newWorld(t)
	tokens, other := NewTokens(w.opts), NewTokens(w.opts)
	if err := tokens.Put(t.Context(), "a", []byte("one")); err != nil {
		t.Fatal(err)
	}
	expectTokens(t, tokens, map[string]string{"a": "one"})
	w.remove(CheckpointTopic("leadstream"))
	if err := other.Put(t.Context(), "b", []byte("two")); err != nil {
		t.Fatal(err)
	}
	expectTokens(t, tokens, map[string]string{"b": "two"})
}

// oneBroker is a Kafka whose answers a test may cut short.
func oneBroker(t *testing.T) (*kfake.Cluster, Options) {
	t.Helper()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	cluster, err := kafka.New(kafka.Config{Brokers: broker.ListenAddrs()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return broker, Options{Cluster: cluster, Name: "leadstream", ReplicationFactor: 1}
}

// fillCheckpoints makes a checkpoint topic that takes several answers to Fetch to be
// read, with the token "a" at its beginning.
func fillCheckpoints(t *testing.T, o Options) {
	t.Helper()
	if err := NewTokens(o).Put(t.Context(), "a", []byte("sealed")); err != nil {
		t.Fatal(err)
	}
	p := o.Cluster.NewProducer("leadstream", 15*time.Second)
	if err := p.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	random := rand.NewChaCha8([32]byte{}) // of which no compression makes less
	for range 14 {
		var commit []kafka.Message
		for range 900 {
			value := make([]byte, 1000)
			_, _ = random.Read(value) // never fails
			commit = append(commit, kafka.Message{Topic: CheckpointTopic(o.Name), Key: []byte("source/x/EVENT"), Value: value, Time: time.Now()})
		}
		if _, err := p.Commit(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
}

// fewAnswersEach reads tokens in attempts that get two answers to Fetch each.
func fewAnswersEach(t *testing.T, broker *kfake.Cluster, tokens *Tokens) (held map[string][]byte, attempts int) {
	t.Helper()
	fetches, cut := 0, func() {}
	broker.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		if fetches++; fetches%3 == 0 { // one shows that the topic is the same, one brings more of it
			cut()
		}
		return nil, nil, false
	})
	for attempt := 1; ; attempt++ {
		ctx, cancel := context.WithCancel(t.Context())
		cut = cancel
		held, err := tokens.All(ctx)
		cancel()
		if err == nil {
			return held, attempt
		}
		if !errors.Is(err, context.Canceled) || attempt > 8 {
			t.Fatalf("attempt %d: %v", attempt, err)
		}
	}
}

// Whoever asks has not for ever: a topic of a million records on a slow link is
// read in several attempts.
func TestReadingALargeCheckpointTopicGoesOnWhereItWasCutShort(t *testing.T) {
	broker, o := oneBroker(t)
	fillCheckpoints(t, o)
	if held, attempts := fewAnswersEach(t, broker, NewTokens(o)); string(held["a"]) != "sealed" || attempts < 2 {
		t.Errorf("tokens = %q after %d attempts, want those of the topic after several", held, attempts)
	}
}

// A process that was stopped for long finds that the record it had read last is gone, and
// more in the topic than can be read in the time for what is new.
func TestALogWithoutTheRecordThatWasReadLastIsReadAnewHoweverLongThatTakes(t *testing.T) {
	broker, o := oneBroker(t)
	tokens := NewTokens(o)
	if err := tokens.Put(t.Context(), "removed", []byte("since")); err != nil {
		t.Fatal(err)
	}
	expectTokens(t, tokens, map[string]string{"removed": "since"})
	if err := o.Cluster.Admin.DeleteTopics(t.Context(), []string{CheckpointTopic(o.Name)}); err != nil {
		t.Fatal(err)
	}
	fillCheckpoints(t, o)
	if held, attempts := fewAnswersEach(t, broker, tokens); len(held) != 1 || string(held["a"]) != "sealed" || attempts < 2 {
		t.Errorf("tokens = %q after %d attempts, want those of the topic after several", held, attempts)
	}
}

// Once there are tokens in memory, nobody waits long for newer ones.
func TestOnlyTheFirstReadingOfTheTokensMayTakeLong(t *testing.T) {
	w := newWorld(t)
	tokens := NewTokens(w.opts)
	tokens.tail = 0
	if err := tokens.Put(t.Context(), "a", []byte("one")); err != nil {
		t.Fatal(err)
	}
	expectTokens(t, tokens, map[string]string{"a": "one"})
	if held, err := tokens.All(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("All = %q, %v; want it to give up", held, err)
	}
	tokens.tail = tokenTime
	expectTokens(t, tokens, map[string]string{"a": "one"})
}

func TestWhoWaitsForAnotherReadingOfTheTokensStopsWhenAskedTo(t *testing.T) {
	_, o := oneBroker(t)
	tokens := NewTokens(o)
	if err := tokens.turn.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tokens.All(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("All = %v, want context.Canceled", err)
	}
}

// Each start reads the checkpoint topic whole, and Kafka compacts no segment
// that is still written to.
func TestTheCheckpointTopicIsMadeSoThatCompactionKeepsItShort(t *testing.T) {
	w := newWorld(t)
	if err := EnsureInternal(t.Context(), w.opts); err != nil {
		t.Fatal(err)
	}
	name := CheckpointTopic("leadstream")
	found, err := w.cluster.Admin.DescribeTopics(t.Context(), []string{name}, "cleanup.policy", "segment.bytes", "segment.ms")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"cleanup.policy": "compact", "segment.bytes": strconv.Itoa(16 << 20), "segment.ms": fmt.Sprint((24 * time.Hour).Milliseconds())}
	if got := found[name].Configs; !maps.Equal(got, want) {
		t.Errorf("settings = %v, want %v", got, want)
	}
}

// It must be seen to be removed.
func TestATokenRecordThatIsNoneIsGivenAsItIs(t *testing.T) {
	w := newWorld(t)
	if err := EnsureInternal(t.Context(), w.opts); err != nil {
		t.Fatal(err)
	}
	err := w.cluster.Append(t.Context(), kafka.Message{Topic: CheckpointTopic("leadstream"), Key: []byte("token/a"), Value: []byte(`{"version":7}`), Time: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	expectTokens(t, NewTokens(w.opts), map[string]string{"a": `{"version":7}`})
}

// It leaves nothing behind that anybody reads, and is no less than a Put: with the
// topic there or not, and refused where that is refused.
func TestATrialSaysWhetherTokensCanBeWritten(t *testing.T) {
	w := newWorld(t)
	tokens := NewTokens(w.opts)
	if err := tokens.Try(t.Context()); err != nil {
		t.Errorf("Try without a topic: %v", err)
	}
	if err := tokens.Put(t.Context(), "a", []byte("one")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := tokens.Try(t.Context()); err != nil {
			t.Errorf("Try: %v", err)
		}
	}
	expectTokens(t, tokens, map[string]string{"a": "one"})
	expectTokens(t, NewTokens(w.opts), map[string]string{"a": "one"})
	s, state := w.epoch()
	if len(state.Sources) > 0 {
		t.Errorf("progress = %v", state.Sources)
	}
	err := s.Commit(t.Context(), Batch{Records: map[string]any{checkpoint.SourceKey(src): checkpoint.Progress{Live: w.now}}})
	if err != nil {
		t.Errorf("committing after trials: %v", err)
	}

	away, err := kafka.New(kafka.Config{Brokers: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer away.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := NewTokens(Options{Cluster: away, Name: "leadstream"}).Try(ctx); err == nil {
		t.Error("Try with Kafka away = nil")
	}
}

func TestWithKafkaAwayTokensAreUnknownNotMissing(t *testing.T) {
	away, err := kafka.New(kafka.Config{Brokers: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer away.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // shorter than All's own bound
	defer cancel()
	records, err := NewTokens(Options{Cluster: away, Name: "leadstream"}).All(ctx)
	if unreachable := (*kafka.UnreachableError)(nil); len(records) > 0 || !errors.As(err, &unreachable) {
		t.Errorf("All = %v, %v; want a *kafka.UnreachableError", records, err)
	}
}
