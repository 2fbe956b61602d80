//go:build integration

package schema

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"leadstream/internal/realstack"
)

// TestRealRegistry runs what every registry must give against a real one: the
// one whose Confluent API LEADSTREAM_TEST_REGISTRY names, else an Apicurio
// Registry of its own.
func TestRealRegistry(t *testing.T) {
	url := os.Getenv("LEADSTREAM_TEST_REGISTRY")
	if url == "" {
		url = ownRegistry(t)
	}
	registrySuite(t, url, fmt.Sprintf("integration-%d-", time.Now().UnixNano()),
		map[string]suite{"taken back": suiteTakenBack, "not restored": suiteNotRestored})
}

func ownRegistry(t *testing.T) string {
	t.Helper()
	jars, err := realstack.Jars()
	if err != nil {
		t.Fatal(err)
	}
	registry, err := realstack.StartRegistry(t.Context(), realstack.RegistryOptions{Jars: jars, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := registry.Kill(); err != nil { // it keeps nothing
			t.Error(err)
		}
	})
	return registry.URL()
}

// suiteTakenBack is not for srfake, which refuses what was deleted softly.
func suiteTakenBack(t *testing.T, r *Registry, raw *sr.Client, subject string) {
	ctx := t.Context()
	schema := fieldsOf(t, Array, exampleForm()).Schema()
	first, err := r.Ensure(ctx, subject, schema)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(ctx, subject, false); err != nil {
		t.Fatal(err)
	}
	second, err := r.Ensure(ctx, subject, schema)
	if err != nil || !second.New || second.ID != first.ID {
		t.Errorf("Ensure after a soft delete = %+v, %v, want id %d again", second, err, first.ID)
	}
	if got := raw.Compatibility(ctx, subject)[0]; got.Err != nil || got.Level != sr.CompatBackwardTransitive {
		t.Errorf("level = %v, %v, want BACKWARD_TRANSITIVE", got.Level, got.Err)
	}
}
