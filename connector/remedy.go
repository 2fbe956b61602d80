package connector

import (
	"errors"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/schema"
)

// The parts that troubles are about, beside organizations and forms.
const (
	PartKafka    = "kafka"
	PartRegistry = "registry"
	PartLinkedIn = "linkedin"
)

// partOf is what an error is about.
func partOf(about string, err error) string {
	if about != "" && fault.KindOf(cause(err)) == fault.Suspend {
		return about
	}
	switch {
	case ofKafka(err):
		return PartKafka
	case ofRegistry(err):
		return PartRegistry
	}
	return PartLinkedIn
}

// cause is the error of Kafka's or the registry's that err stems from, which
// tells what it concerns where the work around it was given a kind of its own;
// else err.
func cause(err error) error {
	var registry *schema.RegistryError
	var refused *schema.AuthError
	switch {
	case errors.As(err, &registry):
		return registry
	case errors.As(err, &refused):
		return refused
	}
	return err
}

func ofRegistry(err error) bool {
	var failed *schema.RegistryError
	var refused *schema.AuthError
	return errors.As(err, &failed) || errors.As(err, &refused)
}

func ofKafka(err error) bool {
	var (
		away    *kafka.UnreachableError
		unknown *kafka.AuthenticationError
		barred  *kafka.AuthorizationError
		topic   *kafka.TopicError
		corrupt *kafka.CorruptError
		refused *kafka.RefusedError
		policy  *delivery.PolicyError
		record  *checkpoint.UnreadableError
	)
	return errors.Is(err, kafka.ErrEpochLost) || errors.As(err, &away) || errors.As(err, &unknown) || errors.As(err, &barred) ||
		errors.As(err, &topic) || errors.As(err, &corrupt) || errors.As(err, &refused) ||
		errors.As(err, &policy) || errors.As(err, &record)
}

// remedy is what to do about an error that does not say so itself.
func remedy(err error) string {
	var (
		away    *kafka.UnreachableError
		unknown *kafka.AuthenticationError
		barred  *kafka.AuthorizationError
		corrupt *kafka.CorruptError
		policy  *delivery.PolicyError
		record  *checkpoint.UnreadableError
		refused *schema.AuthError
		failed  *schema.RegistryError
	)
	switch {
	case errors.As(err, &barred):
		return "give the principal this permission; it is noticed by itself"
	case errors.As(err, &unknown):
		return "compare `kafka.sasl` and `kafka.tls` with what the brokers expect"
	case errors.As(err, &away):
		return "see that the brokers run and that `kafka.brokers` names them; leadstream goes on by itself once they answer, and loses nothing"
	case errors.As(err, &corrupt):
		return "the topic holds what is no record: look at it with Kafka's own tools"
	case errors.Is(err, kafka.ErrEpochLost):
		return "nothing, if another process has taken over or Kafka was restarted: the work is begun anew"
	case errors.Is(err, kafka.ErrTopicMissing):
		return "create the topic, or let leadstream do so by giving it the permission Create"
	case errors.As(err, &record), errors.As(err, &policy):
		return "mend what it names, then start leadstream again"
	case ofKafka(err):
		return "see what the broker says about it in its log"
	case errors.Is(err, schema.ErrIncompatible):
		return "delete the subject, or use another `kafka.topic_prefix`; the form goes on by itself then (see `leadstream schema diff`)"
	case errors.As(err, &refused):
		return "compare `registry.username` and `registry.password` with what the registry expects; it is noticed by itself"
	case errors.As(err, &failed) && failed.Fault() == fault.Suspend:
		return "see why the registry refuses this schema; it is tried again by itself"
	case errors.As(err, &failed):
		return "see that the registry runs and that `registry.url` names it; forms whose schema is known go on meanwhile"
	}
	switch fault.KindOf(err) {
	case fault.Suspend, fault.Pause:
		return "mend what it names; it is noticed by itself"
	case fault.Retry, fault.Reject, fault.Fatal:
	}
	return "nothing for now: it is tried again by itself, and nothing is lost meanwhile"
}
