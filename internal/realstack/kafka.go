package realstack

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// KafkaOptions changes how a broker runs. The zero value is a broker that
// keeps everything it is given, creates no topic by itself and has one
// PLAINTEXT listener.
type KafkaOptions struct {
	Jars string // directory of EnvJars
	Dir  string // for configuration, data and log; exists
	// Properties are added to the server's and win over them.
	Properties map[string]string
	// QuickRestart has a broker that was killed come back in seconds instead of
	// half a minute: the controller waits for the session of its earlier life
	// to end. On a loaded machine such a broker may lose its session for want
	// of a heartbeat, so it is for tests that kill.
	QuickRestart bool
	// Listeners are further ones: name to security protocol (SASL_PLAINTEXT,
	// SSL, SASL_SSL).
	Listeners map[string]string
	// Advertised is the host:port that clients of a listener are told to use,
	// where it is not the broker's own: something stands in between.
	Advertised map[string]string
	// SCRAM users to create: mechanism to user to password.
	SCRAM map[string]map[string]string
	JVM   []string // further options, for example -Xmx1g
	// Joins is the broker whose cluster this one enters, as node Node, 2 or more;
	// it stays the only controller. nil is a cluster of its own.
	Joins *Kafka
	Node  int
}

// Kafka is a broker that is its own controller, unless it joined another. See Start, Stop, Kill and
// Restart, which it has from its process.
type Kafka struct {
	process
	addrs map[string]string
}

// PLAINTEXT is the name of the listener that is always there.
const PLAINTEXT = "PLAINTEXT"

// controller is the name of the listener of the controller.
const controller = "CONTROLLER"

// Addr is host:port of a listener.
func (k *Kafka) Addr(listener string) string { return k.addrs[listener] }

// Process is the process id of the run under way, 0 when there is none.
func (k *Kafka) Process() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cmd == nil {
		return 0
	}
	return k.cmd.Process.Pid
}

// NewKafka writes the configuration and formats the data directory. Start
// starts the broker.
func NewKafka(o KafkaOptions) (*Kafka, error) {
	bin, err := java(17)
	if err != nil {
		return nil, err
	}
	names := append([]string{PLAINTEXT}, slices.Sorted(maps.Keys(o.Listeners))...)
	if o.Joins == nil {
		names = append(names, controller)
	}
	ports, err := freePorts(len(names))
	if err != nil {
		return nil, err
	}
	k := &Kafka{addrs: map[string]string{}}
	for i, name := range names {
		k.addrs[name] = net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[i]))
	}
	if o.Joins != nil {
		k.addrs[controller] = o.Joins.addrs[controller]
	}
	config := filepath.Join(o.Dir, "server.properties")
	if err := os.WriteFile(config, k.properties(o, names), 0o644); err != nil {
		return nil, fmt.Errorf("writing the broker's configuration: %w", err)
	}
	logging := filepath.Join(o.Dir, "log4j2.properties")
	if err := os.WriteFile(logging, []byte(loggingProperties), 0o644); err != nil {
		return nil, fmt.Errorf("writing the broker's configuration: %w", err)
	}
	jvm := append([]string{"-Xmx768m", "-Dlog4j2.configurationFile=" + logging}, o.JVM...)
	jvm = append(jvm, "-cp", filepath.Join(o.Jars, "libs", "*"))
	format := append(slices.Clone(jvm), "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAA", "-c", config)
	for mechanism, users := range o.SCRAM {
		for user, password := range users {
			format = append(format, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, user, password))
		}
	}
	if out, err := exec.Command(bin, format...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("formatting the broker's data directory: %w: %s", err, out)
	}
	k.process = process{
		name: "kafka", dir: o.Dir,
		command: func() *exec.Cmd { return exec.Command(bin, append(slices.Clone(jvm), "kafka.Kafka", config)...) },
		ready:   func(ctx context.Context) error { return answersVersions(ctx, k.addrs[PLAINTEXT]) },
	}
	return k, nil
}

// StartKafka is NewKafka and Start.
func StartKafka(ctx context.Context, o KafkaOptions) (*Kafka, error) {
	k, err := NewKafka(o)
	if err != nil {
		return nil, err
	}
	return k, k.Start(ctx)
}

const loggingProperties = `rootLogger.level=WARN
rootLogger.appenderRefs=out
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c: %m%n
`

// properties are those of a single node, or of one that joins it.
func (k *Kafka) properties(o KafkaOptions, names []string) []byte {
	p := map[string]string{
		"process.roles":                                    "broker,controller",
		"node.id":                                          "1",
		"controller.quorum.voters":                         "1@" + k.addrs[controller],
		"controller.listener.names":                        controller,
		"inter.broker.listener.name":                       PLAINTEXT,
		"log.dirs":                                         filepath.Join(o.Dir, "data"),
		"auto.create.topics.enable":                        "false",
		"group.initial.rebalance.delay.ms":                 "0",
		"offsets.topic.replication.factor":                 "1",
		"offsets.topic.num.partitions":                     "4",
		"transaction.state.log.replication.factor":         "1",
		"transaction.state.log.min.isr":                    "1",
		"transaction.state.log.num.partitions":             "4",
		"share.coordinator.state.topic.replication.factor": "1",
		"share.coordinator.state.topic.min.isr":            "1",
	}
	listeners, advertised, protocols := []string{}, []string{}, []string{}
	for _, name := range names {
		security := o.Listeners[name]
		if security == "" {
			security = "PLAINTEXT"
		}
		listeners = append(listeners, name+"://"+k.addrs[name])
		if name != controller { // Kafka refuses it there
			advertised = append(advertised, name+"://"+cmp.Or(o.Advertised[name], k.addrs[name]))
		}
		protocols = append(protocols, name+":"+security)
	}
	if o.Joins != nil {
		p["process.roles"], p["node.id"] = "broker", strconv.Itoa(o.Node)
		protocols = append(protocols, controller+":PLAINTEXT")
	}
	p["listeners"] = strings.Join(listeners, ",")
	p["advertised.listeners"] = strings.Join(advertised, ",")
	p["listener.security.protocol.map"] = strings.Join(protocols, ",")
	if o.QuickRestart {
		p["broker.session.timeout.ms"], p["broker.heartbeat.interval.ms"] = "2000", "500"
	}
	maps.Copy(p, o.Properties)
	var out []byte
	for _, key := range slices.Sorted(maps.Keys(p)) {
		out = fmt.Appendf(out, "%s=%s\n", key, p[key])
	}
	return out
}

// answersVersions asks for the broker's API versions, the one request that
// needs nothing, and is content with any answer. Source of the layout: Apache
// Kafka protocol guide, ApiVersions v0.
func answersVersions(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	request := binary.BigEndian.AppendUint32(nil, 10)
	request = binary.BigEndian.AppendUint16(request, 18) // ApiVersions
	request = binary.BigEndian.AppendUint16(request, 0)  // version
	request = binary.BigEndian.AppendUint32(request, 7)  // correlation id
	request = binary.BigEndian.AppendUint16(request, 0)  // client id
	if _, err := conn.Write(request); err != nil {
		return err
	}
	var answer [8]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return err
	}
	if binary.BigEndian.Uint32(answer[4:]) != 7 {
		return errors.New("the answer is not Kafka's")
	}
	return nil
}
