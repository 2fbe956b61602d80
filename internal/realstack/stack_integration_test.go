//go:build integration

package realstack_test

import (
	"testing"

	"leadstream/internal/realstack"
)

// TestProcessesStartStopAndComeBack: both start, survive a kill, and keep
// their addresses.
func TestProcessesStartStopAndComeBack(t *testing.T) {
	jars, err := realstack.Jars()
	if err != nil {
		t.Fatal(err)
	}
	kafka, err := realstack.StartKafka(t.Context(), realstack.KafkaOptions{Jars: jars, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	registry, err := realstack.StartRegistry(t.Context(), realstack.RegistryOptions{Jars: jars, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []interface {
		Kill() error
		Stop() error
	}{kafka, registry} {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
		if err := p.Stop(); err != nil {
			t.Errorf("Stop of a process that does not run = %v, want nil", err)
		}
	}
	addr := kafka.Addr(realstack.PLAINTEXT)
	if err := kafka.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := kafka.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := kafka.Addr(realstack.PLAINTEXT); got != addr {
		t.Errorf("address after restart = %s, want %s", got, addr)
	}
	if err := kafka.Stop(); err != nil {
		t.Error(err)
	}
}
