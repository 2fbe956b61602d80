//go:build integration

package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// finding is one line of "leadstream check -o json".
type finding struct{ Check, Result, Text, Todo string }

// check runs "leadstream check" and gives its lines.
func (w *world) check() (code int, findings []finding) {
	w.t.Helper()
	p := w.command("check", "-o", "json")
	for results := json.NewDecoder(strings.NewReader(p.results())); results.More(); { // of earlier runs too
		findings = nil
		if err := results.Decode(&findings); err != nil {
			w.t.Fatalf("check printed %q: %v", p.results(), err)
		}
	}
	return p.cmd.ProcessState.ExitCode(), findings
}

// TestWhatCheckPrintsIsWhatTheConnectorNeeds: a user without any permission is
// given exactly those that the printed commands grant, nothing else is found
// missing, and the connector delivers every lead with them.
func TestWhatCheckPrintsIsWhatTheConnectorNeeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{
		simulate: []string{"--leads", "100", "--forms", "2", "--events", "2", "--organizations", "1"},
		settings: map[string]string{
			"LEADSTREAM_KAFKA_BROKERS": stack.kafka.Addr("SASL"), "LEADSTREAM_KAFKA_SASL_MECHANISM": "PLAIN",
			"LEADSTREAM_KAFKA_SASL_USERNAME": limited, "LEADSTREAM_KAFKA_SASL_PASSWORD": limitedPassword,
		},
	})
	seen := map[string]bool{}
	for round := 0; ; round++ {
		code, findings := w.check()
		missing := slices.DeleteFunc(findings, func(f finding) bool { return f.Check != "kafka permission" })
		if len(missing) == 0 {
			if code != 0 {
				t.Errorf("exit %d with all permissions", code)
			}
			break
		}
		if code != 6 || round > 20 {
			t.Fatalf("exit %d in round %d, still missing: %+v", code, round, missing)
		}
		for _, f := range missing {
			if f.Result != "FAIL" || !strings.HasPrefix(f.Todo, "kafka-acls --bootstrap-server "+stack.kafka.Addr("SASL")+" ") {
				t.Fatalf("%+v is no command for kafka-acls", f)
			}
			if !seen[f.Todo] {
				seen[f.Todo] = true
				w.carryOut(f.Todo)
			}
		}
		time.Sleep(200 * time.Millisecond) // the broker takes a moment to know
	}
	// Describe comes with Read and Write; what is granted beyond them is Create and DescribeConfigs.
	if len(seen) < 20 || len(seen) > 24 {
		t.Errorf("%d commands: %v", len(seen), seen)
	}
	w.once()
	w.verify()
}

// carryOut grants what a command for kafka-acls does.
func (w *world) carryOut(command string) {
	w.t.Helper()
	args := map[string]string{}
	words := strings.Fields(command)
	for i, word := range words[:len(words)-1] {
		if strings.HasPrefix(word, "--") {
			args[word] = words[i+1]
		}
	}
	if args["--allow-principal"] != "User:"+limited || args["--command-config"] == "" {
		w.t.Fatalf("%s grants nothing to %s", command, limited)
	}
	pattern := kafka.PatternTypeLiteral
	if args["--resource-pattern-type"] == "prefixed" {
		pattern = kafka.PatternTypePrefixed
	}
	operation, ok := map[string]kafka.ACLOperationType{
		"Read": kafka.ACLOperationTypeRead, "Write": kafka.ACLOperationTypeWrite, "Create": kafka.ACLOperationTypeCreate,
		"Describe": kafka.ACLOperationTypeDescribe, "DescribeConfigs": kafka.ACLOperationTypeDescribeConfigs,
	}[args["--operation"]]
	if !ok {
		w.t.Fatalf("%s has no operation", command)
	}
	for resource, kind := range map[string]kafka.ResourceType{
		"--topic": kafka.ResourceTypeTopic, "--group": kafka.ResourceTypeGroup, "--transactional-id": kafka.ResourceTypeTransactionalID,
	} {
		if name := args[resource]; name != "" {
			w.grant(kind, name, pattern, operation)
			return
		}
	}
	w.t.Fatalf("%s names no resource", command)
}
