package kafka

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strconv"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"github.com/twmb/franz-go/pkg/kversion"
	"golang.org/x/sync/errgroup"
)

// Broker is one broker of the cluster, as the cluster advertises it.
type Broker struct {
	ID      int
	Address string // host:port
	// Version is about which release of Apache Kafka it is, guessed from the
	// requests that it serves: a broker does not tell. Empty with Err.
	Version string
	// Lacks are the requests of ours that it does not serve.
	Lacks []string
	// Err is why it cannot be reached from here: *UnreachableError or
	// *AuthenticationError; nil when it was.
	Err error
}

// required are the requests that delivery rests on, each with the version that
// is used. Kafka has all of them from 2.3 on.
var required = []struct {
	key     protocol.ApiKey
	version int16
}{
	{protocol.Produce, 3}, {protocol.Fetch, fetchVersion}, {protocol.InitProducerId, 0},
	{protocol.AddPartitionsToTxn, 0}, {protocol.EndTxn, 0}, {protocol.DescribeConfigs, 0},
}

// askedAtOnce bounds the connections made at once to brokers that a cluster names.
const askedAtOnce = 16

// Brokers are the brokers of the cluster, by id. Each is asked at the address
// that the cluster advertises, which may be another than the configured ones
// and out of reach.
func (a *Admin) Brokers(ctx context.Context) ([]Broker, error) {
	var brokers []Broker
	err := a.retry(ctx, "asking for the brokers", func(ctx context.Context) error {
		msg, err := a.askAny(ctx, &metadata.Request{TopicNames: []string{}})
		if err != nil {
			return err
		}
		brokers = nil
		for _, b := range msg.(*metadata.Response).Brokers {
			brokers = append(brokers, Broker{ID: int(b.NodeID), Address: net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var asking errgroup.Group
	asking.SetLimit(askedAtOnce)
	for i := range brokers {
		asking.Go(func() error {
			a.setBroker(ctx, &brokers[i])
			return nil
		})
	}
	_ = asking.Wait() // each broker has its own error
	slices.SortFunc(brokers, func(a, b Broker) int { return cmp.Compare(a.ID, b.ID) })
	return brokers, nil
}

// setBroker asks a broker what it serves.
func (a *Admin) setBroker(ctx context.Context, b *Broker) {
	msg, err := a.pool.exchange(ctx, b.Address, &versionsRequest{clientID: a.pool.dialer.clientID})
	if err == nil && msg.(*versionsResponse).code != 0 {
		err = &codeError{op: "asking for the broker's versions", code: msg.(*versionsResponse).code}
	}
	if err != nil {
		b.Err = settled("reaching broker "+strconv.Itoa(b.ID), err)
		return
	}
	var served kversion.Versions
	for _, r := range msg.(*versionsResponse).served {
		served.SetMaxKeyVersion(int16(r.key), r.highest)
	}
	b.Version = served.VersionGuess()
	for _, r := range required {
		if most, ok := served.LookupMaxKeyVersion(int16(r.key)); !ok || most < r.version {
			b.Lacks = append(b.Lacks, r.key.String()+" version "+strconv.Itoa(int(r.version)))
		}
	}
}
