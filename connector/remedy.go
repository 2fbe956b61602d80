package connector

import (
	"cmp"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.uber.org/zap"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/forms"
	"leadstream/internal/kafka"
	"leadstream/schema"
)

// The parts that issues are about, beside organizations and forms.
const (
	PartKafka    = "kafka"
	PartRegistry = "registry"
	PartSchemas  = "schemas" // those that the registry has lost
	PartLinkedIn = "linkedin"
	PartClock    = "clock"
	PartReplay   = "replay"
)

// replaying begins the name of a replay's work.
const replaying = "replay "

// partOf is what an error is about that a piece of work has met.
func partOf(about, work string, err error) string {
	if kind := fault.KindOf(cause(err)); about != "" && (kind == fault.Suspend || kind == fault.Reject) {
		return about
	}
	switch {
	case fault.Has[*clocksApartError](err):
		return PartClock
	case ofKafka(err):
		return PartKafka
	case fault.Has[*forms.LostError](err):
		return PartSchemas
	case schema.Cause(err) != nil:
		return PartRegistry
	case strings.HasPrefix(work, replaying) && !declares(err):
		return PartReplay // it waits for something that is told elsewhere
	}
	return PartLinkedIn
}

// declares reports whether an error says itself what to do about it, as all of
// LinkedIn's do.
func declares(err error) bool {
	var declared interface{ Fault() fault.Kind }
	return errors.As(err, &declared)
}

// cause is the registry's own error in err, which tells what it concerns where the work around
// it was given a kind of its own; else err.
func cause(err error) error { return cmp.Or(schema.Cause(err), err) }

func ofKafka(err error) bool {
	return errors.Is(err, kafka.ErrEpochLost) || fault.Has[*kafka.UnreachableError](err) || fault.Has[*kafka.AuthenticationError](err) ||
		fault.Has[*kafka.AuthorizationError](err) || fault.Has[*kafka.TopicError](err) || fault.Has[*kafka.CorruptError](err) ||
		fault.Has[*kafka.RefusedError](err) || fault.Has[*kafka.GroupRefusedError](err) ||
		fault.Has[*delivery.PolicyError](err) || fault.Has[*delivery.PartitionsError](err) || fault.Has[*checkpoint.UnreadableError](err) ||
		fault.Has[*delivery.UnreadableDeletionError](err)
}

// todoField is what to do about an error, for the log.
func todoField(err error) zap.Field {
	_, todo := told(err)
	return zap.String("todo", todo)
}

// remedy is what to do about an error that does not say so itself.
func remedy(err error) string {
	switch {
	case fault.Has[*kafka.AuthorizationError](err):
		return "give the principal this permission; it is noticed by itself"
	case fault.Has[*kafka.AuthenticationError](err):
		return "compare `kafka.sasl` and `kafka.tls` with what the brokers expect"
	case fault.Has[*kafka.UnreachableError](err):
		return "see that the brokers run and that `kafka.brokers` names them; leadstream goes on by itself once they answer, and loses nothing"
	case errors.Is(err, kafka.ErrEpochLost):
		return "nothing, if another process has taken over or Kafka was restarted: the work is begun anew"
	case errors.Is(err, kafka.ErrTopicMissing):
		return "create the topic, or let leadstream do so by giving it the permission Create"
	case errors.Is(err, errNothingToReplay):
		return "give the authorising member a role on the page of an organization; the replay begins by itself then"
	case fault.Has[*checkpoint.UnreadableError](err):
		return "fix what it names, then start leadstream again"
	case fault.Has[*kafka.TopicError](err):
		return "change what the broker names, or make the topic yourself (`kafka.topic_config`, `kafka.partitions` and `kafka.replication_factor` are what leadstream asks for); it is tried again by itself"
	case ofKafka(err):
		return "see what the broker says about it in its log"
	case errors.Is(err, schema.ErrIncompatible):
		return (&schema.IncompatibleError{}).Todo()
	case fault.Has[*schema.RegistryError](err) && fault.KindOf(cause(err)) == fault.Suspend:
		return "see why the registry refuses this schema; it is tried again by itself"
	case fault.Has[*schema.RegistryError](err):
		return "see that the registry runs and that `registry.url` names it; forms whose schema is known go on meanwhile"
	}
	if fault.KindOf(err).NeedsPerson() {
		return "fix what it names; it is noticed by itself"
	}
	return "nothing for now: it is tried again by itself, and nothing is lost meanwhile"
}

// persons are URNs of LinkedIn's that name a person, which its messages may hold.
var persons = regexp.MustCompile(`urn:li:(person|member):[^\s"'),;]+`)

// Told is an error's text and what to do about it, in short: without the work around
// it, of which a reader of the page sees for whom it was.
func Told(err error) (text, todo string) {
	full, todo := told(err)
	if full == "" {
		return full, todo
	}
	text, _ = told(root(err))
	return strings.TrimSuffix(text, "; "+todo), todo
}

// root is the error of a chain that says what to do, else the one that declares its
// kind, else err.
func root(err error) error {
	var says interface {
		error
		Todo() string
	}
	if errors.As(err, &says) && says.Todo() != "" {
		return says
	}
	if errors.Is(err, schema.ErrIncompatible) {
		return err // whose subject it is stands around it
	}
	var declared interface {
		error
		Fault() fault.Kind
	}
	for e := err; errors.As(e, &declared); {
		if reflect.TypeOf(declared) != reflect.TypeOf(fault.As(fault.Retry, err)) {
			return declared
		}
		e = errors.Unwrap(declared) // it was only given a kind
	}
	return err
}

// PartOf is what an error of a poll is about: kafka, registry or linkedin.
func PartOf(err error) string { return partOf("", "", err) }

// told is an error's text and what to do about it, each once.
func told(err error) (text, todo string) {
	todo = cmp.Or(fault.TodoOf(err), remedy(err))
	text = strings.TrimSuffix(err.Error(), "; "+todo)
	text = strings.ToValidUTF8(persons.ReplaceAllString(text, "a person"), "�")
	if len(text) > maxText {
		cut := maxText
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	return text, todo
}
