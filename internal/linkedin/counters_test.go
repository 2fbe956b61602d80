package linkedin

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// roundTripJSON is the counters as they come back from where they were kept.
func roundTripJSON(t *testing.T, c Counters) Counters {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back Counters
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

// TestCountersKeepTheirForm: they stand in the checkpoint topic. Files of older
// releases stay here and must still be read.
func TestCountersKeepTheirForm(t *testing.T) {
	until := time.Date(2026, 11, 24, 0, 2, 0, 0, time.UTC)
	first := Counters{Day: "2026-11-23", Requests: map[string]int{"leadFormResponses": 5005, "events": 96},
		Paused: map[string]time.Time{"leadFormResponses": until}}
	now := first
	now.Answered = map[string]int{"leadFormResponses": 5000, "events": 96}
	now.Throttled, now.Before, now.Partial = map[string]int{"leadFormResponses": 5}, map[string]int{"leadFormResponses": 1440}, true
	now.Limits = map[string]DailyLimit{
		"leadFormResponses": {Allowed: 5000, Day: "2026-11-23", Limit: 5000, Partial: true},
		"leadForms":         {Allowed: 400, Day: "2026-11-01", Limit: 404, Raised: "2026-11-22"},
	}
	golden := filepath.Join("testdata", "counters.json")
	if *update {
		text, err := json.MarshalIndent(now, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]Counters{golden: now, filepath.Join("testdata", "counters.without-limits.json"): first} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var got Counters
		if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s reads %+v (%v), want %+v", file, got, err, want)
		}
	}
	if back := roundTripJSON(t, now); !reflect.DeepEqual(back, now) {
		t.Errorf("comes back as %+v, want %+v", back, now)
	}
}
