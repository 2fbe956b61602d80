//go:build integration

package delivery

import (
	"math/rand/v2"
	"testing"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/kafka"
)

// An Apache Kafka takes the settings, and its cleaner does what they are for: a
// week of commits does not stay to be read by every start.
func TestRealACheckpointTopicAsItIsMadeIsKeptShort(t *testing.T) {
	w := newRealWorld(t)
	tokens := NewTokens(w.opts)
	if err := tokens.Put(t.Context(), "a", []byte("sealed")); err != nil {
		t.Fatal(err)
	}
	p := w.cluster.NewProducer("leadstream", 15*time.Second)
	if err := p.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	name := CheckpointTopic(w.opts.Name)
	random := rand.NewChaCha8([32]byte{}) // of which no compression makes less
	const commits = 60                    // of 1 MB each, which fill three segments
	for range commits {
		var commit []kafka.Message
		for range 1000 {
			value := make([]byte, 1000)
			_, _ = random.Read(value) // never fails
			commit = append(commit, kafka.Message{Topic: name, Key: []byte(checkpoint.SourceKey(src)), Value: value, Time: time.Now()})
		}
		if _, err := p.Commit(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	left := 0
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(200 * time.Millisecond) {
		left = 0
		if err := w.cluster.Reader.Read(t.Context(), name, kafka.From{}, func(*kafka.Record) error { left++; return nil }); err != nil {
			t.Fatal(err)
		}
		if left < commits*1000/2 {
			expectTokens(t, NewTokens(w.opts), map[string]string{"a": "sealed"})
			expectTokens(t, tokens, map[string]string{"a": "sealed"})
			return
		}
	}
	t.Errorf("after a minute %d of %d records are left", left, commits*1000)
}
