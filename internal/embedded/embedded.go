// Package embedded runs Kafka and a schema registry inside this process, in
// memory and on loopback only, for "leadstream demo" and for tests. They
// speak the real protocols over real connections, but they are fakes (kfake
// and srfake of franz-go): kfake answers a zombie producer differently than
// Apache Kafka does and never asks anyone to wait, and srfake accepts every
// schema as compatible. What depends on such things is tested on the real
// ones. Everything is gone after Close.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Stack is a running Kafka and registry.
type Stack struct {
	// Brokers are the addresses to give to a Kafka client, host:port.
	Brokers []string
	// RegistryURL is the base address of the registry.
	RegistryURL string

	kafka    *kfake.Cluster
	schemas  *Registry
	registry *http.Server
	serving  sync.WaitGroup
	served   error // why serving ended; read after serving is done
	close    sync.Once
	closed   error
}

// Start brings both up, Kafka with so many brokers; when it returns nil they take
// connections. ctx bounds the start only. The caller must Close the Stack.
func Start(ctx context.Context, brokers int) (*Stack, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the embedded registry: %w", err)
	}
	kafka, err := kfake.NewCluster(
		kfake.NumBrokers(brokers),
		kfake.DefaultNumPartitions(1),                // as Apache Kafka's num.partitions
		kfake.GroupMinSessionTimeout(time.Second),    // tests of a takeover need not wait for 6 s
		kfake.ClusterID("leadstream-embedded-kafka"), // so that a look at it tells what it is
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the embedded Kafka: %w", err), listener.Close())
	}
	schemas := NewRegistry()
	s := &Stack{
		Brokers:     kafka.ListenAddrs(),
		RegistryURL: "http://" + listener.Addr().String(),
		kafka:       kafka,
		schemas:     schemas,
		registry: &http.Server{
			Handler:           schemas,
			ReadHeaderTimeout: 10 * time.Second,
		},
	}
	s.serving.Go(func() { s.served = s.registry.Serve(listener) })
	return s, nil
}

// ForgetSchemas has the registry begin anew, empty, as one that was rebuilt.
func (s *Stack) ForgetSchemas() { s.schemas.Forget() }

// Close stops both and returns when they are gone, also when it is called
// again. It is safe for concurrent use.
func (s *Stack) Close() error {
	s.close.Do(func() {
		s.kafka.Close()
		s.closed = s.registry.Close()
		s.serving.Wait()
		if !errors.Is(s.served, http.ErrServerClosed) {
			s.closed = errors.Join(s.closed, s.served)
		}
	})
	if s.closed != nil {
		return fmt.Errorf("stopping the embedded registry: %w", s.closed)
	}
	return nil
}
