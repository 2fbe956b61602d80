package embedded

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"leadstream/internal/kafka"
)

func start(t *testing.T, brokers int) *Stack {
	t.Helper()
	s, err := Start(t.Context(), brokers)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func TestKafkaKeepsWhatATransactionCommits(t *testing.T) {
	s := start(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cluster, err := kafka.New(kafka.Config{Brokers: s.Brokers, ClientID: "test", Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	defer cluster.Close()
	refused, err := cluster.Admin.CreateTopics(ctx, []kafka.TopicSpec{{Name: "leads", Partitions: 1, ReplicationFactor: -1}})
	if err != nil || refused["leads"] != nil {
		t.Fatalf("CreateTopics = %v, %v", refused, err)
	}
	producer := cluster.NewProducer("test", 15*time.Second)
	if err = producer.Init(ctx); err != nil {
		t.Fatalf("Init: %v", err)
	}
	if _, err = producer.Commit(ctx, []kafka.Message{{Topic: "leads", Key: []byte("1"), Value: []byte("one"), Time: time.Now()}}); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	var got []string
	for len(got) == 0 && ctx.Err() == nil { // the end of a commit is decided before it is visible
		err = cluster.Reader.Read(ctx, "leads", kafka.From{}, func(r *kafka.Record) error {
			got = append(got, string(r.Key)+"="+string(r.Value))
			return nil
		})
		if err != nil {
			t.Fatalf("Read: %v", err)
		}
	}
	if want := "1=one"; strings.Join(got, " ") != want {
		t.Errorf("records = %q, want %q", got, want)
	}
}

func TestRegistryGivesASchemaAnID(t *testing.T) {
	s := start(t, 1)
	body := strings.NewReader(`{"schema":"\"string\""}`)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.RegistryURL+"/subjects/leads-value/versions", body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("registering: %v", err)
	}
	defer response.Body.Close()
	var answer struct{ ID int }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.ID == 0 {
		t.Errorf("answer = %s %+v (%v), want an id", response.Status, answer, err)
	}
}

func TestBothListenOnLoopbackOnly(t *testing.T) {
	s := start(t, 3)
	u, err := url.Parse(s.RegistryURL)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Brokers) != 3 {
		t.Errorf("brokers = %v, want 3", s.Brokers)
	}
	for _, address := range append(s.Brokers, u.Host) {
		at, err := netip.ParseAddrPort(address)
		if err != nil || !at.Addr().IsLoopback() {
			t.Errorf("listens on %q (%v), want loopback", address, err)
		}
	}
}

func TestCloseFreesThePortsAndMayBeRepeated(t *testing.T) {
	s, err := Start(t.Context(), 1)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	for _, address := range append(s.Brokers, strings.TrimPrefix(s.RegistryURL, "http://")) {
		if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address); err == nil {
			t.Errorf("%s still answers after Close", address)
			_ = conn.Close()
		}
	}
}
