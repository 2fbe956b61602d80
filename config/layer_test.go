package config

import "testing"

func TestEveryKeyCanComeFromTheEnvironment(t *testing.T) {
	samples := map[string]string{
		"linkedin.client_id": "my-app", "linkedin.organizations": "1, urn:li:organization:2", "kafka.tls.enabled": "true",
		"kafka.tls.ca_file": "ca.pem", "kafka.tls.cert_file": "c.pem", "kafka.tls.key_file": "k.pem", "kafka.tls.server_name": "kafka",
		"kafka.sasl.mechanism": "PLAIN", "kafka.sasl.username": "me", "kafka.topic_config": "retention.ms=1,cleanup.policy=compact,delete",
		"kafka.internal_topic_config": "segment.ms=3600000",
		"registry.url":                "https://registry.example.com", "registry.username": "me", "registry.ca_file": "ca.pem",
		"http.hosts": "leads.example.com,vm7.example.com:8480", "webhook.listen": ":8443", "webhook.url": "https://hooks.example.com",
	}
	var environ []string
	for _, k := range Keys() {
		value := k.Default
		switch {
		case k.Secret:
			value = planted
		case samples[k.Path] != "":
			value = samples[k.Path]
		}
		environ = append(environ, k.Env+"="+value)
	}
	c, warnings, err := Load(LoadOptions{NoFile: true, Environ: environ})
	if err != nil || len(warnings) != 0 {
		t.Fatalf("Load = %v, %v", warnings, err)
	}
	for i, v := range c.Values() {
		equal(t, "source of "+v.Key, v.Source, "environment "+Keys()[i].Env)
	}
	equal(t, "organizations", c.LinkedIn.Organizations, []string{"urn:li:organization:1", "urn:li:organization:2"})
	equal(t, "topic_config", c.Kafka.TopicConfig, map[string]string{"retention.ms": "1", "cleanup.policy": "compact,delete"})
}

func TestAnEmptyVariableCountsAsNotSet(t *testing.T) {
	c, warnings, err := Load(LoadOptions{NoFile: true, Environ: []string{"LEADSTREAM_NAME=", "LEADSTREAM_HTTP_PASSWORD="}})
	if err != nil || len(warnings) != 0 {
		t.Fatalf("Load = %v, %v", warnings, err)
	}
	equal(t, "name", c.Name, "leadstream")
}

func TestMapsOnOneLine(t *testing.T) {
	tests := []struct {
		text string
		want map[string]string
		bad  string
	}{
		{"a.b=1", map[string]string{"a.b": "1"}, ""},
		{" a.b = 1 , c.d = x=y ", map[string]string{"a.b": "1", "c.d": "x=y"}, ""},
		{"a.b=compact,delete,c.d=2", map[string]string{"a.b": "compact,delete", "c.d": "2"}, ""},
		{"", map[string]string{}, ""},
		{"compact", nil, "compact"},
		{"=1", nil, "=1"},
		{"a.b=1,a.b=2", nil, "a.b=2"},
	}
	for _, test := range tests {
		got, bad := splitPairs(test.text)
		equal(t, "pairs of "+test.text, got, test.want)
		equal(t, "bad part of "+test.text, bad, test.bad)
	}
}

func TestFlagValuesAreKeyEqualsValue(t *testing.T) {
	got, err := FlagValues([]string{"name=a", "registry.url=http://x/?a=b", "name=c"})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "flags", got, map[string]string{"name": "c", "registry.url": "http://x/?a=b"})
	for _, bad := range []string{"name", "=x", ""} {
		if _, err := FlagValues([]string{bad}); err == nil {
			t.Errorf("FlagValues(%q) took it", bad)
		}
	}
}

func TestNearestFindsTypos(t *testing.T) {
	for wrong, want := range map[string]string{
		"kafka.broker": "kafka.brokers", "brokers": "kafka.brokers", "pol.interval": "poll.interval",
		"Name": "name", "anme": "name", "client_id": "linkedin.client_id", "nothing.like.it": "", "": "",
	} {
		equal(t, "nearest to "+wrong, nearest(wrong, names()), want)
	}
}
