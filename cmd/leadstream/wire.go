package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"leadstream/config"
	"leadstream/connector"
	"leadstream/internal/check"
	"leadstream/internal/delivery"
	"leadstream/internal/kafka"
	"leadstream/internal/linkedin"
	"leadstream/internal/linkedinsim"
	"leadstream/internal/oauth"
	"leadstream/internal/status"
	"leadstream/internal/tail"
	"leadstream/internal/teardown"
	"leadstream/internal/web"
	"leadstream/internal/webhook"
	"leadstream/schema"
)

// transactionTimeout is how long the broker lets a transaction stay open: a
// process that died holds readers up for no longer.
const transactionTimeout = 15 * time.Second

// system is every part of the program, built from one configuration. Parts are
// constructed here and nowhere else; building does no network I/O.
type system struct {
	config   *config.Config
	log      *zap.Logger
	metrics  *prometheus.Registry
	cluster  *kafka.Client
	registry *schema.Registry
	session  *oauth.Session
	linkedin *linkedin.Client
	receiver *webhook.Receiver // of a connector that runs; nil without a webhook
	// reached: Kafka has answered since the start.
	reached atomic.Bool
}

// forLinkedIn are the settings without which LinkedIn's leads cannot be read.
var forLinkedIn = []string{"linkedin.client_id", "linkedin.client_secret", "registry.url"}

// system loads the configuration and makes the parts that a command which reads
// LinkedIn and Kafka needs.
func (a *app) system(use tokenUse) (*system, error) {
	c, log, err := a.load(forLinkedIn...)
	if err != nil {
		return nil, err
	}
	return build(c, use, log)
}

// kafkaAlone loads the configuration and makes the Kafka client of a command that needs no
// more.
func (a *app) kafkaAlone(required ...string) (*system, error) {
	c, log, err := a.load(required...)
	if err != nil {
		return nil, err
	}
	cluster, err := newCluster(c, log)
	return &system{config: c, log: log, cluster: cluster}, err
}

// connection loads the configuration and makes the connection to LinkedIn. Kafka is not
// asked for anything unless the tokens are there.
func (a *app) connection(use tokenUse) (*system, error) {
	s, err := a.kafkaAlone("linkedin.client_id", "linkedin.client_secret")
	if err != nil {
		return nil, err
	}
	s.session, err = newSession(s.config, newTokenStore(s.config, s.cluster, s.log), use, s.log)
	return s, err
}

func build(c *config.Config, use tokenUse, log *zap.Logger) (*system, error) {
	s := &system{config: c, log: log, metrics: prometheus.NewRegistry()}
	s.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo())
	var err error
	if s.cluster, err = newCluster(c, log); err != nil {
		return nil, err
	}
	if s.registry, err = newRegistry(c); err != nil {
		return nil, err
	}
	if s.session, err = newSession(c, newTokenStore(c, s.cluster, log), use, log); err != nil {
		return nil, err
	}
	s.linkedin, err = linkedin.New(linkedin.Options{
		APIURL: c.LinkedIn.APIURL, Version: c.LinkedIn.Version, Organizations: c.LinkedIn.Organizations,
		HTTP:        s.session.Transport(linkedin.NewTransport(c.Poll.Concurrency)),
		Concurrency: c.Poll.Concurrency, PageSize: c.Poll.PageSize, DailyBudget: c.LinkedIn.DailyBudget,
		Log: log.Named("linkedin"), Registerer: s.metrics,
	})
	if err != nil {
		return nil, fmt.Errorf("setting up the LinkedIn client: %w", err)
	}
	return s, nil
}

// close ends what there is of the parts.
func (s *system) close() {
	if s.session != nil {
		s.session.Close()
	}
	if s.registry != nil {
		s.registry.Close()
	}
	s.cluster.Close()
}

// newCluster is the Kafka cluster of the configuration.
func newCluster(c *config.Config, log *zap.Logger) (*kafka.Client, error) {
	k := kafka.Config{Brokers: c.Kafka.Brokers, ClientID: "leadstream-" + c.Name, Log: log.Named("kafka")}
	if c.Kafka.TLS.Enabled {
		if err := c.Readable("kafka.tls.ca_file", "kafka.tls.cert_file", "kafka.tls.key_file"); err != nil {
			return nil, exitWith(exitUsage, err)
		}
		k.TLS = &kafka.TLS{CAFile: c.Kafka.TLS.CAFile, CertFile: c.Kafka.TLS.CertFile, KeyFile: c.Kafka.TLS.KeyFile, ServerName: c.Kafka.TLS.ServerName}
	}
	if c.Kafka.SASL.Mechanism != "" {
		k.SASL = &kafka.SASL{Mechanism: c.Kafka.SASL.Mechanism, Username: c.Kafka.SASL.Username, Password: c.Kafka.SASL.Password.Reveal()}
	}
	cluster, err := kafka.New(k)
	if err != nil {
		return nil, exitWith(exitUsage, fmt.Errorf("setting up Kafka: %w", err))
	}
	return cluster, nil
}

// newRegistry is the schema registry of the configuration.
func newRegistry(c *config.Config) (*schema.Registry, error) {
	o := schema.RegistryOptions{URL: c.Registry.URL, Username: c.Registry.Username, Password: c.Registry.Password.Reveal()}
	if c.Registry.CAFile != "" {
		if err := c.Readable("registry.ca_file"); err != nil {
			return nil, exitWith(exitUsage, err)
		}
		var err error
		if o.TLS, err = schema.TLSFromCA(c.Registry.CAFile); err != nil {
			return nil, exitWith(exitUsage, fmt.Errorf("setting up the schema registry: %w", err))
		}
	}
	registry, err := schema.NewRegistry(o)
	if err != nil {
		return nil, exitWith(exitUsage, fmt.Errorf("setting up the schema registry: %w", err))
	}
	return registry, nil
}

// newTokenStore is where the configuration keeps the tokens. cluster is used
// by token.store kafka alone.
func newTokenStore(c *config.Config, cluster *kafka.Client, log *zap.Logger) oauth.Store {
	if c.Token.Store == "kafka" {
		records := delivery.NewTokens(delivery.Options{Cluster: cluster, Name: c.Name,
			ReplicationFactor: c.Kafka.ReplicationFactor, InternalTopicConfig: c.Kafka.InternalTopicConfig})
		return oauth.NewRecordStore(records, c.Token.Passphrase.Reveal(), log.Named("oauth")).For(c.Name)
	}
	return oauth.NewFileStore(c.Token.File, c.Token.Passphrase.Reveal()).For(c.Name, log.Named("oauth"))
}

// tokenUse is what a command does with the tokens.
type tokenUse bool

const (
	useTokens    tokenUse = false // renews and stores them as well
	lookAtTokens tokenUse = true  // leaves them as they are
)

// newSession is the connection to LinkedIn of the configuration.
func newSession(c *config.Config, store oauth.Store, use tokenUse, log *zap.Logger) (*oauth.Session, error) {
	session, err := oauth.New(oauth.Options{
		Installation: c.Name, ReadOnly: use == lookAtTokens,
		ClientID: c.LinkedIn.ClientID, ClientSecret: c.LinkedIn.ClientSecret.Reveal(),
		AuthURL: c.LinkedIn.AuthURL, RedirectURL: c.LinkedIn.RedirectURL, Scopes: c.LinkedIn.Scopes,
		Store: store, Log: log.Named("oauth"),
	})
	if err != nil {
		return nil, exitWith(exitUsage, err)
	}
	return session, nil
}

// newConnector is the connector over the system's parts. base holds what the
// command's flags decide.
func (s *system) newConnector(base connector.Options) *connector.Connector {
	c := s.config
	choice := schema.Choice(c.Schema.MultipleChoice)
	base.LinkedIn, base.Registry, base.Store = s.linkedin, s.registry, s.newStore
	base.Requests = func() json.RawMessage {
		counters, err := json.Marshal(s.linkedin.Counters())
		if err != nil {
			s.log.Error("the request counters cannot be kept; after a restart they begin at 0", zap.Error(err), zap.String("todo", "report this: it is a defect of leadstream"))
			return nil
		}
		return counters
	}
	base.RestoreRequests = s.restore
	base.Organizations, base.LeadTypes = c.LinkedIn.Organizations, c.LinkedIn.LeadTypes
	base.Interval, base.Discovery = c.Poll.Interval, c.Poll.DiscoveryInterval
	base.Lookback, base.Backfill, base.Concurrency = c.Poll.Lookback, c.Poll.Backfill, c.Poll.Concurrency
	base.Choice, base.Process = choice, processID()
	base.Metrics, base.Log = connector.NewMetrics(s.metrics), s.log.Named("connector")
	return connector.New(s.notified(base))
}

// notified completes what the connector is told about LinkedIn's notifications,
// where the configuration has any.
func (s *system) notified(o connector.Options) connector.Options {
	if s.config.Webhook.Listen == "" {
		return o
	}
	o.DeletionLog = delivery.NewDeletionLog(s.storeOptions())
	o.Webhook, o.Subscriber = webhook.Address(s.config.Webhook.URL), s.linkedin
	return o
}

// newReceiver is the webhook of the configuration, nil without one.
func (s *system) newReceiver(work *connector.Connector) (*webhook.Receiver, error) {
	c := s.config
	if c.Webhook.Listen == "" {
		return nil, nil
	}
	receiver, err := webhook.New(webhook.Options{
		Secret: c.LinkedIn.ClientSecret.Reveal(), AnySignature: c.Webhook.Signature == "any",
		Handle: work.Notify, Registerer: s.metrics, Log: s.log.Named("webhook"),
	})
	if err != nil {
		return nil, fmt.Errorf("setting up the webhook: %w", err)
	}
	return receiver, nil
}

func (s *system) newWebhookListener() (*web.Listener, error) {
	mux := http.NewServeMux()
	mux.Handle(webhook.Path, s.receiver)
	listener, err := web.NewListener("webhook.listen", s.config.Webhook.Listen, mux, s.log.Named("webhook"))
	if err != nil {
		return nil, exitWith(exitUsage, err)
	}
	return listener, nil
}

// newStore is the store of a new producer epoch.
func (s *system) newStore() *delivery.Store {
	return delivery.New(s.storeOptions())
}

func (s *system) storeOptions() delivery.Options {
	k := s.config.Kafka
	return delivery.Options{
		Cluster: s.cluster, Producer: s.cluster.NewProducer(s.config.Name, transactionTimeout),
		Name: s.config.Name, Prefix: k.TopicPrefix, Partitions: k.Partitions, ReplicationFactor: k.ReplicationFactor,
		TopicConfig: k.TopicConfig, InternalTopicConfig: k.InternalTopicConfig, Adopt: k.AdoptTopics, Lookback: s.config.Poll.Lookback, Log: s.log.Named("delivery"),
	}
}

// checkParts are the parts that a check asks.
func (s *system) checkParts(warnings []config.Warning, at func(what string, done, total int)) check.Parts {
	return check.Parts{
		Config: s.config, Warnings: warnings, Cluster: s.cluster, Trial: s.cluster.NewProducer(check.TrialID(s.config.Name), transactionTimeout),
		Registry: s.registry, Session: s.session, LinkedIn: s.linkedin, Store: s.storeOptions(), State: s.state, At: at,
	}
}

// forTeardown makes the parts that know what there is to remove.
func (a *app) forTeardown(choice teardown.Choice, required []string) (*system, error) {
	s, err := a.kafkaAlone(required...)
	switch {
	case err != nil:
	case choice.Webhooks && s.config.Webhook.URL != "":
		s.cluster.Close()
		return build(s.config, useTokens, s.log)
	case choice.Schemas:
		s.registry, err = newRegistry(s.config)
	}
	return s, err
}

func (s *system) teardownParts() teardown.Parts {
	return teardown.Parts{
		Config: s.config, Cluster: s.cluster, Registry: s.registry, LinkedIn: s.linkedin,
		Store: newTokenStore(s.config, s.cluster, zap.NewNop()), StoredIn: tokenPlace(s.config), State: s.state,
	}
}

// newConsumer follows what the installation publishes.
func (s *system) newConsumer() *tail.Consumer {
	return tail.New(s.cluster, s.registry, s.config.Name, s.config.Kafka.TopicPrefix)
}

// newHeartbeat looks after the connection of s. regained is called when a
// person has recovered it.
func (s *system) newHeartbeat(regained func()) *oauth.Heartbeat {
	return oauth.NewHeartbeat(s.session, oauth.HeartbeatOptions{
		Every: s.config.Poll.DiscoveryInterval,
		Fallbacks: []oauth.Fallback{
			{Name: linkedin.EndpointMe, Ask: s.linkedin.Me},
			{Name: linkedin.EndpointRoles, Ask: s.linkedin.AnyRole},
		},
		Page: pageAddress(s.config), Regained: regained, Log: s.log.Named("oauth"),
	})
}

// newViewer looks at the parts for the page and the probes.
func (s *system) newViewer(work *connector.Connector, heartbeat *oauth.Heartbeat) *status.Viewer {
	return status.New(s.statusParts(work, heartbeat))
}

func (s *system) statusParts(work *connector.Connector, heartbeat *oauth.Heartbeat) status.Parts {
	return status.Parts{
		Config: s.config, Cluster: s.cluster, Registry: s.registry, LinkedIn: s.linkedin, Receiver: s.receiver,
		Work: work, Beat: heartbeat, Reached: s.reached.Load, Process: processID(), Version: readBuild().Version,
	}
}

// newServer serves the page, the probes and the metrics.
func (s *system) newServer(v *status.Viewer, consent web.Consent) (*web.Server, error) {
	server, err := web.New(web.Options{
		Installation: s.config.Name, Hosts: s.hosts(),
		Listen: s.config.HTTP.Listen, Password: s.config.HTTP.Password.Reveal(),
		RedirectURL: s.config.LinkedIn.RedirectURL, AuthURL: s.config.LinkedIn.AuthURL,
		View: v.View, Ready: v.Ready,
		Consent: consent,
		Metrics: promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{}), Log: s.log.Named("http"),
	})
	if err != nil {
		return nil, exitWith(exitUsage, err)
	}
	return server, nil
}

// newSimulation is a simulated LinkedIn with the server for it.
func newSimulation(world linkedinsim.Config) (*linkedinsim.Server, *http.Server, error) {
	sim, err := linkedinsim.New(world)
	if err != nil {
		return nil, nil, worldError(err)
	}
	return sim, &http.Server{Handler: sim, ReadHeaderTimeout: 10 * time.Second}, nil
}

// newSimulatedSession is the connection of a member to the simulated LinkedIn at that
// address, whose tokens are kept in a file.
func newSimulatedSession(file string, c *config.Config, d linkedinsim.Description, address string) (*oauth.Session, error) {
	session, err := oauth.New(oauth.Options{
		ClientID: d.ClientID, ClientSecret: d.ClientSecret,
		AuthURL: address, RedirectURL: c.LinkedIn.RedirectURL, Scopes: c.LinkedIn.Scopes,
		Store: oauth.NewFileStore(file, c.Token.Passphrase.Reveal()),
	})
	if err != nil {
		return nil, exitWith(exitUsage, err)
	}
	return session, nil
}
