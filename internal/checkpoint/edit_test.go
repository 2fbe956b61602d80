package checkpoint

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// keys is where the golden record of each kind belongs; a kind without one
// cannot be set.
var keys = map[string]string{
	KindSource: SourceKey(src), KindReplay: ReplayKey("from=36h"), KindDeferred: DeferredKey(src, "7"), KindForm: FormKey("7"), KindTopic: TopicKey("7"),
	KindRequests: RequestsKey, KindDeletions: DeletionsKey,
}

func TestWhatTheConnectorWritesCanBeSetAgain(t *testing.T) {
	for _, kind := range Settable() {
		value, err := os.ReadFile(filepath.Join("testdata", kind+".v1.json"))
		if err != nil {
			t.Fatal(err)
		}
		record, err := Edited(keys[kind], value, t0.AddDate(1, 0, 0))
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if again, err := Encode(record); err != nil || !bytes.Equal(again, bytes.TrimSpace(value)) {
			t.Errorf("%s is written as %s (%v), want %s", kind, again, err, value)
		}
	}
}

func TestARecordThatWouldStopTheNextStartOrLoseProgressIsNotSet(t *testing.T) {
	const (
		live   = `{"version":1,"live":"2026-11-01T00:00:00Z"}`
		window = `"from":"2026-11-01T00:00:00Z","to":"2026-11-02T00:00:00Z"`
		fields = `{"version":1,"fields":{"form":"7"}}`
	)
	for _, tt := range []struct{ name, key, value, want string }{
		{"no kind", "progress/x", live, "of no kind"},
		{"a message", PushKey(src), `{"version":1,"created":[]}`, "of no kind"},
		{"no JSON", SourceKey(src), `{"version":1`, "unexpected end"},
		{"no version", SourceKey(src), `{"live":"2026-11-01T00:00:00Z"}`, "version"},
		{"a source without lead type", "source/foo", live, "source/<owner>/<lead type>"},
		{"a misspelt member", SourceKey(src), `{"version":1,"live":"2026-11-01T00:00:00Z","backlogs":[]}`, "backlogs"},
		{"a misspelt member below", SourceKey(src), `{"version":1,"live":"2026-11-01T00:00:00Z","lookback":[{"length":60000,"last":"2026-11-01T00:00:00Z"}]}`, "length"},
		{"no live", SourceKey(src), `{"version":1}`, "live is missing"},
		{"a look-back without length", SourceKey(src), `{"version":1,"live":"2026-11-01T00:00:00Z","lookback":[{"last":"2026-11-01T00:00:00Z"}]}`, "lookback[0]"},
		{"a backlog of no kind", SourceKey(src), `{"version":1,"live":"2026-11-01T00:00:00Z","backlog":[{"kind":"x"}]}`, "backlog[0].kind"},
		{"a backlog that is over", SourceKey(src), `{"version":1,"live":"2026-11-01T00:00:00Z","backlog":[{"kind":"backfill","from":"2026-01-01T00:00:00Z","next":"2026-03-01T00:00:00Z","to":"2026-02-01T00:00:00Z","fresh":"2026-01-01T00:00:00Z"}]}`, "from <= next < to"},
		{"a replay without id", "replay/", `{"version":1}`, "replay/<id>"},
		{"a replay of no mode", ReplayKey("r"), `{"version":1,` + window + `}`, "mode"},
		{"a replay of no source", ReplayKey("r"), `{"version":1,"mode":"all","created":"2026-11-02T00:00:00Z",` + window + `}`, "next is missing"},
		{"a replay of a source without lead type", ReplayKey("r"), `{"version":1,"mode":"all","created":"2026-11-02T00:00:00Z","next":{"a":"2026-11-01T00:00:00Z"},` + window + `}`, "<owner>/<lead type>"},
		{"a deferred window without form", "debt/" + src.String(), `{"version":1,"since":"2026-11-02T00:00:00Z",` + window + `}`, "debt/<owner>"},
		{"a deferred window of no time", DeferredKey(src, "7"), `{"version":1,"since":"2026-11-02T00:00:00Z"}`, "from that is before its to"},
		{"a form that is no number", "form/abc", fields, "form/<form id>"},
		{"a form without fields", FormKey("7"), `{"version":1,"name":"x"}`, "fields is missing"},
		{"a topic that is no form's", "topic/abc", `{"version":1,"topic":"abc"}`, "topic/<form id>"},
		{"a topic of another form", TopicKey("7"), `{"version":1,"topic":"linkedin.leads.8"}`, "kafka.topic_prefix"},
		{"a topic that ends before it begins", TopicKey("7"), `{"version":1,"topic":"linkedin.leads.7","end_offset":-1}`, "not below 0"},
		{"requests with a key behind", "requests/x", `{"version":1,"counters":{}}`, "requests alone"},
		{"no counters", RequestsKey, `{"version":1}`, "counters"},
		{"a position in the future", SourceKey(src), `{"version":1,"live":"2027-11-02T00:00:00Z"}`, "live is 2027-11-02T00:00:00.000Z, in the future"},
		{"a look-back in the future", SourceKey(src), `{"version":1,"live":"2026-11-01T00:00:00Z","lookback":[{"length_ms":1,"last":"2030-01-01T00:00:00Z"}]}`, "lookback[0].last is"},
		{"a backlog that reaches into the future", SourceKey(src), `{"version":1,"live":"2026-11-01T00:00:00Z","backlog":[{"kind":"backfill","from":"2026-01-01T00:00:00Z","next":"2026-01-01T00:00:00Z","to":"3000-02-01T00:00:00Z","fresh":"2026-01-01T00:00:00Z"}]}`, "backlog[0].to is"},
		{"a deferred window of the future", DeferredKey(src, "7"), `{"version":1,"since":"2026-11-02T00:00:00Z","from":"2026-11-01T00:00:00Z","to":"2030-11-02T00:00:00Z"}`, "to is 2030"},
		{"a range outside its deferred window", DeferredKey(src, "7"), `{"version":1,"since":"2026-11-02T00:00:00Z",` + window + `,"ranges":[{"from":"2026-10-31T00:00:00Z","to":"2026-11-02T00:00:00Z"}]}`, "ranges[0]"},
		{"a horizon in the future", TopicKey("7"), `{"version":1,"topic":"linkedin.leads.7","horizon":"2030-11-02T00:00:00Z"}`, "horizon is"},
		{"deletions without offsets", DeletionsKey, `{"version":1}`, "next"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Edited(tt.key, []byte(tt.value), t0.AddDate(1, 0, 0)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Edited(%q, %s) = %v, want an error that says %q", tt.key, tt.value, err, tt.want)
			}
		})
	}
}
