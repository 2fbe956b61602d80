//go:build integration

package kafka

import (
	"context"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/createacls"

	"leadstream/internal/realstack"
)

func init() {
	answers[protocol.CreateAcls] = answer{reflect.TypeFor[createacls.Response](), shortAnswer} // only tests grant permissions
	acts[childEnv] = child
	afterwards = append(afterwards, func() error {
		defer os.RemoveAll(shared.dir) //nolint:errcheck // a temporary directory
		if shared.kafka == nil {
			return nil
		}
		return shared.kafka.Stop()
	})
}

// The broker that the tests share. Tests that kill a broker or need another
// configuration start their own.
var shared struct {
	once  sync.Once
	dir   string
	kafka *realstack.Kafka
	err   error
}

// real is a Cluster on the shared broker.
func real(t testing.TB) *Client {
	t.Helper()
	return connect(t, Config{Brokers: []string{realAddr(t)}})
}

func realAddr(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "leadstream-kafka"); shared.err != nil {
			return
		}
		var jars string
		if jars, shared.err = realstack.Jars(); shared.err != nil {
			return
		}
		shared.kafka, shared.err = realstack.StartKafka(context.Background(), realstack.KafkaOptions{
			Jars: jars, Dir: shared.dir, Properties: map[string]string{"log.cleaner.backoff.ms": "200"},
		})
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.kafka.Addr(realstack.PLAINTEXT)
}

// own starts a broker for one test.
func own(t testing.TB, o realstack.KafkaOptions) *realstack.Kafka {
	t.Helper()
	jars, err := realstack.Jars()
	if err != nil {
		t.Fatal(err)
	}
	o.Jars = jars
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	k, err := realstack.StartKafka(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Kill(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// name is a topic or an id that no other test uses.
func name(t testing.TB, suffix string) string {
	return strings.NewReplacer("/", "-", "#", "-", "=", "-", ",", "-", " ", "-").Replace(t.Name()) + "-" + suffix
}

// workNothing is work that is done at once.
func workNothing(context.Context) error { return nil }
