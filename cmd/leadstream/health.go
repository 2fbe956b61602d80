package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout is how long a probe waits; orchestrators ask every few seconds.
const healthTimeout = 3 * time.Second

// newHealth is "leadstream health", the probe for containers: the image holds
// nothing else that could make an HTTP request.
func newHealth(a *app) *cobra.Command {
	var other string
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a running connector whether it is alive, for container health checks",
		Long: `Asks /healthz of the connector that runs with this configuration, on this
machine. Ends with 0 when it answers 200, else with 5.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			address := other
			if err := askable(other); cmd.Flags().Changed("url") && err != nil {
				return err
			}
			if address == "" {
				c, _, err := a.readConfig()
				if err != nil {
					return err
				}
				if address, err = localURL(c.HTTP.Listen); err != nil {
					return err
				}
				address += "/healthz"
			}
			return probe(cmd.Context(), address)
		},
	}
	cmd.Flags().StringVar(&other, "url", "", "another `URL` to ask (default /healthz on http.listen)")
	return cmd
}

// askable refuses what is no URL to ask over HTTP.
func askable(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return usageErrorf("--url is %q, must be an http or https URL, as http://localhost:8480/healthz", address)
	}
	return nil
}

// localURL is where a listener's own machine reaches it over HTTP.
func localURL(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("reading the address of the listener: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

func probe(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return usageErrorf("reading the URL to ask: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return exitWith(exitUnreachable, fmt.Errorf("asking for health: %w", err))
	}
	_, read := io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	if err := errors.Join(read, response.Body.Close()); err != nil {
		return exitWith(exitUnreachable, fmt.Errorf("reading the answer of %s: %w", address, err))
	}
	if response.StatusCode != http.StatusOK {
		return exitWith(exitUnreachable, fmt.Errorf("%s answered %s", address, response.Status))
	}
	return nil
}
