package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode"
)

// headBytes is how much of an answer tells whether it is one: its size and the
// correlation id of the request that it answers.
const headBytes = 8

func readHead(head []byte) (size int, correlation int32) {
	be := binary.BigEndian
	return int(int32(be.Uint32(head))), int32(be.Uint32(head[4:]))
}

// notKafkaError says that what listens at an address is no broker.
type notKafkaError struct {
	speaks string // the protocol, empty where it is not known
	why    string // and then what tells
}

func (e *notKafkaError) Error() string {
	if e.speaks != "" {
		return "what listens there speaks " + e.speaks + ", not Kafka"
	}
	return "what listens there does not speak Kafka: " + e.why
}

// hint is what to do about it.
func (e *notKafkaError) hint() string {
	if e.speaks == "TLS" {
		return "set kafka.tls.enabled, or name the port of a listener without TLS in kafka.brokers"
	}
	return "check kafka.brokers: it needs the port of a Kafka listener, 9092 as a rule"
}

// greetings are how servers of other protocols begin what they say.
var greetings = []struct{ begins, speaks string }{
	{"HTTP/", "HTTP"}, {"<!DO", "HTTP"}, {"<htm", "HTTP"}, {"\x15\x03", "TLS"}, {"\x16\x03", "TLS"}, {"SSH-", "SSH"},
	{"220 ", "SMTP or FTP"}, {"220-", "SMTP or FTP"}, {"+OK ", "POP3"}, {"* OK ", "IMAP"}, {"-ERR", "Redis"}, {"RFB ", "VNC"},
}

// notKafka is the error for a first answer that cannot be one: it ended with err,
// or is not what was asked for.
func notKafka(first []byte, err error) error {
	for _, g := range greetings {
		if bytes.HasPrefix(first, []byte(g.begins)) {
			return &notKafkaError{speaks: g.speaks}
		}
	}
	if err != nil {
		return err
	}
	return &notKafkaError{why: fmt.Sprintf("its answer begins with %q", first)}
}

// errSilent: a connection was taken, and nothing came.
var errSilent = errors.New("it takes connections and does not answer")

// silent is err, which ended the first request on a connection, by its name where
// it is that no answer came in time.
func silent(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return errSilent
	}
	return err
}

// theirWords is what a broker says about a refusal, fit for a line of the log: how
// long it is and what stands in it is up to the broker.
func theirWords(s string) string {
	const most = 300
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}
