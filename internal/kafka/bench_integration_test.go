//go:build integration

package kafka

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"
)

// leads makes n messages of about the size of a lead of ten answers, spread
// over the topics in turn, with the headers that leads have.
func leads(n int, topics ...string) []Message {
	r := rand.New(rand.NewPCG(1, 2))
	msgs := make([]Message, n)
	for i := range msgs {
		id := strconv.FormatInt(r.Int64N(1<<62), 10)
		var value []byte
		for f := range 10 {
			value = fmt.Appendf(value, "answer %d of %s, %d", f, id[:5], r.IntN(1000))
		}
		msgs[i] = Message{
			Topic: topics[i%len(topics)], Key: []byte(id), Value: value,
			Headers: []Header{
				{"leadstream.submitted_at", []byte("2026-11-23T10:00:00.000Z")}, {"leadstream.delivery", []byte("backfill")},
				{"leadstream.fetched_at", []byte("2026-11-23T10:00:00.000Z")}, {"leadstream.owner", []byte("urn:li:organization:9000123")},
				{"leadstream.form_version", []byte("1")}, {"leadstream.name", []byte("leadstream")},
			},
		}
	}
	return msgs
}

func topicNames(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%d", prefix, i)
	}
	return names
}

// patientCommit is commit for transactions so wide that the markers of the one
// before may not be written within the time that Commit waits for them.
func patientCommit(b *testing.B, p *Producer, msgs []Message) {
	b.Helper()
	for {
		_, err := p.Commit(b.Context(), msgs)
		if err == nil {
			return
		}
		if !errors.Is(err, errTimeUp) {
			b.Fatal(err)
		}
		b.Logf("once more: %v", err)
	}
}

// BenchmarkCommit is one transaction with a checkpoint record: leads × topics.
func BenchmarkCommit(b *testing.B) {
	for _, size := range []struct{ leads, topics int }{{1, 1}, {100, 1}, {100, 12}, {100, 100}, {1000, 1}, {1000, 12}, {10000, 5}, {1000, 1000}, {10000, 1000}} {
		b.Run(fmt.Sprintf("leads=%d/topics=%d", size.leads, size.topics), func(b *testing.B) {
			c := real(b)
			topics := topicNames(name(b, fmt.Sprint(b.N)), size.topics)
			progress := name(b, fmt.Sprint(b.N)+"-progress")
			create(b, c, 1, append(topics, progress)...)
			p := producer(b, c, progress)
			msgs := append(leads(size.leads, topics...), message(progress, "1"))
			patientCommit(b, p, msgs)
			var took []time.Duration
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				patientCommit(b, p, msgs)
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1e3, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1e3, "p99-ms")
			b.ReportMetric(float64(len(msgs))/b.Elapsed().Seconds()*float64(b.N), "records/s")
		})
	}
}

// BenchmarkRead reads a million keyed records with headers.
func BenchmarkRead(b *testing.B) {
	c := real(b)
	topic := name(b, "million")
	create(b, c, 1, topic)
	p := producer(b, c, topic)
	for range 100 {
		commit(b, p, leads(10_000, topic)...)
	}
	b.ReportAllocs()
	for b.Loop() {
		records, bytes := 0, 0
		err := c.Reader.Read(b.Context(), topic, From{}, func(r *Record) error {
			records++
			bytes += len(r.Key) + len(r.Headers)
			return nil
		})
		if err != nil || records != 1_000_000 {
			b.Fatalf("read %d records: %v", records, err)
		}
	}
	b.ReportMetric(1e6*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
