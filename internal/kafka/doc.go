// Package kafka does all of leadstream's Kafka I/O: security, topics, group
// membership, transactions that are fenced by a transactional id, and reads of
// what is committed. It is the only package that knows kafka-go.
//
// kafka-go gives the protocol's messages, the connection that carries them,
// the SASL mechanisms, the partitioner and the consumer group. Routing is done
// here: its Transport polls the metadata of the whole cluster every few
// seconds, looks the coordinator up before each transactional call and cannot
// be told of topics that appear later. A Client asks for the topics it is
// given and for nothing while it is idle.
//
// Brokers must speak Fetch v11 (Apache Kafka 2.3 or later). Source of the
// protocol's facts: the Apache Kafka protocol guide and KIP-98 (transactions);
// what brokers really answer was tried on Apache Kafka 4.4 and is repeated by
// the integration tests.
package kafka
