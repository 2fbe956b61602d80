package delivery

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/checkpoint"
	"leadstream/internal/dedup"
	"leadstream/internal/embedded"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// embeddedKafka is a broker inside the process.
func embeddedKafka(b *testing.B) []string {
	b.Helper()
	stack, err := embedded.Start(b.Context(), 1)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := stack.Close(); err != nil {
			b.Error(err)
		}
	})
	return stack.Brokers
}

// benchOptions are those of an installation of its own.
func benchOptions(b *testing.B, brokers []string) Options {
	b.Helper()
	cluster, err := kafka.New(kafka.Config{Brokers: brokers, Log: zap.NewNop()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(cluster.Close)
	name := fmt.Sprintf("bench-%d", time.Now().UnixNano())
	return Options{Cluster: cluster, Name: name, Prefix: name + ".", Partitions: 1, ReplicationFactor: 1,
		Lookback: 168 * time.Hour, Log: zap.NewNop()}
}

// benchStore is a new producer epoch.
func benchStore(b *testing.B, o Options) *Store {
	b.Helper()
	o.Producer = o.Cluster.NewProducer(o.Name, 15*time.Second)
	s := New(o)
	if _, err := s.Open(b.Context()); err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkReadState10000 loads 10,000 checkpoint records: 5,000 forms, each
// with its topic.
func BenchmarkReadState10000(b *testing.B) { readState(b, embeddedKafka(b)) }

func readState(b *testing.B, brokers []string) {
	const forms = 5000
	o := benchOptions(b, brokers)
	s := benchStore(b, o)
	fields := []byte(`{"form":"1","choice":"array","columns":[` + `{"name":"first_name","kind":"text","id":510001,"doc":"First name","stamp":1,"versions":"1"}` + `]}`)
	records := map[string]any{}
	for i := range forms {
		id := strconv.Itoa(7130000000000000001 + i)
		records[checkpoint.FormKey(id)] = checkpoint.Form{Fields: fields, Owner: src.Owner, Name: "Form " + id, SchemaID: i}
		records[checkpoint.TopicKey(id)] = checkpoint.Topic{Topic: o.Prefix + id, Leads: 1000, EndOffset: 1100, SchemaID: i}
	}
	if err := s.Commit(b.Context(), Batch{Records: records}); err != nil {
		b.Fatal(err)
	}
	benchStore(b, o) // the next session: a commit is decided before it is visible
	b.ReportAllocs()
	for b.Loop() {
		state, err := ReadState(b.Context(), o.Cluster, o.Name)
		if err != nil || len(state.Forms) != forms || len(state.Topics) != forms {
			b.Fatalf("%d forms, %d topics: %v", len(state.Forms), len(state.Topics), err)
		}
	}
	b.ReportMetric(2*forms*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkMissing1000000 asks a topic of 1,000,000 leads for one, as the first
// window of a new session does: every record is read and entered into the view.
func BenchmarkMissing1000000(b *testing.B) { missing(b, embeddedKafka(b)) }

func missing(b *testing.B, brokers []string) {
	const leads, batch = 1_000_000, MaxLeads
	o := benchOptions(b, brokers)
	end := time.Now().UTC().Truncate(time.Millisecond)
	at := func(i int) time.Time { return end.Add(time.Duration(i-leads) * 100 * time.Millisecond) }
	id := func(i int) string { return fmt.Sprintf("8f0c2b9e-41d7-4c55-9e0b-%012d-6", i) }
	writer := benchStore(b, o)
	ensure(b, writer)
	for from := 0; from < leads; from += batch {
		var part Batch
		for i := range batch {
			value := fmt.Appendf(nil, "\x00\x00\x00\x00\x01 ten answers of lead %d, about as long as they are, %x", from+i, uint64(from+i)*0x9e3779b97f4a7c15)
			part.Leads = append(part.Leads, Lead{Response: response(id(from+i), at(from+i)), Value: value, Delivery: DeliveryBackfill})
		}
		if err := writer.Commit(b.Context(), part); err != nil {
			b.Fatal(err)
		}
	}
	s := benchStore(b, o)
	ensure(b, s)
	question := dedup.Query{Window: lead.Window{From: at(0), To: end}, Fresh: freshFrom(at(0))}
	b.ReportAllocs()
	for b.Loop() {
		l := s.NewView("")
		v, err := asked(b, s, l, question, response(id(leads/2), at(leads/2)))
		if err != nil || v.Held != 1 || l.Len() != leads {
			b.Fatalf("%s, %d ids: %v", counts(v), l.Len(), err)
		}
		l.Close()
	}
	b.ReportMetric(leads*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func ensure(b *testing.B, s *Store) {
	b.Helper()
	if refused, err := ensured(b, s, []string{formID}); err != nil || len(refused) > 0 {
		b.Fatalf("EnsureTopics: %v, %v", refused, err)
	}
}

// BenchmarkMessages makes the records of 2,500 leads of five forms.
func BenchmarkMessages(b *testing.B) {
	now := time.Now().UTC()
	s := New(Options{Name: "leadstream", Prefix: "linkedin.leads."})
	leads := make([]Lead, 2500)
	for i := range leads {
		r := response(fmt.Sprintf("8f0c2b9e-41d7-4c55-9e0b-%012d-6", i), now.Add(time.Duration(i)*time.Second))
		r.Form.ID = strconv.Itoa(7130000000000000001 + i%5)
		r.FetchedAt = now.Add(time.Duration(i/100) * time.Millisecond)
		leads[i] = Lead{Response: r, Value: []byte("value"), Delivery: DeliveryBackfill}
	}
	out := make([]kafka.Message, 0, len(leads))
	b.ReportAllocs()
	for b.Loop() {
		if got := s.messages(leads, out); len(got) != len(leads) {
			b.Fatalf("%d messages", len(got))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(leads)), "ns/lead")
}
