package kafka

import (
	"errors"
	"fmt"
	"time"

	"leadstream/internal/fault"
)

// Conditions that callers decide by, matched with errors.Is.
var (
	// ErrEpochLost: this producer's epoch is not the current one, or its
	// transaction is in an unknown state. Init again, then read what the topics
	// hold before anything else is written. See EpochLostError.
	ErrEpochLost = errors.New("the producer's epoch is lost")
	// ErrFenced: another program uses our transactional id while the group says
	// that the work is ours. See FencedError.
	ErrFenced = errors.New("fenced by another program with the same transactional id")
	// ErrTopicMissing: the topic does not exist, or may not be described by us:
	// a broker answers the same for both.
	ErrTopicMissing = errors.New("the topic does not exist, or the principal has no Describe permission on it")
	// ErrTopicExists: the topic is there already.
	ErrTopicExists = errors.New("the topic exists already")
)

// EpochLostError says why a producer must be initialised again. It matches
// ErrEpochLost; its kind is Retry.
type EpochLostError struct {
	TransactionalID string
	Op              string // what was being done, in -ing form
	Code            Code   // the broker's answer, 0 when there was none
	// InDoubt: the commit was sent and whether it took place is not known.
	// Never write the records again before having read what the topics hold.
	// When false, nothing of the transaction is or will be committed.
	InDoubt bool
	// Expired: the transaction was open for about as long as its timeout, so
	// the broker may have ended it without any other producer being about.
	Expired bool
	Err     error // the cause when it was not an answer; may be nil
}

func (e *EpochLostError) Error() string {
	text := fmt.Sprintf("%s with transactional id %q: %v", e.Op, e.TransactionalID, ErrEpochLost)
	if e.Code != 0 {
		text += ": " + e.Code.String()
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if e.InDoubt {
		text += "; whether it was committed is not known"
	}
	return text
}

// Is makes every EpochLostError match ErrEpochLost.
func (e *EpochLostError) Is(target error) bool { return target == ErrEpochLost }
func (e *EpochLostError) Unwrap() error        { return e.Err }

// Fault is Retry: initialise, read back, go on.
func (e *EpochLostError) Fault() fault.Kind { return fault.Retry }

// EndsSession reports whether nothing more can be written under the producer's epoch, or the
// error is one that no repetition fixes.
func EndsSession(err error) bool {
	return errors.Is(err, ErrEpochLost) || fault.KindOf(err) == fault.Fatal
}

// FencedError is returned by Member.Run when the epoch was lost twice in a row
// while the group confirmed that the work belongs to this member. It matches
// ErrFenced and, through its cause, ErrEpochLost; its kind is Fatal.
type FencedError struct {
	Group string
	Err   error // the second loss
}

func (e *FencedError) Error() string {
	return fmt.Sprintf("%v: group %q says that the work belongs here; stop the other program or give one of them another name: %v", ErrFenced, e.Group, e.Err)
}

// Is makes every FencedError match ErrFenced.
func (e *FencedError) Is(target error) bool { return target == ErrFenced }
func (e *FencedError) Unwrap() error        { return e.Err }

// Fault is Fatal: going on would fight over the transactional id for ever.
func (e *FencedError) Fault() fault.Kind { return fault.Fatal }

// GroupRefusedError: the consumer group does not take this process, for a reason that
// time does not fix. It is tried again all the same; its kind is Pause.
type GroupRefusedError struct {
	Group string
	What  string // a person can do about it
	Err   error
}

func (e *GroupRefusedError) Error() string {
	return fmt.Sprintf("the consumer group %q does not take this process: %v; %s", e.Group, e.Err, e.What)
}

// Todo is what a person can do about it.
func (e *GroupRefusedError) Todo() string  { return e.What }
func (e *GroupRefusedError) Unwrap() error { return e.Err }

// Fault is Pause.
func (e *GroupRefusedError) Fault() fault.Kind { return fault.Pause }

// UnreachableError: the brokers, or the part of them that was needed, did not
// answer in time. Its kind is Retry.
type UnreachableError struct {
	Op   string // what was being done, in -ing form
	Hint string // what may be wrong with the configuration; may be empty
	Err  error  // the last failure
}

func (e *UnreachableError) Error() string {
	text := fmt.Sprintf("%s: kafka is unreachable: %v", e.Op, e.Err)
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// Fault is Retry: brokers come back.
func (e *UnreachableError) Fault() fault.Kind { return fault.Retry }

// AuthenticationError: the broker was reached and does not accept who we are,
// or we do not accept who it is: SASL refused, certificate not trusted. Its
// kind is Pause: a person has to fix the configuration on one of the sides.
type AuthenticationError struct {
	Broker string // host:port
	Hint   string // what to look at
	Err    error  // never holds the password
}

func (e *AuthenticationError) Error() string {
	return fmt.Sprintf("authenticating with kafka broker %s: %v (%s)", e.Broker, e.Err, e.Hint)
}

func (e *AuthenticationError) Unwrap() error { return e.Err }

// Fault is Pause.
func (e *AuthenticationError) Fault() fault.Kind { return fault.Pause }

// AuthorizationError: our principal lacks one permission, named as kafka-acls
// takes it. The kind is Suspend for a topic, so that the other topics go on,
// and Pause for all else.
type AuthorizationError struct {
	Resource  string // topic, transactional-id, group or cluster
	Name      string // of the resource; empty for the cluster
	Operation string // Write, Read, Describe, Create, …
}

func (e *AuthorizationError) Error() string {
	if e.Resource == "cluster" {
		return fmt.Sprintf("no permission for %s on the cluster (kafka-acls --add --allow-principal User:NAME --operation %s --cluster)", e.Operation, e.Operation)
	}
	return fmt.Sprintf("no permission for %s on %s %q (kafka-acls --add --allow-principal User:NAME --operation %s --%s %s)",
		e.Operation, e.Resource, e.Name, e.Operation, e.Resource, e.Name)
}

// About is the permission that is missing, for fault.Issue.
func (e *AuthorizationError) About() string { return e.Operation + " on " + e.Resource + " " + e.Name }

func topicPermission(topic, operation string) *AuthorizationError {
	return &AuthorizationError{Resource: "topic", Name: topic, Operation: operation}
}

// Fault is Suspend for a topic, else Pause.
func (e *AuthorizationError) Fault() fault.Kind {
	if e.Resource == "topic" {
		return fault.Suspend
	}
	return fault.Pause
}

// TopicError: one topic refuses what was asked of it; others may work. From
// Commit it means that the transaction was aborted, nothing of it is visible
// and the producer is still good.
type TopicError struct {
	Topic  string
	Code   Code   // the broker's answer, 0 when it was found out before asking
	Reason string // the broker's words or ours; may be empty
	// Index is the message of the Commit that was refused, -1 when the topic
	// as a whole refuses.
	Index int
	Err   error // ErrTopicMissing, ErrTopicExists, an *AuthorizationError, a *SettingError, or nil
}

func (e *TopicError) Error() string {
	text := fmt.Sprintf("topic %q", e.Topic)
	if e.Index >= 0 {
		text += fmt.Sprintf(", message %d of the transaction", e.Index)
	}
	if e.Code != 0 {
		text += ": " + e.Code.String()
	}
	if e.Reason != "" {
		text += ": " + theirWords(e.Reason)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *TopicError) Unwrap() error { return e.Err }

// Todo is what its cause says, if that does.
func (e *TopicError) Todo() string { return fault.TodoOf(e.Err) }

// Fault is Reject where one message is at fault, Suspend where the topic is.
func (e *TopicError) Fault() fault.Kind {
	if e.Index >= 0 {
		return fault.Reject
	}
	return fault.Suspend
}

// RefusedError: the broker answered with a code that no repetition changes and
// that no other type here describes. Its kind is Fatal for a transaction
// timeout above the broker's bound, which only another configuration fixes, Retry
// for an error of the broker's own that it has no name for, else Pause: a person has
// to look.
type RefusedError struct {
	Op     string
	Code   Code
	Reason string
}

func (e *RefusedError) Error() string {
	text := fmt.Sprintf("%s: kafka refuses with %v", e.Op, e.Code)
	if e.Reason != "" {
		text += ": " + theirWords(e.Reason)
	}
	return text
}

// Fault is Fatal for code 50, Retry for -1, else Pause.
func (e *RefusedError) Fault() fault.Kind {
	switch e.Code {
	case codeInvalidTxnTimeout:
		return fault.Fatal
	case codeUnknownServerError:
		return fault.Retry
	default:
		return fault.Pause
	}
}

// About is what was refused, for fault.Issue.
func (e *RefusedError) About() string { return e.Op + " " + e.Code.String() }

// codeError is an answer on its way to one of the types above.
type codeError struct {
	op     string
	code   Code
	reason string
}

func (e *codeError) Error() string {
	return (&RefusedError{Op: e.op, Code: e.code, Reason: e.reason}).Error()
}

// transportError is a request that got no answer: not reached, cut off, timed out.
type transportError struct {
	broker string
	// first: no connection of this Client ever got as far as an answer, so
	// the listener's security is likelier than a broker that restarts.
	first bool
	err   error
}

func (e *transportError) Error() string { return "broker " + e.broker + ": " + e.err.Error() }
func (e *transportError) Unwrap() error { return e.err }

// retriable reports whether the same request may be sent again.
func retriable(err error) bool {
	if _, ok := errors.AsType[*transportError](err); ok {
		return true
	}
	answer, ok := errors.AsType[*codeError](err)
	return ok && answer.code.retriable()
}

// settled turns what is left after the retries into one of the exported types.
func settled(op string, err error) error {
	var typed interface{ Fault() fault.Kind }
	if errors.As(err, &typed) {
		return fmt.Errorf("%s: %w", op, err)
	}
	if transport, ok := errors.AsType[*transportError](err); ok {
		return &UnreachableError{Op: op, Hint: transport.hint(), Err: err}
	}
	if answer, ok := errors.AsType[*codeError](err); ok {
		if answer.code.retriable() {
			return &UnreachableError{Op: op, Hint: answer.code.hint(), Err: err}
		}
		return &RefusedError{Op: op, Code: answer.code, Reason: answer.reason}
	}
	return fmt.Errorf("%s: %w", op, err)
}

// patience is how long a request outside of transactions is repeated before
// its error is handed up to the loop that waits longer.
const patience = 10 * time.Second
