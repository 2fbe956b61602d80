package config

import (
	"net"
	"net/url"
)

// cross checks values against each other; all of them are good by themselves.
func (c *Config) cross(p *problems) []Warning {
	c.crossToken(p)
	c.crossTLS(p)
	c.crossLogins(p)
	c.crossWebhook(p)
	return c.doubts()
}

func (c *Config) crossToken(p *problems) {
	if c.Token.Store == "kafka" && !c.Token.Passphrase.IsSet() {
		p.add("token.passphrase", "", "is needed when token.store is kafka: whoever may read the checkpoint topic could read the tokens", "")
	}
}

func (c *Config) crossTLS(p *problems) {
	t := c.Kafka.TLS
	if (t.CertFile == "") != (t.KeyFile == "") {
		p.add("kafka.tls.cert_file", t.CertFile, "goes together with kafka.tls.key_file: set both or neither", c.origins["kafka.tls.cert_file"])
	}
	if t.Enabled {
		return
	}
	for _, key := range []string{"kafka.tls.ca_file", "kafka.tls.cert_file", "kafka.tls.key_file", "kafka.tls.server_name"} {
		if where := c.origins[key]; where != "" {
			p.add(key, "", "has no effect while kafka.tls.enabled is false: set that to true, or take this out", where)
		}
	}
}

// crossLogins wants user and password together, and a mechanism with them.
func (c *Config) crossLogins(p *problems) {
	s := c.Kafka.SASL
	if s.Mechanism == "" && (s.Username != "" || s.Password.IsSet()) {
		p.add("kafka.sasl.mechanism", "", "is needed with kafka.sasl.username and kafka.sasl.password: one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512", "")
	}
	if s.Mechanism != "" {
		c.needed(p, "kafka.sasl.username", s.Username != "", "kafka.sasl.mechanism")
		c.needed(p, "kafka.sasl.password", s.Password.IsSet(), "kafka.sasl.mechanism")
	}
	r := c.Registry
	if r.Username != "" {
		c.needed(p, "registry.password", r.Password.IsSet(), "registry.username")
	}
	if r.Password.IsSet() {
		c.needed(p, "registry.username", r.Username != "", "registry.password")
	}
}

func (c *Config) crossWebhook(p *problems) {
	w := c.Webhook
	if w.URL != "" {
		c.needed(p, "webhook.listen", w.Listen != "", "webhook.url")
	}
	if w.Listen != "" {
		c.needed(p, "webhook.url", w.URL != "", "webhook.listen")
	}
	if _, port, err := net.SplitHostPort(w.Listen); err == nil && port != "0" && w.Listen == c.HTTP.Listen {
		p.add("webhook.listen", w.Listen, "must not be http.listen: what LinkedIn reaches is kept apart from the status page", c.origins["webhook.listen"])
	}
}

func (c *Config) needed(p *problems, key string, is bool, because string) {
	if !is {
		p.add(key, "", "is needed with "+because, "")
	}
}

// doubts are settings that work but are probably not meant.
func (c *Config) doubts() []Warning {
	var out []Warning
	host, _, err := net.SplitHostPort(c.HTTP.Listen)
	if err == nil && !isLoopback(host) && !c.HTTP.Password.IsSet() {
		out = append(out, Warning{"http.listen", c.HTTP.Listen + " is reachable from other machines and http.password is not set: only /healthz, /readyz and /metrics are served there"})
	}
	if c.Kafka.SASL.Mechanism == "PLAIN" && !c.Kafka.TLS.Enabled {
		out = append(out, Warning{"kafka.sasl.mechanism", "PLAIN without kafka.tls.enabled sends the password readable over the network"})
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

// readable reports whether what is sent to address crosses a network without
// encryption.
func readable(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "http" && !isLoopback(u.Hostname())
}
