package main

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"leadstream/config"
)

// TestATransactionOfADeadProcessEndsAfterFifteenSeconds: for as long it holds up
// whoever reads committed records.
func TestATransactionOfADeadProcessEndsAfterFifteenSeconds(t *testing.T) {
	broker, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	asked := make(chan time.Duration, 1)
	broker.ControlKey(int16(kmsg.InitProducerID), func(req kmsg.Request) (kmsg.Response, error, bool) {
		asked <- time.Duration(req.(*kmsg.InitProducerIDRequest).TransactionTimeoutMillis) * time.Millisecond
		return nil, nil, false
	})
	c, _, err := config.Load(config.LoadOptions{NoFile: true, Environ: []string{
		"LEADSTREAM_LINKEDIN_CLIENT_ID=id", "LEADSTREAM_LINKEDIN_CLIENT_SECRET=secret",
		"LEADSTREAM_KAFKA_BROKERS=" + strings.Join(broker.ListenAddrs(), ","), "LEADSTREAM_REGISTRY_URL=http://localhost:1",
	}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := build(c, useTokens, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	if err := s.storeOptions().Producer.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-asked; got != 15*time.Second {
		t.Errorf("the transaction timeout is %s, want 15s", got)
	}
}
