package linkedinsim

import (
	"maps"
	"testing"
)

func TestScanToTheEmptyPageFindsTheLedger(t *testing.T) {
	c := newClient(t, Config{Organizations: 2, Events: 5, Forms: 3, Leads: 2000, Revisions: 2, Seed: 7})
	got, want := c.scan(100, ""), c.listed()
	if len(want) < 500 || !maps.Equal(got, want) {
		t.Errorf("scan found %d leads, ledger lists %d, want the same, at least 500", len(got), len(want))
	}
}
