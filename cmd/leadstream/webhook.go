package main

import (
	"context"
	"fmt"
	"net/http"

	"leadstream/connector"
	"leadstream/internal/delivery"
	"leadstream/internal/web"
	"leadstream/internal/webhook"
)

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

// receive serves the webhook, on a listener of its own, until ctx ends.
func (s *system) receive(ctx context.Context) error {
	c := s.config
	if s.receiver == nil {
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle(webhook.Path, s.receiver)
	listener, err := web.NewListener("webhook.listen", c.Webhook.Listen, mux, s.log.Named("webhook"))
	if err != nil {
		return exitWith(exitUsage, err)
	}
	return listener.Run(ctx)
}
