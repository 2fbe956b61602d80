package schema

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestGrownSchemaFollowsAllItsVersions(t *testing.T) {
	f, registered := grown(t, Array, evolution()...)
	for i, s := range registered {
		if d := Differences(f.Schema(), RegisteredSchema{Version: i + 1, Schema: s}); len(d) != 0 {
			t.Errorf("after version %d: %q", i+1, d)
		}
	}
}

func TestDifferencesAreShown(t *testing.T) {
	ours := fieldsOf(t, Array, exampleForm()).Schema()
	for name, test := range map[string]struct {
		registered string
		want       []string
	}{
		"same":            {ours, nil},
		"broken":          {"{", []string{"version 3: not an Avro record"}},
		"another record":  {`{"type":"record","name":"User","fields":[]}`, []string{"version 3: the record is User"}},
		"joined before":   {fieldsOf(t, Joined, exampleForm()).Schema(), []string{"version 3: field which_track_interests_you is"}},
		"field is lost":   {fieldsOf(t, Array, exampleForm(), evolution()[1]).Schema(), []string{"version 3: field which_track is not a field"}},
		"field not ours":  {strings.Replace(ours, `"first_name"`, `"given_name"`, 1), []string{"version 3: field given_name is not a field"}},
		"required fields": {strings.Replace(ours, `"name":"owner"`, `"name":"owners"`, 1), []string{"version 3: field owners is not", "version 3: field owner is missing"}},
		"types": {strings.Replace(strings.Replace(ours, `"int"`, `"long"`, 1), `["null","boolean"]`, `["null","string"]`, 1),
			[]string{`version 3: field form_version is "long", the form's is "int"`, "version 3: field consent_0 is"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Differences(ours, RegisteredSchema{Version: 3, Schema: test.registered})
			if len(got) != len(test.want) {
				t.Fatalf("Differences = %q, want %d", got, len(test.want))
			}
			for i, want := range test.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("difference = %q, want %q…", got[i], want)
				}
			}
		})
	}
	if d := Differences("{"); len(d) != 1 {
		t.Errorf("Differences of a broken schema = %q, want one", d)
	}
}

// reordered is a schema with the members of its objects in another order and
// other white space, as a registry may give it back.
func reordered(t testing.TB, schema string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(schema), &v); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if string(text) == schema {
		t.Fatal("nothing was reordered")
	}
	return string(text)
}

func TestSchemaIsTheSameHoweverARegistryWritesIt(t *testing.T) {
	ours := fieldsOf(t, Array, exampleForm()).Schema()
	for name, test := range map[string]struct {
		other string
		want  bool
	}{
		"as it was":             {ours, true},
		"members reordered":     {reordered(t, ours), true},
		"a doc changed":         {strings.Replace(ours, `"doc":"`, `"doc":"!`, 1), true},
		"a field renamed":       {strings.Replace(ours, `"first_name"`, `"given_name"`, 1), false},
		"a type changed":        {strings.Replace(ours, `"int"`, `"long"`, 1), false},
		"renamed and reordered": {reordered(t, strings.Replace(ours, `"first_name"`, `"given_name"`, 1)), false},
		"not JSON":              {ours[1:], false},
		"nothing":               {"", false},
	} {
		if got := sameSchema(test.other, ours); got != test.want {
			t.Errorf("%s: same = %v, want %v", name, got, test.want)
		}
		if got := sameSchema(ours, test.other); got != test.want {
			t.Errorf("%s, the other way: same = %v, want %v", name, got, test.want)
		}
	}
}
