package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"leadstream/internal/fault"
)

// TestBadConfigurationIsNamed: before anything is dialled.
func TestBadConfigurationIsNamed(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.pem")
	if err := os.WriteFile(text, []byte("not a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	brokers := []string{"localhost:9092"}
	tests := map[string]struct {
		cfg  Config
		want string
	}{
		"no broker":           {Config{}, "no kafka broker"},
		"no port":             {Config{Brokers: []string{"localhost"}}, `"localhost": must be host:port`},
		"unknown mechanism":   {Config{Brokers: brokers, SASL: &SASL{Mechanism: "GSSAPI"}}, `"GSSAPI"`},
		"user name not valid": {Config{Brokers: brokers, SASL: &SASL{Mechanism: "SCRAM-SHA-256", Username: "a\u0007b", Password: "secret"}}, "SCRAM-SHA-256"},
		"no authority file":   {Config{Brokers: brokers, TLS: &TLS{CAFile: "absent.pem"}}, "absent.pem"},
		"authority is text":   {Config{Brokers: brokers, TLS: &TLS{CAFile: text}}, "no PEM certificate"},
		"certificate alone":   {Config{Brokers: brokers, TLS: &TLS{CertFile: text}}, "both"},
		"certificate is text": {Config{Brokers: brokers, TLS: &TLS{CertFile: text, KeyFile: text}}, "client certificate"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := New(tt.cfg)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, want an error with %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
}

// TestPingSaysWhatIsInTheWay: an unreachable broker, and one that wants
// something else than what is configured.
func TestPingSaysWhatIsInTheWay(t *testing.T) {
	hangUp := listen(t, func(conn net.Conn) { _ = conn.Close() })
	closed := listen(t, func(net.Conn) {})
	closed.Close()
	talks := listen(t, func(conn net.Conn) {
		_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		_ = conn.Close()
	})
	tests := map[string]struct {
		cfg  Config
		want string
	}{
		"nothing listens":     {Config{Brokers: []string{closed.Addr().String()}}, "check kafka.brokers"},
		"hangs up":            {Config{Brokers: []string{hangUp.Addr().String()}}, "check that kafka.tls and kafka.sasl"},
		"hangs up on TLS":     {Config{Brokers: []string{hangUp.Addr().String()}, TLS: &TLS{}}, "check that kafka.tls and kafka.sasl"},
		"does not speak TLS":  {Config{Brokers: []string{talks.Addr().String()}, TLS: &TLS{}}, "does not speak TLS"},
		"name that is no one": {Config{Brokers: []string{"broker.invalid:9092"}}, "broker.invalid"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := connect(t, tt.cfg)
			start := time.Now()
			err := c.Ping(t.Context())
			if _, away := errors.AsType[*UnreachableError](err); !away || !strings.Contains(err.Error(), tt.want) || fault.KindOf(err) != fault.Retry {
				t.Errorf("Ping = %v, want *UnreachableError with %q", err, tt.want)
			}
			if took := time.Since(start); took > patience {
				t.Errorf("Ping took %v", took)
			}
		})
	}
}

// TestOneBrokerOfSeveralIsEnough: the list is for starting from.
func TestOneBrokerOfSeveralIsEnough(t *testing.T) {
	closed := listen(t, func(net.Conn) {})
	closed.Close()
	_, f := fake(t)
	c := connect(t, Config{Brokers: []string{closed.Addr().String(), f.ListenAddrs()[0]}})
	if err := c.Ping(t.Context()); err != nil {
		t.Errorf("Ping = %v, want nil", err)
	}
}

// TestHintOnlyAtTheFirstConnection: a broker that worked and is gone is not
// misconfigured.
func TestHintOnlyAtTheFirstConnection(t *testing.T) {
	c, f := fake(t)
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Close()
	err := c.Ping(t.Context())
	away, ok := errors.AsType[*UnreachableError](err)
	if !ok || away.Hint != "" {
		t.Errorf("Ping = %v, want no hint", err)
	}
}

// TestEveryMechanismLogsIn: with all three that are offered.
func TestEveryMechanismLogsIn(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			_, f := fake(t, kfake.EnableSASL(), kfake.Superuser(mechanism, "alice", "right-secret"))
			c := connect(t, Config{Brokers: f.ListenAddrs(), SASL: &SASL{mechanism, "alice", "right-secret"}})
			if err := c.Ping(t.Context()); err != nil {
				t.Errorf("Ping = %v", err)
			}
		})
	}
}

// TestOnlyOurTopicsAreAskedFor: never the metadata of the whole cluster.
func TestOnlyOurTopicsAreAskedFor(t *testing.T) {
	c, f := fake(t, kfake.SeedTopics(1, "foreign"))
	f.ControlKey(int16(protocol.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		topics := req.(*kmsg.MetadataRequest).Topics
		if topics == nil {
			t.Error("the metadata of all topics was asked for")
		}
		for _, topic := range topics {
			if topic.Topic != nil && *topic.Topic == "foreign" {
				t.Error("the metadata of a topic of somebody else was asked for")
			}
		}
		return nil, nil, false
	})
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	create(t, c, 2, "a")
	p := producer(t, c, "tx")
	commit(t, p, message("a", "1"))
	eventuallyValues(t, c, "a", 1)
	if _, err := c.Admin.DescribeTopics(t.Context(), []string{"a", "gone"}, "retention.ms"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Admin.GroupMembers(t.Context(), "group"); err != nil {
		t.Fatal(err)
	}
}

// TestCreatedTopicsAreNamedOneByOne: the good ones are made, whatever the
// others are.
func TestCreatedTopicsAreNamedOneByOne(t *testing.T) {
	c, f := fake(t)
	create(t, c, 1, "there")
	requests := count(f, protocol.CreateTopics)
	specs := []TopicSpec{{Name: "there", Partitions: 1}, {Name: "unlucky", Partitions: 1, ReplicationFactor: 9}}
	for i := range 248 {
		specs = append(specs, TopicSpec{Name: fmt.Sprintf("new-%d", i), Partitions: 2, ReplicationFactor: 1,
			Configs: map[string]string{"cleanup.policy": "compact,delete", "retention.ms": "1000"}})
	}
	results, err := c.Admin.CreateTopics(t.Context(), specs)
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(results["there"], ErrTopicExists) {
		t.Errorf("there: %v, want ErrTopicExists", results["there"])
	}
	refused, ok := errors.AsType[*TopicError](results["unlucky"])
	if !ok || refused.Code != codeInvalidReplication {
		t.Errorf("unlucky: %v, want code 38", results["unlucky"])
	}
	if len(results) != 250 || results["new-247"] != nil {
		t.Errorf("%d results, new-247: %v", len(results), results["new-247"])
	}
	if n := requests.Load(); n != 3 {
		t.Errorf("%d requests for 250 topics, want 3", n)
	}
	infos, err := c.Admin.DescribeTopics(t.Context(), []string{"new-7", "gone"}, "cleanup.policy", "retention.ms", "max.message.bytes")
	if err != nil {
		t.Fatal(err)
	}
	if _, there := infos["gone"]; there || len(infos) != 1 {
		t.Errorf("DescribeTopics = %v, want only new-7", infos)
	}
	info := infos["new-7"]
	if info.Partitions != 2 || info.ReplicationFactor != 1 || info.Configs["cleanup.policy"] != "compact,delete" ||
		info.Configs["retention.ms"] != "1000" || info.Configs["max.message.bytes"] != "1048588" || len(info.Configs) != 3 {
		t.Errorf("DescribeTopics = %+v", info)
	}
}

// TestTopicsPassTheirIssues: retriable answers are waited for, and refusals
// name what is missing.
func TestTopicsPassTheirIssues(t *testing.T) {
	c, f := fake(t)
	refuse(f, protocol.CreateTopics, codeNotController, codeRequestTimedOut, codeQuotaExceeded, -1)
	create(t, c, 1, "a")

	refuse(f, protocol.CreateTopics, codeTopicAuthorization)
	results, err := c.Admin.CreateTopics(t.Context(), []TopicSpec{{Name: "b", Partitions: 1}})
	wantPermission(t, errors.Join(err, results["b"]), "b", "Create")

	refuse(f, protocol.DescribeConfigs, codeTopicAuthorization)
	_, err = c.Admin.DescribeTopics(t.Context(), []string{"a"}, "retention.ms")
	wantPermission(t, err, "a", "DescribeConfigs")

	refuse(f, protocol.DeleteTopics, codeTopicAuthorization)
	wantPermission(t, c.Admin.DeleteTopics(t.Context(), []string{"a"}), "a", "Delete")

	refuse(f, protocol.DeleteTopics, codeNotController, -1)
	if err := c.Admin.DeleteTopics(t.Context(), []string{"a", "never"}); err != nil {
		t.Errorf("DeleteTopics = %v", err)
	}
	if _, err := c.Reader.Offsets(t.Context(), "a"); !errors.Is(err, ErrTopicMissing) {
		t.Errorf("Offsets of a deleted topic = %v, want ErrTopicMissing", err)
	}
}

func wantPermission(t *testing.T, err error, topic, operation string) {
	t.Helper()
	got, ok := errors.AsType[*AuthorizationError](err)
	if !ok || *got != *topicPermission(topic, operation) || fault.KindOf(err) != fault.Suspend {
		t.Errorf("%v, want that %s on %s is missing", err, operation, topic)
	}
}

// TestEndOfContextEndsWaiting: nothing outlives it.
func TestEndOfContextEndsWaiting(t *testing.T) {
	silent := listen(t, func(net.Conn) {}) // takes the connection and says nothing
	c := connect(t, Config{Brokers: []string{silent.Addr().String()}})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := c.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Ping = %v, want the context's end", err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}

// listen accepts connections and hands them to serve until the test ends.
func listen(t *testing.T, serve func(net.Conn)) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open = append(open, conn)
			serve(conn)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		for _, conn := range open {
			_ = conn.Close()
		}
	})
	return l
}
