package schema

import (
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
