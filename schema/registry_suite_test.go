package schema

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"leadstream/internal/fault"
)

// registrySuite is what every registry must give, a fake or a real one. The
// subjects it uses begin with prefix.
func registrySuite(t *testing.T, url, prefix string, more map[string]suite) {
	r, err := NewRegistry(RegistryOptions{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	raw, err := sr.NewClient(sr.URLs(url))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]suite{
		"ping":                   suitePing,
		"new subject":            suiteNewSubject,
		"evolution":              suiteEvolution,
		"somebody else's schema": suiteForeign,
		"incompatible":           suiteIncompatible,
		"deleted":                suiteDeleted,
		"rebuilt":                suiteRebuilt,
	}
	maps.Copy(tests, more)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test(t, r, raw, prefix+strings.ReplaceAll(name, " ", "-")+"-value")
		})
	}
}

// suite is one promise: the registry, a client beside it, a subject.
type suite func(*testing.T, *Registry, *sr.Client, string)

func suitePing(t *testing.T, r *Registry, _ *sr.Client, _ string) {
	if err := r.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func suiteNewSubject(t *testing.T, r *Registry, raw *sr.Client, subject string) {
	ctx := t.Context()
	if v, err := r.Versions(ctx, subject); err != nil || len(v) != 0 {
		t.Fatalf("Versions before = %v, %v, want none", v, err)
	}
	schema := fieldsOf(t, Array, awkwardForm()).Schema()
	first, err := r.Ensure(ctx, subject, schema)
	if err != nil || !first.New || first.Version != 1 || first.ID <= 0 {
		t.Fatalf("Ensure = %+v, %v, want a new version 1", first, err)
	}
	for _, got := range raw.Compatibility(ctx, subject) {
		if got.Err != nil || got.Level != sr.CompatBackwardTransitive {
			t.Errorf("level = %v, %v, want BACKWARD_TRANSITIVE", got.Level, got.Err)
		}
	}
	again, err := r.Ensure(ctx, subject, schema)
	if err != nil || again != (Registered{ID: first.ID, Version: 1}) {
		t.Errorf("Ensure again = %+v, %v, want id %d, version 1, not new", again, err, first.ID)
	}
	v, err := r.Versions(ctx, subject)
	if err != nil || len(v) != 1 || v[0].ID != first.ID || v[0].Version != 1 {
		t.Fatalf("Versions = %+v, %v", v, err)
	}
	back, err := Parse(v[0].Schema)
	if err != nil || back.Schema() != schema {
		t.Errorf("what the registry gives back parses to %v, want what it got", err)
	}
}

func suiteEvolution(t *testing.T, r *Registry, raw *sr.Client, subject string) {
	ctx := t.Context()
	_, schemas := grown(t, Array, evolution()...)
	ids := map[int]bool{}
	for i, s := range schemas {
		got, err := r.Ensure(ctx, subject, s)
		if err != nil || got.Version != i+1 || !got.New || ids[got.ID] {
			t.Fatalf("Ensure of version %d = %+v, %v", i+1, got, err)
		}
		ids[got.ID] = true
	}
	older, err := r.Ensure(ctx, subject, schemas[1])
	if err != nil || older.New || older.Version != 2 {
		t.Errorf("Ensure of an older schema = %+v, %v, want version 2 found", older, err)
	}
	v, err := r.Versions(ctx, subject)
	if err != nil || len(v) != len(schemas) {
		t.Fatalf("Versions = %d, %v, want %d", len(v), err, len(schemas))
	}
	var texts []string
	for _, one := range v {
		texts = append(texts, one.Schema)
	}
	back, err := Parse(texts...)
	if err != nil || back.Schema() != schemas[len(schemas)-1] {
		t.Errorf("memory from the registry: %v", err)
	}
	for _, got := range raw.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatFullTransitive}, subject) {
		if got.Err != nil {
			t.Fatal(got.Err)
		}
	}
	f := fieldsOf(t, Array, evolution()...)
	f.Add(form(9, text(77, "One more")))
	if _, err := r.Ensure(ctx, subject, f.Schema()); err != nil {
		t.Errorf("Ensure at another level = %v", err)
	}
	if got := raw.Compatibility(ctx, subject)[0]; got.Err != nil || got.Level != sr.CompatFullTransitive {
		t.Errorf("level = %v, %v, want the one that was set", got.Level, got.Err)
	}
}

func suiteForeign(t *testing.T, r *Registry, raw *sr.Client, subject string) {
	ctx := t.Context()
	users := `{"type":"record","name":"User","namespace":"com.example","fields":[{"name":"lead_id","type":"string"}]}`
	if _, err := raw.RegisterSchema(ctx, subject, sr.Schema{Schema: users}, -1, -1); err != nil {
		t.Fatal(err)
	}
	got, err := r.Ensure(ctx, subject, fieldsOf(t, Array, exampleForm()).Schema())
	wantIncompatible(t, got, err, subject, "com.example.User")
	v, err := r.Versions(ctx, subject)
	if err != nil || len(v) != 1 {
		t.Errorf("Versions = %d, %v, want the subject as it was", len(v), err)
	}
}

func suiteIncompatible(t *testing.T, r *Registry, raw *sr.Client, subject string) {
	ctx := t.Context()
	if _, err := r.Ensure(ctx, subject, fieldsOf(t, Joined, exampleForm()).Schema()); err != nil {
		t.Fatal(err)
	}
	for _, got := range raw.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatNone}, subject) {
		if got.Err != nil {
			t.Fatal(got.Err)
		}
	}
	got, err := r.Ensure(ctx, subject, fieldsOf(t, Array, exampleForm()).Schema())
	wantIncompatible(t, got, err, subject, "which_track_interests_you")
}

func wantIncompatible(t *testing.T, got Registered, err error, subject, shown string) {
	t.Helper()
	var e *IncompatibleError
	if !errors.As(err, &e) || !errors.Is(err, ErrIncompatible) || fault.KindOf(err) != fault.Suspend || got != (Registered{}) {
		t.Fatalf("Ensure = %+v, %v, want an IncompatibleError that suspends", got, err)
	}
	if e.Subject != subject || len(e.Differences) == 0 || !strings.Contains(err.Error(), shown) || !strings.Contains(err.Error(), subject) {
		t.Errorf("err = %v, want subject and %s in it", err, shown)
	}
}

func suiteDeleted(t *testing.T, r *Registry, raw *sr.Client, subject string) {
	ctx := t.Context()
	schema := fieldsOf(t, Array, exampleForm()).Schema()
	if err := r.Delete(ctx, subject, true); err != nil {
		t.Errorf("Delete of nothing = %v", err)
	}
	first, err := r.Ensure(ctx, subject, schema)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Delete(ctx, subject, false); err != nil {
			t.Fatalf("Delete = %v", err)
		}
	}
	if text, err := r.byID(ctx, first.ID); err != nil || !sameSchema(text, schema) {
		t.Errorf("by id after a soft delete: %v: records could not be decoded", err)
	}
	if ok, err := r.Holds(ctx, subject, first.ID, schema); err != nil || ok {
		t.Errorf("Holds after a soft delete = %v, %v, want not", ok, err)
	}
	if v, err := r.Versions(ctx, subject); err != nil || len(v) != 0 {
		t.Errorf("Versions after a delete = %v, %v, want none", v, err)
	}
	for range 2 {
		if err := r.Delete(ctx, subject, true); err != nil {
			t.Fatalf("Delete for good = %v", err)
		}
	}
	if versions, err := raw.SubjectVersions(sr.WithParams(ctx, sr.ShowDeleted), subject); err == nil {
		t.Errorf("versions after a delete for good = %v", versions)
	}
	again, err := r.Ensure(ctx, subject, schema)
	if err != nil || !again.New {
		t.Errorf("Ensure after a delete for good = %+v, %v", again, err)
	}
}

func suiteRebuilt(t *testing.T, r *Registry, _ *sr.Client, subject string) {
	ctx := t.Context()
	f := fieldsOf(t, Array, exampleForm())
	got, err := r.Ensure(ctx, subject, f.Schema())
	if err != nil {
		t.Fatal(err)
	}
	other := New("42", Array).Schema()
	for name, test := range map[string]struct {
		id     int
		schema string
		want   bool
	}{
		"same":           {got.ID, f.Schema(), true},
		"other schema":   {got.ID, other, false},
		"unknown id":     {1_000_000, f.Schema(), false},
		"only texts new": {got.ID, strings.Replace(f.Schema(), "First name", "Vorname", 1), true},
	} {
		if ok, err := r.Holds(ctx, subject, test.id, test.schema); ok != test.want || err != nil {
			t.Errorf("%s: Holds = %v, %v, want %v", name, ok, err, test.want)
		}
	}
}

// suiteRestored is for registries with a mode IMPORT.
func suiteRestored(t *testing.T, r *Registry, raw *sr.Client, subject string) {
	ctx := t.Context()
	_, schemas := grown(t, Array, evolution()...)
	taken, err := r.Ensure(ctx, subject+"-other", fieldsOf(t, Joined, exampleForm()).Schema())
	if err != nil {
		t.Fatal(err)
	}
	wanted := []RegisteredSchema{{ID: 4711, Schema: schemas[0]}, {ID: taken.ID, Schema: schemas[1]}, {ID: 4713, Schema: schemas[2]}}
	restored, err := r.Restore(ctx, subject, wanted)
	if err != nil || !slices.Equal(restored, []int{4711, 4713}) {
		t.Fatalf("Restore = %v, %v, want those whose ids were free", restored, err)
	}
	for _, want := range wanted {
		is := Other
		if want.ID != taken.ID {
			is = Same
		}
		if got, err := r.Names(ctx, want.ID, want.Schema); got != is || err != nil {
			t.Errorf("Names(%d) = %v, %v, want %v", want.ID, got, err, is)
		}
	}
	if ok, err := r.Holds(ctx, subject, 4713, schemas[2]); !ok || err != nil {
		t.Errorf("Holds = %v, %v, want the newest in its subject", ok, err)
	}
	if mode, err := r.Mode(ctx, subject); mode != "READWRITE" || err != nil {
		t.Errorf("Mode afterwards = %s, %v", mode, err)
	}
	if got := raw.Compatibility(ctx, subject)[0]; got.Err != nil || got.Level != sr.CompatBackwardTransitive {
		t.Errorf("level = %v, %v, want BACKWARD_TRANSITIVE", got.Level, got.Err)
	}
	f := fieldsOf(t, Array, evolution()...)
	f.Add(form(9, text(78, "Restored before")))
	if next, err := r.Ensure(ctx, subject, f.Schema()); err != nil || !next.New || next.ID <= 4713 {
		t.Errorf("Ensure afterwards = %+v, %v, want a new id behind the restored ones", next, err)
	}
	if again, err := r.Restore(ctx, subject, wanted); err != nil || again != nil {
		t.Errorf("Restore of a subject with schemas = %v, %v, want it left alone", again, err)
	}
}

// suiteNotRestored is for registries that give ids themselves, whatever the mode.
func suiteNotRestored(t *testing.T, r *Registry, _ *sr.Client, subject string) {
	ctx := t.Context()
	_, schemas := grown(t, Array, evolution()...)
	schema := schemas[len(schemas)-1]
	if restored, err := r.Restore(ctx, subject, []RegisteredSchema{{ID: 4710, Schema: schemas[0]}, {ID: 4711, Schema: schema}}); err != nil || len(restored) > 0 {
		t.Errorf("Restore = %v, %v, want nothing restored", restored, err)
	}
	if got, err := r.Names(ctx, 4711, schema); got != Unknown || err != nil {
		t.Errorf("Names = %v, %v, want an unknown id", got, err)
	}
	if mode, err := r.Mode(ctx, subject); mode == "IMPORT" || err != nil {
		t.Errorf("Mode afterwards = %s, %v", mode, err)
	}
	got, err := r.Ensure(ctx, subject, schema)
	if err != nil || got.ID == 4711 {
		t.Errorf("Ensure afterwards = %+v, %v, want another id", got, err)
	}
	if ok, err := r.Holds(ctx, subject, got.ID, schema); err != nil || !ok {
		t.Errorf("Holds = %v, %v", ok, err)
	}
}
