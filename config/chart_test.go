package config

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// TestTheChartKnowsEveryKey keeps what the Helm chart takes for config and for
// secrets.files the way the table of the settings says, so that Helm refuses a
// key that is spelled wrongly instead of starting pods that end at once.
func TestTheChartKnowsEveryKey(t *testing.T) {
	const path = "../deploy/helm/leadstream/values.schema.json"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := string(text)
	for _, part := range []struct{ between, is string }{
		{`(?s)(\n    "config": ).*?(,\n    "secrets": )`, chartConfig()},
		{`(?s)("propertyNames": \{\n +"enum": ).*?(\n)`, chartSecrets()},
	} {
		around := regexp.MustCompile(part.between)
		if !around.MatchString(want) {
			t.Fatalf("%s has nothing like %s", path, part.between)
		}
		want = around.ReplaceAllStringFunc(want, func(whole string) string {
			m := around.FindStringSubmatch(whole)
			return m[1] + part.is + m[2]
		})
	}
	if !json.Valid([]byte(want)) {
		t.Fatalf("what is made of %s is no JSON:\n%s", path, want)
	}
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the table says; go test ./config -update rewrites it", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// chartRequired are the keys without which a pod cannot work.
var chartRequired = map[string]string{
	"": `"linkedin", "kafka", "registry", "http", "token"`, "linkedin": `"client_id"`, "kafka": `"brokers"`, "registry": `"url"`,
	"http": `"listen"`, "token": `"store"`,
}

// chartBounds are those values that the chart itself depends on.
var chartBounds = map[string]string{
	"http.listen":    `{"type": "string", "pattern": ":[1-9][0-9]*$"}`,
	"webhook.listen": `{"type": "string", "pattern": "^$|:[1-9][0-9]*$"}`,
	"token.store":    `{"enum": ["kafka", "file"]}`,
}

// chartConfig is the JSON schema of the whole configuration.
func chartConfig() string { return chartSection("", "    ") }

// chartSection is the schema of one section. A secret stands in it only as the
// key that names its file.
func chartSection(path, in string) string {
	var lines []string
	seen := map[string]bool{}
	for _, s := range settings {
		rest, ok := strings.CutPrefix(s.Path, path)
		if !ok {
			continue
		}
		name, _, section := strings.Cut(rest, ".")
		if seen[name] {
			continue
		}
		seen[name] = true
		switch at := s.Path; {
		case section:
			lines = append(lines, fmt.Sprintf("%q: %s", name, chartSection(path+name+".", in+"    ")))
		case s.Secret:
			lines = append(lines, fmt.Sprintf(`%q: {"type": "string"}`, name+fileSuffix))
		case chartBounds[at] != "":
			lines = append(lines, fmt.Sprintf("%q: %s", name, chartBounds[at]))
		default:
			lines = append(lines, fmt.Sprintf(`%q: {"type": %s}`, name, chartType(s.kind)))
		}
	}
	required := ""
	if keys := chartRequired[strings.TrimSuffix(path, ".")]; keys != "" {
		required = in + `  "required": [` + keys + "],\n"
	}
	return "{\n" + in + `  "type": "object",` + "\n" + in + `  "additionalProperties": false,` + "\n" + required +
		in + `  "properties": {` + "\n" + in + "    " + strings.Join(lines, ",\n"+in+"    ") + "\n" + in + "  }\n" + in + "}"
}

// chartType is what a value may be written as: leadstream reads numbers and
// lists from text as well, and a name may look like a number.
func chartType(kind reflect.Type) string {
	switch kind.Kind() { //nolint:exhaustive // the others are scalars
	case reflect.Slice:
		return `["array", "string", "integer"]`
	case reflect.Map:
		return `["object", "string"]`
	case reflect.Bool:
		return `["boolean", "string"]`
	}
	return `["string", "number"]`
}

// chartSecrets are the secrets that can be mounted as files.
func chartSecrets() string {
	var paths []string
	for _, s := range settings {
		if s.Secret {
			paths = append(paths, fmt.Sprintf("%q", s.Path))
		}
	}
	return "[" + strings.Join(paths, ", ") + "]"
}
