package delivery

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

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
	info, err := w.cluster.DescribeTopics(t.Context(), []string{CheckpointTopic("leadstream")}, "cleanup.policy")
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
	err := s.Publish(func(p *Publication) error {
		return p.Commit(t.Context(), Batch{Records: map[string]any{checkpoint.SourceKey(src): checkpoint.Progress{Live: w.now}}})
	})
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
	if err := w.cluster.DeleteTopics(t.Context(), []string{CheckpointTopic("leadstream")}); err != nil {
		t.Fatal(err)
	}
	expectTokens(t, tokens, map[string]string{})
	if err := tokens.Put(t.Context(), "d", []byte("d")); err != nil {
		t.Fatal(err)
	}
	expectTokens(t, tokens, map[string]string{"d": "d"})

	// A new topic that has grown beyond the old one is another one all the same.
	if err := w.cluster.DeleteTopics(t.Context(), []string{CheckpointTopic("leadstream")}); err != nil {
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

func TestWithKafkaAwayTokensAreUnknownNotMissing(t *testing.T) {
	away, err := kafka.New(kafka.Config{Brokers: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer away.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // shorter than All's own bound
	defer cancel()
	records, err := NewTokens(Options{Cluster: away, Name: "leadstream"}).All(ctx)
	if unreachable := (*kafka.UnreachableError)(nil); len(records) > 0 || !errors.As(err, &unreachable) {
		t.Errorf("All = %v, %v; want a *kafka.UnreachableError", records, err)
	}
}
