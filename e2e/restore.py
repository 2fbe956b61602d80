"""Writes topics into Kafka as a recording has them, offset for offset.

The client is librdkafka's. Standard input has JSON lines: a topic with its
settings and, behind it, what stands at each offset of its partitions (see
recording_integration_test.go). Records of a transaction are written in one, and
it is ended as it was, so that its marker stands where it stood. Records of a
transaction that has no end are left in an open one, under --transactional-id.
"""

import argparse
import json
import os
import sys
import threading
import time

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

# Of a broker's "not yet" a client need not wait a tenth of a second.
CLIENT = {"linger.ms": 0, "retry.backoff.ms": 5, "retry.backoff.max.ms": 50, "message.timeout.ms": 30000}

# What a broker may say of a topic that was just made.
JUST_MADE = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.LEADER_NOT_AVAILABLE)


def octets(value):
    if value is None:
        return None
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value.encode("utf-8")


class Partition:
    """One partition, written from its first offset to its last."""

    def __init__(self, brokers, admin, topic, number, first):
        self.brokers, self.admin, self.topic, self.number, self.first = brokers, admin, topic, number, first
        self.lines, self.open, self.next, self.failure = [], [], 0, None
        self.plain = Producer({**CLIENT, "bootstrap.servers": brokers})

    def restore(self):
        try:
            self.write()
        except Exception as failure:  # told by the main thread
            self.failure = failure

    def write(self):
        for _ in range(self.first):  # what was removed, whatever it was
            self.put(self.plain, {"key": "removed", "value": "", "time": self.lines[0]["time"] if self.lines else 0, "offset": self.next})
        begun, transactions = None, None
        last = {line["producer"]: line["offset"] for line in self.lines if line.get("end")}
        for line in self.lines:
            if line["producer"] < 0:
                self.settle()
                self.put(self.plain, line)
                continue
            if line["offset"] > last.get(line["producer"], -1):
                self.open.append(line)  # has no end: the last of the partition, or its offset will not fit
                continue
            if transactions is None:
                transactions = transactional(self.brokers, f"restored-{self.topic}-{self.number}")
            if begun is None:
                transactions.begin_transaction()
                begun = line["producer"]
            if begun != line["producer"]:
                raise ValueError(f"offset {line['offset']}: two transactions at once")
            if not line.get("end"):
                self.put(transactions, line)
                continue
            if line["end"] == "commit":
                transactions.commit_transaction(30)
            else:
                transactions.abort_transaction(30)
            begun, self.next = None, self.next + 1
        self.settle()
        if self.first:
            removed = self.admin.delete_records([TopicPartition(self.topic, self.number, self.first)])
            for done in removed.values():
                done.result(30)

    def settle(self):
        """Waits for the marker of the last transaction: its end is answered before."""
        partition = TopicPartition(self.topic, self.number)
        while True:
            asked = self.admin.list_offsets({partition: OffsetSpec.latest()}, isolation_level=IsolationLevel.READ_UNCOMMITTED)
            try:
                if asked[partition].result(30).offset >= self.next:
                    return
            except KafkaException as failure:
                if failure.args[0].code() not in JUST_MADE:
                    raise
            time.sleep(0.005)

    def put(self, producer, line):
        """One record, which must get its offset."""
        answers = []
        producer.produce(
            self.topic, partition=self.number, key=octets(line["key"]), value=octets(line["value"]), timestamp=line["time"],
            headers=[(name, value.encode("utf-8")) for name, value in line.get("headers", [])],
            on_delivery=lambda error, message: answers.append((error, message)),
        )
        self.next += 1
        self.awaited(producer, answers, line["offset"])

    def awaited(self, producer, answers, offset):
        while not answers:
            producer.poll(1)
        error, message = answers[0]
        if error is not None:
            raise KafkaException(error)
        if message.offset() != offset:
            raise ValueError(f"the record of offset {offset} got {message.offset()}")


def transactional(brokers, name, **more):
    producer = Producer({**CLIENT, "bootstrap.servers": brokers, "transactional.id": name, **more})
    producer.init_transactions(30)
    return producer


def create(admin, topics):
    wanted = [NewTopic(t["topic"], num_partitions=len(t["first"]), config=t["configs"]) for t in topics]
    for done in admin.create_topics(wanted, operation_timeout=30).values():
        done.result(60)
    names = {t["topic"] for t in topics}
    while not names <= set(admin.list_topics(timeout=30).topics):
        time.sleep(0.02)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--brokers", required=True)
    arguments.add_argument("--transactional-id", required=True)
    a = arguments.parse_args()
    admin = AdminClient({"bootstrap.servers": a.brokers})
    topics, partitions = [], {}
    for text in sys.stdin:
        line = json.loads(text)
        if "configs" in line:
            topics.append(line)
            for number, first in enumerate(line["first"]):
                partitions[line["topic"], number] = Partition(a.brokers, admin, line["topic"], number, first)
        else:
            partitions[line["topic"], line["partition"]].lines.append(line)
    create(admin, topics)
    threads = [threading.Thread(target=p.restore) for p in partitions.values()]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for p in partitions.values():
        if p.failure is not None:
            raise RuntimeError(f"{p.topic}-{p.number}") from p.failure
    left = [(p, line) for p in partitions.values() for line in p.open]
    if left:
        producer = transactional(a.brokers, a.transactional_id, **{"transaction.timeout.ms": 60000})
        producer.begin_transaction()
        for p, line in left:
            p.put(producer, line)
    sys.stdout.write(f"{sum(len(p.lines) for p in partitions.values())} lines of {len(partitions)} partitions\n")
    sys.stdout.flush()
    os._exit(0)  # as a crash: nobody ends the open transaction


if __name__ == "__main__":
    main()
