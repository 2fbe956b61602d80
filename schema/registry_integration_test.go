//go:build integration

package schema

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// TestRealRegistry runs what every registry must give against the one that
// LEADSTREAM_TEST_REGISTRY names: the root of its Confluent API.
func TestRealRegistry(t *testing.T) {
	url := os.Getenv("LEADSTREAM_TEST_REGISTRY")
	if url == "" {
		t.Fatal("LEADSTREAM_TEST_REGISTRY is not set; want the URL of a registry's Confluent API")
	}
	registrySuite(t, url, fmt.Sprintf("integration-%d-", time.Now().UnixNano()),
		map[string]suite{"taken back": suiteTakenBack})
}
