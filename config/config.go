// Package config is what an operator can set: the keys, their defaults and
// bounds, and how a value is found. A value comes from a flag, else from an
// environment variable, else from a YAML file, else it is the default.
//
// The struct tags of Config are the only list of the keys: loading,
// validation, the example file, the table of the documentation and the
// output of "leadstream config" are all made from them.
//
// Every secret has a twin with the suffix _file that names a file to read it
// from. No error, warning or output of this package holds a secret.
package config

import "time"

// Config is the whole configuration. Load makes it; after that it is only
// read, and safe for concurrent use.
type Config struct {
	Name     string   `key:"name" default:"leadstream" rule:"name" doc:"Names the installation: its internal topics, transactional id and consumer group. Stands on every record."`
	LinkedIn LinkedIn `key:"linkedin"`
	Token    Token    `key:"token"`
	Poll     Poll     `key:"poll"`
	Kafka    Kafka    `key:"kafka"`
	Registry Registry `key:"registry"`
	Schema   Schema   `key:"schema"`
	HTTP     HTTP     `key:"http"`
	Webhook  Webhook  `key:"webhook"`
	Log      Log      `key:"log"`

	origins map[string]string
}

// LinkedIn is the app at LinkedIn and what is read with it.
type LinkedIn struct {
	ClientID     string `key:"client_id" doc:"Client id of the LinkedIn app."`
	ClientSecret Secret `key:"client_secret" doc:"Client secret of the LinkedIn app."`
	RedirectURL  string `key:"redirect_url" default:"http://localhost:8480/oauth/callback" rule:"redirect" doc:"Where LinkedIn sends the browser after consent, exactly as registered with the app."`
	APIURL       string `key:"api_url" default:"https://api.linkedin.com" rule:"url" doc:"Base of the API; REST is under its /rest and /v2."`
	AuthURL      string `key:"auth_url" default:"https://www.linkedin.com" rule:"url" doc:"Base of consent and tokens, which are under its /oauth/v2."`
	Version      string `key:"version" default:"202607" rule:"version" doc:"LinkedIn-Version header of every request."`
	// Organizations are URNs after Load, whichever way they were written, each once.
	Organizations []string `key:"organizations" rule:"organization" shows:"all administered" doc:"Restrict to these organizations, by id or URN."`
	LeadTypes     []string `key:"lead_types" default:"EVENT" rule:"lead_type" doc:"Types of lead to read."`
	Scopes        []string `key:"scopes" default:"r_marketing_leadgen_automation,r_events,r_organization_admin" rule:"scope" doc:"Scopes to ask consent for."`
	// DailyBudget is 0 when there is no bound.
	DailyBudget int `key:"daily_budget" default:"0" min:"0" max:"100000000" shows:"none" doc:"Most requests per UTC day and endpoint, over all organizations and restarts; 0 is no bound."`
}

// Token is where the tokens of the consent are kept.
type Token struct {
	Store      string `key:"store" default:"file" oneof:"file kafka" doc:"file, or kafka: in the checkpoint topic, for sidecars without a disk and for standbys; kafka needs the passphrase."`
	File       string `key:"file" default:"leadstream-token" rule:"path" doc:"The token file, mode 0600."`
	Passphrase Secret `key:"passphrase" doc:"Encrypts the tokens with age."`
}

// Poll is how often and how far LinkedIn is read.
type Poll struct {
	Interval          time.Duration `key:"interval" default:"1m" min:"1s" max:"24h" doc:"Between polls of one source (owner, lead type)."`
	DiscoveryInterval time.Duration `key:"discovery_interval" default:"15m" min:"1s" max:"24h" doc:"Between looks for organizations, events and forms."`
	Lookback          time.Duration `key:"lookback" default:"168h" min:"1m" max:"8760h" doc:"How late a lead may appear in the API and still be found by itself (certain up to a third of it)."`
	Backfill          time.Duration `key:"backfill" default:"8760h" min:"0s" max:"8760h" doc:"How far back the first start reads; LinkedIn keeps leads for 365 days."`
	PageSize          int           `key:"page_size" default:"100" min:"10" max:"100" doc:"Leads asked for per request."`
	Concurrency       int           `key:"concurrency" default:"4" min:"1" max:"64" doc:"API requests under way at once."`
}

// Kafka is the cluster and the topics made in it.
type Kafka struct {
	Brokers     []string `key:"brokers" default:"localhost:9092" rule:"hostport" doc:"Addresses to reach the cluster by."`
	TLS         TLS      `key:"tls"`
	SASL        SASL     `key:"sasl"`
	TopicPrefix string   `key:"topic_prefix" default:"linkedin.leads." rule:"prefix" doc:"A lead topic is this prefix and the form's id."`
	Partitions  int      `key:"partitions" default:"1" min:"1" max:"10000" doc:"Partitions of the lead topics that leadstream creates."`
	// ReplicationFactor is -1 for the broker's default, as in Kafka's protocol.
	ReplicationFactor int               `key:"replication_factor" default:"-1" min:"1" max:"1000" also:"-1" shows:"broker default" doc:"Replicas of the topics that leadstream creates; -1 is the broker's default."`
	TopicConfig       map[string]string `key:"topic_config" rule:"topic_config" doc:"Further settings of the lead topics that leadstream creates, by Kafka's names."`
	// InternalTopicConfig never holds cleanup.policy: progress depends on it.
	InternalTopicConfig map[string]string `key:"internal_topic_config" rule:"internal_topic_config" doc:"Further settings of the topics that leadstream creates for itself, by Kafka's names."`
	AdoptTopics         bool              `key:"adopt_topics" default:"false" doc:"Publish to a topic that holds another installation's leads."`
}

// TLS secures the connections to Kafka.
type TLS struct {
	Enabled    bool   `key:"enabled" default:"false" doc:"Use TLS to reach the brokers."`
	CAFile     string `key:"ca_file" rule:"path" shows:"system's" doc:"Certificates (PEM) of the authorities to trust."`
	CertFile   string `key:"cert_file" rule:"path" doc:"Client certificate (PEM)."`
	KeyFile    string `key:"key_file" rule:"path" doc:"Key (PEM) of the client certificate."`
	ServerName string `key:"server_name" shows:"broker's host" doc:"Name to expect in the brokers' certificates."`
}

// SASL is how leadstream says who it is to Kafka; off without a mechanism.
type SASL struct {
	Mechanism string `key:"mechanism" oneof:"PLAIN SCRAM-SHA-256 SCRAM-SHA-512" shows:"off" doc:"Mechanism of the log-in."`
	Username  string `key:"username" doc:"User of the log-in."`
	Password  Secret `key:"password" doc:"Password of the log-in."`
}

// Registry is the schema registry.
type Registry struct {
	URL      string `key:"url" rule:"url" doc:"Any registry with the Confluent API; a path is allowed."`
	Username string `key:"username" doc:"User for basic authentication."`
	Password Secret `key:"password" doc:"Password for basic authentication."`
	CAFile   string `key:"ca_file" rule:"path" shows:"system's" doc:"Certificates (PEM) of the authorities to trust."`
}

// Schema is what a form's schema looks like where there is a choice.
type Schema struct {
	MultipleChoice string `key:"multiple_choice" default:"array" oneof:"array joined" doc:"array, or joined: one string, for JDBC sinks. Binds when a form's schema is first registered."`
}

// HTTP is the listener for people, probes and Prometheus.
type HTTP struct {
	Listen string `key:"listen" default:"127.0.0.1:8480" rule:"listen" doc:"Health, metrics, status page and OAuth callback."`
	// Hosts are the names by which it may be asked in addition to those that always count.
	Hosts    []string `key:"hosts" rule:"host" shows:"none" doc:"Further names by which it may be asked, besides addresses, localhost, the machine's name and the host of linkedin.redirect_url."`
	Password Secret   `key:"password" doc:"For the page, /api and /oauth. Without it these are served on loopback only, and beyond loopback just /healthz, /readyz and /metrics."`
}

// Webhook is the listener for LinkedIn's notifications; off without an address.
type Webhook struct {
	Listen    string `key:"listen" rule:"listen" shows:"off" doc:"Separate listener for LinkedIn's notifications."`
	URL       string `key:"url" rule:"webhook" shows:"off" doc:"Its public HTTPS address, as LinkedIn reaches it. Without a path it is /webhooks/linkedin there."`
	Signature string `key:"signature" default:"documented" oneof:"documented any" doc:"Which signatures of deliveries to take: the documented form alone, or any that was seen in use."`
}

// Log is what is written to standard error.
type Log struct {
	Level  string `key:"level" default:"info" oneof:"debug info warn error" doc:"Least level that is written."`
	Format string `key:"format" default:"auto" oneof:"auto console json" doc:"auto is console on a terminal, else json."`
}

// Default is the configuration when nothing is set.
func Default() *Config {
	c, _ := resolve(layer{}) // a test holds the defaults to their own bounds
	return c
}
