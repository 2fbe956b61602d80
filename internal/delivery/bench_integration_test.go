//go:build integration

package delivery

import (
	"testing"

	"leadstream/internal/realstack"
)

// realKafka is an Apache Kafka of its own.
func realKafka(b *testing.B) []string {
	b.Helper()
	jars, err := realstack.Jars()
	if err != nil {
		b.Fatal(err)
	}
	k, err := realstack.StartKafka(b.Context(), realstack.KafkaOptions{Jars: jars, Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := k.Kill(); err != nil {
			b.Error(err)
		}
	})
	return []string{k.Addr(realstack.PLAINTEXT)}
}

// BenchmarkReadState10000OnKafka is BenchmarkReadState10000 on Apache Kafka.
func BenchmarkReadState10000OnKafka(b *testing.B) { readState(b, realKafka(b)) }

// BenchmarkMissing1000000OnKafka is BenchmarkMissing1000000 on Apache Kafka.
func BenchmarkMissing1000000OnKafka(b *testing.B) { missing(b, realKafka(b)) }
