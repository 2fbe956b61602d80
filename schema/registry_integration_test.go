//go:build integration

package schema

import (
	"fmt"
	"os"
	"testing"
	"time"

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
		map[string]suite{"taken back": suiteTakenBack})
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
