package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// TLS says how the listeners are encrypted. All of it is optional: an empty
// value means TLS with the system's authorities and no client certificate.
type TLS struct {
	CAFile     string // PEM; authorities to trust instead of the system's
	CertFile   string // PEM; our certificate, with KeyFile
	KeyFile    string // PEM
	ServerName string // name expected in the broker's certificate, instead of its host
}

// SASL says who we are.
type SASL struct {
	Mechanism string // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	Username  string
	Password  string // never printed
}

func (t *TLS) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate authorities of kafka.tls.ca_file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading the certificate authorities of kafka.tls.ca_file: %s holds no PEM certificate", t.CAFile)
		}
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return nil, errors.New("the client certificate of kafka.tls.cert_file and its key, kafka.tls.key_file, go together: set both or neither")
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the client certificate of kafka.tls.cert_file (%s) and kafka.tls.key_file (%s): %w", t.CertFile, t.KeyFile, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func (s *SASL) mechanism() (sasl.Mechanism, error) {
	switch s.Mechanism {
	case "PLAIN":
		return plain.Mechanism{Username: s.Username, Password: s.Password}, nil
	case "SCRAM-SHA-256":
		return s.scram(scram.SHA256)
	case "SCRAM-SHA-512":
		return s.scram(scram.SHA512)
	default:
		return nil, fmt.Errorf("sasl mechanism %q for kafka: must be PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", s.Mechanism)
	}
}

func (s *SASL) scram(algorithm scram.Algorithm) (sasl.Mechanism, error) {
	mechanism, err := scram.Mechanism(algorithm, s.Username, s.Password)
	if err != nil {
		// The cause may quote what was typed, so it is not passed on.
		return nil, fmt.Errorf("sasl user name or password for kafka holds characters that %s does not allow", s.Mechanism)
	}
	return mechanism, nil
}

// maxIterations bounds how often SCRAM has the password hashed, which takes a second
// for so many. Kafka stores 16,384 at most.
const maxIterations = 1_000_000

var errTooCostly = fmt.Errorf("the broker asks for more than %d iterations of the password's hash", maxIterations)

// tooCostly reports whether a challenge of SCRAM asks for more work than any
// password is worth. Source of its form, r=…,s=…,i=N: RFC 5802.
func tooCostly(challenge []byte) bool {
	for part := range strings.SplitSeq(string(challenge), ",") {
		if count, ok := strings.CutPrefix(part, "i="); ok {
			n, err := strconv.Atoi(count)
			return err != nil || n > maxIterations
		}
	}
	return false
}

// tlsRefused turns a failed TLS handshake into an AuthenticationError where
// certificates are the matter; anything else is a connection that failed.
func tlsRefused(broker string, err error) error {
	if verify, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		hint := "check kafka.tls: the authority file must hold the issuer of the broker's certificate"
		if _, ok := errors.AsType[x509.HostnameError](verify.Err); ok {
			hint = "check kafka.tls: the server name must be one that the broker's certificate holds"
		}
		return &AuthenticationError{Broker: broker, Hint: hint, Err: err}
	}
	// crypto/tls has no exported type for an alert of the other side.
	if alert, ok := errors.AsType[*net.OpError](err); ok && alert.Op == "remote error" {
		return &AuthenticationError{Broker: broker, Hint: "check kafka.tls: the broker does not accept our certificate, or asks for one", Err: err}
	}
	return err
}

// hint guesses from the way a first connection ended what the configuration of
// the listener and ours disagree on. Once any connection has worked there is
// nothing to guess: the broker is gone.
func (e *transportError) hint() string {
	if stranger, ok := errors.AsType[*notKafkaError](e.err); ok {
		return stranger.hint()
	}
	if !e.first {
		return ""
	}
	if plain, ok := errors.AsType[tls.RecordHeaderError](e.err); ok {
		if stranger, ok := errors.AsType[*notKafkaError](notKafka(plain.RecordHeader[:], e.err)); ok {
			return "the listener does not speak TLS but " + stranger.speaks + ": " + stranger.hint()
		}
		return "the listener does not speak TLS: check kafka.tls and the port"
	}
	switch {
	case errors.Is(e.err, errSilent):
		return "check that kafka.brokers names a Kafka listener, and that kafka.tls is what it expects"
	case errors.Is(e.err, io.EOF), errors.Is(e.err, io.ErrUnexpectedEOF), errors.Is(e.err, syscall.ECONNRESET):
		return "the broker hung up on the first connection: check that kafka.tls and kafka.sasl are what this listener expects"
	case errors.Is(e.err, syscall.ECONNREFUSED):
		return "nothing listens there: check kafka.brokers"
	}
	return ""
}
