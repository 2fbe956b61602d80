//go:build integration

package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// TestMissingPermissionSuspendsOneForm: the log says which, in the words that
// kafka-acls takes; the others go on, and so does the form once it is granted.
func TestMissingPermissionSuspendsOneForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{
		simulate: []string{"--leads", "400", "--forms", "2", "--events", "2", "--organizations", "1"},
		settings: map[string]string{
			"LEADSTREAM_KAFKA_BROKERS": stack.kafka.Addr("SASL"), "LEADSTREAM_KAFKA_SASL_MECHANISM": "PLAIN",
			"LEADSTREAM_KAFKA_SASL_USERNAME": limited, "LEADSTREAM_KAFKA_SASL_PASSWORD": limitedPassword,
		},
	})
	ids := forms(w.linkedin.ledger())
	if len(ids) != 2 {
		t.Fatalf("the world has the forms %q, want two", ids)
	}
	granted, refused := w.prefix+ids[0], w.prefix+ids[1]
	for _, operation := range []kafka.ACLOperationType{kafka.ACLOperationTypeRead, kafka.ACLOperationTypeDescribe, kafka.ACLOperationTypeCreate, kafka.ACLOperationTypeDescribeConfigs} {
		w.grant(kafka.ResourceTypeTopic, w.name, kafka.PatternTypePrefixed, operation)
	}
	w.grant(kafka.ResourceTypeTopic, w.name+".checkpoints", kafka.PatternTypeLiteral, kafka.ACLOperationTypeWrite)
	w.grant(kafka.ResourceTypeTopic, w.name+".deadletters", kafka.PatternTypeLiteral, kafka.ACLOperationTypeWrite)
	w.grant(kafka.ResourceTypeTopic, granted, kafka.PatternTypeLiteral, kafka.ACLOperationTypeWrite)
	w.grant(kafka.ResourceTypeGroup, w.name, kafka.PatternTypeLiteral, kafka.ACLOperationTypeRead)
	w.grant(kafka.ResourceTypeTransactionalID, w.name, kafka.PatternTypeLiteral, kafka.ACLOperationTypeWrite)

	c := w.run()
	c.says(30*time.Second, "--operation Write --topic "+refused)
	eventually(t, 30*time.Second, func() error {
		for _, s := range w.linkedin.ledger() {
			if s.FormID == ids[0] && !w.seen.saw(s.identity()) {
				return fmt.Errorf("%s, whose topic may be written to, is not there", describe(&s))
			}
		}
		return nil
	})
	if n := len(w.committed(ids[1])); n > 0 {
		t.Errorf("%d records went to the topic that may not be written to", n)
	}
	w.grant(kafka.ResourceTypeTopic, refused, kafka.PatternTypeLiteral, kafka.ACLOperationTypeWrite)
	w.await(60 * time.Second)
	w.verify()
	c.kill()
}

// grant allows the limited user one operation.
func (w *world) grant(kind kafka.ResourceType, name string, pattern kafka.PatternType, operation kafka.ACLOperationType) {
	w.t.Helper()
	res, err := admin(w.brokers).CreateACLs(w.t.Context(), &kafka.CreateACLsRequest{ACLs: []kafka.ACLEntry{{
		ResourceType: kind, ResourceName: name, ResourcePatternType: pattern, Principal: "User:" + limited,
		Host: "*", Operation: operation, PermissionType: kafka.ACLPermissionTypeAllow,
	}}})
	if err == nil && len(res.Errors) > 0 {
		err = res.Errors[0]
	}
	if err != nil {
		w.t.Fatalf("granting %v on %s: %v", operation, name, err)
	}
}

// TestAnotherProgramWithOurTransactionalID: while the group says that the work
// is ours, it is no standby but a mistake; the process ends with 4.
func TestAnotherProgramWithOurTransactionalID(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: []string{"--leads", "100"}})
	c := w.run()
	w.await(30 * time.Second)
	stop := w.linkedin.stream(1, 100*time.Millisecond)
	defer stop()
	for begun := time.Now(); c.running() && time.Since(begun) < 60*time.Second; time.Sleep(300 * time.Millisecond) {
		w.takeTransactionalID()
	}
	if code := c.end(10 * time.Second); code != 4 {
		t.Errorf("exit %d, want 4", code)
	}
	if !strings.Contains(c.text(), "stop the other program") {
		t.Error("the log does not say what to do")
	}
	stop()
	w.once()
	w.verify()
}

// takeTransactionalID begins a new epoch of the installation's transactional id.
func (w *world) takeTransactionalID() {
	w.t.Helper()
	res, err := admin(w.brokers).InitProducerID(w.t.Context(), &kafka.InitProducerIDRequest{
		TransactionalID: w.name, TransactionTimeoutMs: 10_000, ProducerID: -1, ProducerEpoch: -1,
	})
	if err == nil && !errors.Is(res.Error, concurrentTransactions) { // then it is tried again in a moment
		err = res.Error
	}
	if err != nil {
		w.t.Fatalf("taking the transactional id: %v", err)
	}
}

// concurrentTransactions: the transaction that was open is being ended.
const concurrentTransactions = kafka.Error(51)

// TestExitCodes of what cannot begin.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: []string{"--leads", "10"}})
	for _, test := range []struct {
		name string
		args []string
		want int
		says string
	}{
		{"unknown flag", []string{"run", "--replay"}, 2, "unknown flag"},
		{"bad setting", []string{"run", "--set", "poll.interval=1"}, 2, "poll.interval"},
		{"unknown setting", []string{"run", "--set", "poll.intervall=1m"}, 2, "poll.intervall"},
		{"replay of the future", []string{"run", "--replay-from", "2036-01-01"}, 2, "future"},
		{"replay that ends before it begins", []string{"run", "--replay-from", "1h", "--replay-to", "2h"}, 2, "empty"},
		{"Kafka unreachable", []string{"run", "--once", "--set", "kafka.brokers=" + freeAddress(t)}, 5, "unreachable"},
		{"registry unreachable", []string{"run", "--once", "--set", "registry.url=http://" + freeAddress(t)}, 5, "registry"},
		{"LinkedIn unreachable", []string{"run", "--once", "--set", "linkedin.api_url=http://" + freeAddress(t)}, 5, "refused"},
		{"no connector to ask for its health", []string{"health"}, 5, "health"},
		{"good", []string{"run", "--once"}, 0, ""},
		{"version", []string{"version"}, 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // each with a group of its own: some take the time to be sure
			own := *w
			own.t, own.name = t, w.name+"-"+strings.ReplaceAll(test.name, " ", "-")
			p := own.command(test.args...)
			if code := p.cmd.ProcessState.ExitCode(); code != test.want || !strings.Contains(p.text(), test.says) {
				t.Errorf("exit %d, want %d and %q in: %s", code, test.want, test.says, lastLines(p.text(), 3))
			}
		})
	}
}
