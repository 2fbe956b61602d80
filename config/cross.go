package config

import (
	"net"
	"net/url"
	"strconv"
)

// crossing checks values against each other. A value that is not good by itself
// is left at its zero, and nothing is said of what it might have been.
type crossing struct {
	*Config
	found *problems
	bad   map[string]bool // keys whose own value is not good
}

// cross adds to p, which holds what is wrong with single values, what is wrong
// with several together.
func (c *Config) cross(p *problems) {
	x := crossing{Config: c, found: p, bad: map[string]bool{}}
	for _, problem := range *p {
		x.bad[problem.Key] = true
		if s, twin := find(problem.Key); twin {
			x.bad[s.Path] = true
		}
	}
	x.token()
	x.tls()
	x.logins()
	x.webhook()
}

func (x *crossing) token() {
	if x.Token.Store == "kafka" && !x.Token.Passphrase.IsSet() && !x.bad["token.passphrase"] {
		x.found.add("token.passphrase", "", "is needed when token.store is kafka: whoever may read the checkpoint topic could read the tokens", "")
	}
}

func (x *crossing) tls() {
	const certKey, keyKey = "kafka.tls.cert_file", "kafka.tls.key_file"
	t := x.Kafka.TLS
	if (t.CertFile == "") != (t.KeyFile == "") && !x.bad[certKey] && !x.bad[keyKey] {
		x.found.add(certKey, t.CertFile, "goes together with "+keyKey+": set both or neither", x.origins[certKey])
	}
	if t.Enabled || x.bad["kafka.tls.enabled"] {
		return
	}
	for _, key := range []string{"kafka.tls.ca_file", certKey, keyKey, "kafka.tls.server_name"} {
		if where := x.origins[key]; where != "" {
			x.found.add(key, "", "has no effect while kafka.tls.enabled is false: set that to true, or take this out", where)
		}
	}
}

// logins wants user and password together, and a mechanism with them.
func (x *crossing) logins() {
	s := x.Kafka.SASL
	if s.Mechanism == "" && (s.Username != "" || s.Password.IsSet()) && !x.bad["kafka.sasl.mechanism"] {
		x.found.add("kafka.sasl.mechanism", "", "is needed with kafka.sasl.username and kafka.sasl.password: one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512", "")
	}
	if s.Mechanism != "" {
		x.needed("kafka.sasl.username", s.Username != "", "kafka.sasl.mechanism")
		x.needed("kafka.sasl.password", s.Password.IsSet(), "kafka.sasl.mechanism")
	}
	r := x.Registry
	if r.Username != "" {
		x.needed("registry.password", r.Password.IsSet(), "registry.username")
	}
	if r.Password.IsSet() {
		x.needed("registry.username", r.Username != "", "registry.password")
	}
}

func (x *crossing) webhook() {
	w := x.Webhook
	if w.URL != "" {
		x.needed("webhook.listen", w.Listen != "", "webhook.url")
	}
	if w.Listen != "" {
		x.needed("webhook.url", w.URL != "", "webhook.listen")
	}
	if _, port, err := net.SplitHostPort(w.Listen); err == nil && port != "0" && w.Listen == x.HTTP.Listen {
		x.found.add("webhook.listen", w.Listen, "must not be http.listen: what LinkedIn reaches is kept apart from the status page", x.origins["webhook.listen"])
	}
}

// needed reports a key that is not set and has to be. One that was set to
// something bad has been reported already.
func (x *crossing) needed(key string, is bool, because string) {
	if !is && !x.bad[key] {
		x.found.add(key, "", "is needed with "+because, "")
	}
}

// doubts are settings that work but are probably not meant. All values are good.
func (c *Config) doubts() []Warning {
	var out []Warning
	host, _, err := net.SplitHostPort(c.HTTP.Listen)
	if err == nil && !isLoopback(host) && !c.HTTP.Password.IsSet() {
		out = append(out, Warning{"http.listen", c.HTTP.Listen + " is reachable from other machines and http.password is not set: only /healthz, /readyz and /metrics are served there"})
	}
	if c.Kafka.SASL.Mechanism == "PLAIN" && !c.Kafka.TLS.Enabled {
		out = append(out, Warning{"kafka.sasl.mechanism", "PLAIN without kafka.tls.enabled sends the password readable over the network"})
	}
	for i := range settings {
		if s := &settings[i]; c.origins[s.Path] != "" && c.text(s) == placeholder {
			out = append(out, Warning{s.Path, "is still what the example has: put your own in its place"})
		}
	}
	if text := c.shortTombstones(); text != "" {
		out = append(out, Warning{"kafka.topic_config", text})
	}
	if readable(c.LinkedIn.APIURL) {
		out = append(out, Warning{"linkedin.api_url", c.LinkedIn.APIURL + " is not https: tokens are readable on the network"})
	}
	if readable(c.LinkedIn.AuthURL) {
		out = append(out, Warning{"linkedin.auth_url", c.LinkedIn.AuthURL + " is not https: tokens are readable on the network"})
	}
	if c.Registry.Password.IsSet() && readable(c.Registry.URL) {
		out = append(out, Warning{"registry.url", c.Registry.URL + " is not https: registry.password is readable on the network"})
	}
	return out
}

// shortTombstones says so when the topics are to forget deletions before the
// look-back has passed: it would then publish anew what was deleted.
func (c *Config) shortTombstones() string {
	set, given := c.Kafka.TopicConfig["delete.retention.ms"]
	ms, err := strconv.ParseInt(set, 10, 64)
	if !given || err != nil || ms < 0 || ms >= c.Poll.Lookback.Milliseconds() { // what is no number Kafka refuses
		return ""
	}
	return "delete.retention.ms (" + set + ") is shorter than poll.lookback (" + strconv.FormatInt(c.Poll.Lookback.Milliseconds(), 10) +
		"): leads that are deleted in a topic may come back"
}

// readable reports whether what is sent to address crosses a network without
// encryption.
func readable(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "http" && !isLoopback(u.Hostname())
}
