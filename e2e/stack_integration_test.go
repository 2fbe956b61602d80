//go:build integration

package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"leadstream/internal/realstack"
)

// stack is what all scenarios share: the program, and one Kafka and one
// registry. Scenarios keep apart by name and topic prefix; those that break
// Kafka or the registry start their own.
var stack struct {
	dir      string
	jars     string
	binary   string
	python   string
	kafka    *realstack.Kafka
	registry *realstack.Registry
	// wires stand before further listeners of Kafka, one for each scenario that
	// needs one.
	wires map[string]*tripwire
}

const wireOfKills, wireOfZombie = "KILLS", "ZOMBIE"

func TestMain(m *testing.M) {
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func runAll(m *testing.M) (code int, err error) {
	if stack.dir, err = os.MkdirTemp("", "leadstream-e2e-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(stack.dir) //nolint:errcheck // a leftover in the temporary directory is harmless
	if err := startStack(); err != nil {
		return 1, errors.Join(err, stopStack())
	}
	// Most of a scenario's time is waiting: for sessions to pass, for polls.
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil {
		return 1, err
	}
	code = m.Run()
	return code, stopStack()
}

func startStack() (err error) {
	if stack.python = os.Getenv("LEADSTREAM_TEST_PYTHON"); stack.python == "" {
		return errors.New("LEADSTREAM_TEST_PYTHON is not set: it names a Python with e2e/requirements.txt installed")
	}
	if stack.jars, err = realstack.Jars(); err != nil {
		return err
	}
	broken := make(chan error, 2)
	go func() { broken <- startKafka() }()
	go func() { broken <- startRegistry() }()
	built := build()
	return errors.Join(built, <-broken, <-broken)
}

// build makes the program once for all scenarios.
func build() error {
	if stack.binary = os.Getenv("LEADSTREAM_TEST_BINARY"); stack.binary != "" {
		return nil
	}
	stack.binary = filepath.Join(stack.dir, "leadstream")
	if out, err := exec.Command("go", "build", "-o", stack.binary, "leadstream/cmd/leadstream").CombinedOutput(); err != nil {
		return fmt.Errorf("building leadstream: %w: %s", err, out)
	}
	return nil
}

// limited is the user on whom Kafka's permissions bear; everybody on the
// PLAINTEXT listener may do everything.
const limited, limitedPassword = "limited", "limited-password"

func startKafka() (err error) {
	dir := filepath.Join(stack.dir, "kafka")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	listeners, advertised := map[string]string{"SASL": "SASL_PLAINTEXT"}, map[string]string{}
	stack.wires = map[string]*tripwire{}
	for _, name := range []string{wireOfKills, wireOfZombie} {
		wire, err := newTripwire()
		if err != nil {
			return err
		}
		stack.wires[name], listeners[name], advertised[name] = wire, "PLAINTEXT", wire.addr()
	}
	stack.kafka, err = realstack.NewKafka(realstack.KafkaOptions{
		Jars: stack.jars, Dir: dir, Listeners: listeners, Advertised: advertised,
		Properties: map[string]string{
			"authorizer.class.name":   "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
			"super.users":             "User:ANONYMOUS",
			"sasl.enabled.mechanisms": "PLAIN",
			"listener.name.sasl.plain.sasl.jaas.config": "org.apache.kafka.common.security.plain.PlainLoginModule required " +
				`user_` + limited + `="` + limitedPassword + `";`,
		},
	})
	if err != nil {
		return err
	}
	for name, wire := range stack.wires {
		wire.target = stack.kafka.Addr(name)
		go wire.serve()
	}
	return stack.kafka.Start(context.Background())
}

func startRegistry() (err error) {
	dir := filepath.Join(stack.dir, "registry")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if stack.registry, err = realstack.NewRegistry(realstack.RegistryOptions{Jars: stack.jars, Dir: dir}); err != nil {
		return err
	}
	return stack.registry.Start(context.Background())
}

func stopStack() error {
	var errs []error
	for _, wire := range stack.wires {
		errs = append(errs, wire.listener.Close())
	}
	if stack.kafka != nil {
		errs = append(errs, stack.kafka.Kill()) // its data is not needed any more
	}
	if stack.registry != nil {
		errs = append(errs, stack.registry.Kill())
	}
	return errors.Join(errs...)
}
