package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Example is a configuration file with every key, as a comment with its default. A
// value that nobody can know but its user stands in none of them: what is needed and
// not set is named, what was left as it is would not be.
func Example() string {
	var b strings.Builder
	b.WriteString(`# Configuration of leadstream. Every key, with its default.
# Each is an environment variable as well: kafka.brokers is LEADSTREAM_KAFKA_BROKERS.
# A flag beats the environment, the environment this file, this file the default.
# Durations have a unit: 15m, 36h, 7d. A key stands here once: change it where it is.
# linkedin.client_id, linkedin.client_secret and registry.url are needed. A secret is
# either given itself or in a file, which the key below it names.

`)
	var open []string // the sections that the line before stands in
	for _, s := range settings {
		parts := strings.Split(s.Path, ".")
		sections := parts[:len(parts)-1]
		for i, section := range sections {
			if i >= len(open) || open[i] != section {
				if i == 0 {
					b.WriteString("\n")
				}
				fmt.Fprintf(&b, "%s%s:\n", indent(i), section)
				open = nil
			}
		}
		open = sections
		s.writeExample(&b, indent(len(sections)), parts[len(parts)-1])
	}
	return b.String()
}

func indent(depth int) string { return strings.Repeat("  ", depth) }

// placeholder stands in the example for secrets, as a comment. Taken over as it is, it
// is refused where the secret is needed and warned of elsewhere: the file would look
// filled in until LinkedIn or Kafka refuses it.
const placeholder = "change-me"

func (s *setting) writeExample(b *strings.Builder, in, name string) {
	fmt.Fprintf(b, "%s# %s\n", in, s.explain())
	fmt.Fprintf(b, "%s#%s: %s\n", in, name, s.exampleValue())
	if s.Secret {
		fmt.Fprintf(b, "%s#%s%s: /run/secrets/%s\n", in, name, fileSuffix, strings.ReplaceAll(s.Path, ".", "_"))
	}
}

// samples are what the example shows for keys that have no default to show.
var samples = map[string]string{
	"linkedin.client_id":          "my-app",
	"linkedin.client_secret":      placeholder,
	"registry.url":                "http://localhost:8081",
	"linkedin.organizations":      "[2414183]",
	"token.passphrase":            placeholder,
	"kafka.tls.ca_file":           "/etc/leadstream/ca.pem",
	"kafka.tls.cert_file":         "/etc/leadstream/client.pem",
	"kafka.tls.key_file":          "/etc/leadstream/client.key",
	"kafka.tls.server_name":       "kafka.example.com",
	"kafka.sasl.mechanism":        "SCRAM-SHA-512",
	"kafka.sasl.username":         "leadstream",
	"kafka.sasl.password":         placeholder,
	"kafka.topic_config":          "{retention.ms: 31536000000}",
	"kafka.internal_topic_config": "{segment.ms: 3600000}",
	"registry.username":           "leadstream",
	"registry.password":           placeholder,
	"registry.ca_file":            "/etc/leadstream/ca.pem",
	"http.password":               placeholder,
	"webhook.listen":              ":8443",
	"webhook.url":                 "https://hooks.example.com/webhooks/linkedin",
}

func (s *setting) exampleValue() string {
	if sample, ok := samples[s.Path]; ok {
		return sample
	}
	if strings.Contains(s.Default, ",") || s.kind.Kind() == reflect.Slice {
		return "[" + strings.ReplaceAll(s.Default, ",", ", ") + "]"
	}
	return s.Default
}

// explain is the doc with bound and default where they say something.
func (s *setting) explain() string {
	text := s.Doc
	if s.Bound != "" && s.kind.Kind() != reflect.Bool {
		text += " (" + s.Bound + ")"
	}
	if s.Default != s.Shown && s.Shown != "" {
		text += " Default: " + s.Shown + "."
	}
	return text
}
