package kafka

import (
	"strconv"

	kafkago "github.com/segmentio/kafka-go"
)

// Code is an error code of the Kafka protocol; 0 means success. Source: Apache
// Kafka protocol guide, error codes.
type Code int16

const (
	codeUnknownServerError     Code = -1
	codeOffsetOutOfRange       Code = 1
	codeCorruptMessage         Code = 2
	codeUnknownTopic           Code = 3
	codeLeaderNotAvailable     Code = 5
	codeNotLeader              Code = 6
	codeRequestTimedOut        Code = 7
	codeReplicaNotAvailable    Code = 9
	codeMessageTooLarge        Code = 10
	codeNetworkException       Code = 13
	codeCoordinatorLoading     Code = 14
	codeNoCoordinator          Code = 15
	codeNotCoordinator         Code = 16
	codeInvalidTopic           Code = 17
	codeNotEnoughReplicas      Code = 19
	codeNotEnoughAfterAppend   Code = 20
	codeIllegalGeneration      Code = 22
	codeUnknownMember          Code = 25
	codeRebalanceInProgress    Code = 27
	codeTopicAuthorization     Code = 29
	codeGroupAuthorization     Code = 30
	codeClusterAuthorization   Code = 31
	codeInvalidTimestamp       Code = 32
	codeUnsupportedMechanism   Code = 33
	codeUnsupportedVersion     Code = 35
	codeTopicExists            Code = 36
	codeInvalidPartitions      Code = 37
	codeInvalidReplication     Code = 38
	codeInvalidConfig          Code = 40
	codeNotController          Code = 41
	codeInvalidRequest         Code = 42
	codePolicyViolation        Code = 44
	codeOutOfOrderSequence     Code = 45
	codeProducerFencedOld      Code = 47
	codeInvalidTxnState        Code = 48
	codeInvalidPIDMapping      Code = 49
	codeInvalidTxnTimeout      Code = 50
	codeConcurrentTransactions Code = 51
	codeTxnIDAuthorization     Code = 53
	codeNotAttempted           Code = 55
	codeStorageError           Code = 56
	codeSASLFailed             Code = 58
	codeUnknownProducer        Code = 59
	codeGroupNotFound          Code = 69
	codeFencedLeaderEpoch      Code = 74
	codeUnknownLeaderEpoch     Code = 75
	codeOffsetNotAvailable     Code = 78
	codeInvalidRecord          Code = 87
	codeQuotaExceeded          Code = 89
	codeProducerFenced         Code = 90
)

// String is the number and the protocol's name for it.
func (c Code) String() string {
	number := strconv.Itoa(int(c))
	if c == codeNotAttempted {
		// kafka-go has the name of another error here.
		return number + " (Operation Not Attempted)"
	}
	return number + " (" + kafkago.Error(c).Title() + ")"
}

// retriable reports whether the same request may succeed when it is sent
// again. kafka-go's own judgement says no for 51 and yes for 2, so it is not
// used.
func (c Code) retriable() bool {
	switch c {
	case codeUnknownTopic, codeLeaderNotAvailable, codeNotLeader, codeRequestTimedOut,
		codeReplicaNotAvailable, codeNetworkException, codeCoordinatorLoading, codeNoCoordinator,
		codeNotCoordinator, codeNotEnoughReplicas, codeNotEnoughAfterAppend, codeNotController,
		codeConcurrentTransactions, codeStorageError, codeFencedLeaderEpoch, codeUnknownLeaderEpoch,
		codeOffsetNotAvailable, // a new leader that has not caught up with its high watermark
		codeQuotaExceeded:      // of topics made or deleted per second
		return true
	default:
		return false
	}
}

// hint is what to look at when a code that may pass does not; empty when its name says
// enough.
func (c Code) hint() string {
	switch c {
	case codeNoCoordinator:
		return "Kafka has no coordinator to offer: see that its own topics __transaction_state and __consumer_offsets can be made, for which it needs as many brokers as transaction.state.log.replication.factor and offsets.topic.replication.factor"
	case codeNotEnoughReplicas, codeNotEnoughAfterAppend:
		return "fewer replicas are in sync than the topic's min.insync.replicas: bring brokers back, or lower it"
	default:
		return ""
	}
}

// epochLost reports whether the producer's epoch, or its place in the
// sequence, is no longer what the broker has: only InitProducerID helps.
func (c Code) epochLost() bool {
	switch c {
	case codeOutOfOrderSequence, codeProducerFencedOld, codeInvalidTxnState,
		codeInvalidPIDMapping, codeUnknownProducer, codeProducerFenced:
		return true
	default:
		return false
	}
}
