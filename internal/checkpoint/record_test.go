package checkpoint

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var src = lead.Source{Owner: "urn:li:organization:9000123", Type: "EVENT"}

// records is one full record of each kind.
func records() map[string]any {
	next := t0.Add(time.Hour)
	return map[string]any{
		"source": &Progress{Live: next, Lookback: []Run{{60000, next}, {240000, t0}},
			Backlog: []Range{{Backfill, t0.AddDate(-1, 0, 0), t0.AddDate(0, -6, 0), t0, t0.AddDate(-1, 0, 0), 0}}},
		"replay": &Replay{From: t0, To: next, Mode: Missing, Created: next, Next: map[string]time.Time{src.String(): t0.Add(time.Minute)}},
		"debt":   &DeferredWindow{From: t0, To: next, Since: next, Reason: "schema is not compatible"},
		"form":   &Form{Fields: []byte(`{"form":"7"}`), SchemaID: 12, Owner: src.Owner, Name: "SPD 2026 registration"},
		"rebuilt": &Form{Fields: []byte(`{"form":"7"}`), SchemaID: 3, Owner: src.Owner, Name: "SPD 2026 registration",
			Lost: []LostSchema{{12, true, next}}},
		"topic": &Topic{Topic: "linkedin.leads.7", SchemaID: 12, Leads: 5, LastLead: t0, EndOffset: 9,
			Horizon: t0, Existed: true},
		"owed": &DeferredWindow{From: t0, To: next, Fresh: t0.Add(time.Minute), Explicit: true, Since: next, Reason: "schema is not compatible",
			Ranges: []DeferredRange{
				{From: t0, To: t0.Add(time.Second), Bound: Bound{Explicit: true}},
				{From: t0.Add(time.Minute), To: next, Bound: Bound{Fresh: true}},
			}},
		"parts": &Topic{Topic: "linkedin.leads.7", Leads: 5, LastLead: next, EndOffset: 9,
			Partitions: []Partition{{First: 3, End: 9, LastLead: t0}, {}}},
		"made": &Topic{Topic: "linkedin.leads.7", Leads: 5, EndOffset: 9, Made: 3, Seen: t0},
		"schemas": &Topic{Topic: "linkedin.leads.7", SchemaID: 3, Schemas: []TopicSchema{{12, 4, t0, next, next}, {3, 5, next, next, next}},
			Leads: 5, LastLead: next, EndOffset: 9},
		"requests": &Requests{Counters: []byte(`{"day":"2026-11-01"}`)},
		"hours":    &Hours{First: t0, Leads: []int64{12, 0, 7}},
		"process":  &Process{ID: "leads-7c9d-x2k4p", Since: next},
		"organizations": &Organizations{Known: []Organization{
			{URN: src.Owner, Name: "Alpenblick Seminare", Roles: []string{"ADMINISTRATOR"}},
			{URN: "urn:li:organization:9000124", Name: "Nordwind Analytics", Roles: []string{"ANALYST"}, Problem: "ANALYST does not read event leads"}}},
		"deletions": &Deletions{Next: []int64{41}}, // as it was before there were marks
		"marked":    &Deletions{Next: []int64{41}, Marks: []Mark{{40, t0}}},
		"transaction": &Transaction{Producer: 4000, Epoch: 7, Written: []Written{
			{"linkedin.leads.7", 0, 7, 120, 131}, {"linkedin.leads.8", 2, 6, 0, 0}}},
		"push":    &Push{Created: []Pushed{{Response: "8f0c2b9e-41d7-4c55-9e0b-6a1d2f3c4b5a-6", At: t0}}},
		"token":   &Token{Sealed: []byte("age-encryption.org/v1\n…")},
		"removed": &Token{},
	}
}

func TestRecordsAreWrittenAsTheGoldenFilesSay(t *testing.T) {
	for name, v := range records() {
		got, err := Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name+".v1.json")
		if *update {
			if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, bytes.TrimSpace(want)) {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
}

// The v2 files are records as the next release may write them: a higher version
// number and members that this release does not know.
func TestRecordsOfThisAndTheNextReleaseAreRead(t *testing.T) {
	for name, want := range records() {
		for _, version := range []string{"v1", "v2"} {
			value, err := os.ReadFile(filepath.Join("testdata", name+"."+version+".json"))
			if err != nil {
				t.Fatal(err)
			}
			got := reflect.New(reflect.TypeOf(want).Elem()).Interface()
			if err := Decode(name, value, got); err != nil {
				t.Fatalf("%s %s: %v", name, version, err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s %s = %+v, want %+v", name, version, got, want)
			}
		}
	}
}

func TestAnUnreadableRecordIsAFatalErrorThatNamesIt(t *testing.T) {
	for _, tt := range []struct{ name, value string }{
		{"not JSON", `{"version":1`},
		{"empty", ``},
		{"no version", `{"live":"2026-11-01T00:00:00Z"}`},
		{"version zero", `{"version":0}`},
		{"two releases ahead", `{"version":3}`},
		{"wrong type", `{"version":1,"live":7}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p Progress
			err := Decode("source/x/EVENT", []byte(tt.value), &p)
			var unreadable *UnreadableError
			if !errors.As(err, &unreadable) || unreadable.Key != "source/x/EVENT" || fault.KindOf(err) != fault.Fatal {
				t.Errorf("Decode(%q) = %v, want a fatal *UnreadableError naming the key", tt.value, err)
			}
		})
	}
}

func TestKeysAreReadBack(t *testing.T) {
	if got, ok := ParseSourceKey(SourceKey(src)); !ok || got != src {
		t.Errorf("ParseSourceKey = %v, %v", got, ok)
	}
	if got, form, ok := ParseDeferredKey(DeferredKey(src, "7130000000000000001")); !ok || got != src || form != "7130000000000000001" {
		t.Errorf("ParseDeferredKey = %v, %q, %v", got, form, ok)
	}
	if got, ok := ParseTokenKey(TokenKey("a/b")); !ok || got != "a/b" {
		t.Errorf("ParseTokenKey = %q, %v", got, ok)
	}
	for _, bad := range []string{"", "source", "source/", "source/x", "debt/x", "form/7", "debt/a/b"} {
		if _, ok := ParseSourceKey(bad); ok {
			t.Errorf("ParseSourceKey(%q) accepted it", bad)
		}
		if _, _, ok := ParseDeferredKey(bad); ok {
			t.Errorf("ParseDeferredKey(%q) accepted it", bad)
		}
		if _, ok := ParseTokenKey(bad); ok {
			t.Errorf("ParseTokenKey(%q) accepted it", bad)
		}
	}
}

func TestReplayIsDoneWhenEverySourceIs(t *testing.T) {
	r := Replay{From: t0, To: t0.Add(time.Hour), Next: map[string]time.Time{"a": t0, "b": t0}}
	if r.Done() || r.Ratio() != 0 {
		t.Errorf("new replay: done %v, ratio %v", r.Done(), r.Ratio())
	}
	half := r.At("a", r.To, 3)
	if half.Done() || half.Ratio() != 0.5 || !r.Next["a"].Equal(t0) {
		t.Errorf("half: done %v, ratio %v; the original moved: %v", half.Done(), half.Ratio(), !r.Next["a"].Equal(t0))
	}
	if all := half.At("b", r.To, 4); !all.Done() || all.Ratio() != 1 || all.Leads != 7 {
		t.Errorf("all: done %v, ratio %v, %d leads; want 7 of them", all.Done(), all.Ratio(), all.Leads)
	}
}

func FuzzDecode(f *testing.F) {
	for _, v := range records() {
		value, err := Encode(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		var p Progress
		if err := Decode("source/x/EVENT", value, &p); err != nil {
			return
		}
		again, err := Encode(&p)
		if err != nil {
			return // a time outside what JSON can hold
		}
		var q Progress
		if err := Decode("source/x/EVENT", again, &q); err != nil {
			t.Fatalf("own encoding %q is not read: %v", again, err)
		}
	})
}
