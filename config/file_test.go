package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzFile: whatever the file holds, loading it ends with a configuration or
// with problems, never both or neither, and never shows what follows a
// secret's key.
func FuzzFile(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("a: &a [*a]")
	f.Add("kafka: &k {tls: *k}")
	f.Add("? [a]\n: b")
	f.Add("<<: {name: x}")
	f.Fuzz(func(t *testing.T, text string) {
		const secret = "pl4nted"
		var found problems
		l := parseFile([]byte(text+"\nhttp:\n  password: "+secret+"\n"), "f", &found)
		c, bad := resolve(merge(&found, l))
		found = append(found, bad...)
		c.cross(&found)
		for _, p := range found {
			if strings.Contains(p.String(), secret) {
				t.Errorf("problem %q shows the secret", p)
			}
		}
	})
}
