"""Reads Kafka topics as anybody's consumer would, and prints what it sees.

The client is librdkafka's, the decoder is fastavro, and the schemas come from
the registry over its REST API: nothing of leadstream is used here, so that a
mistake of its own encoder or reader cannot hide.

Each line of the output is a JSON object:

  {"schema": 7, "avro": {...}}          before the first record that needs it
  {"topic": ..., "partition": ..., "offset": ..., "time": epoch milliseconds,
   "key": ..., "headers": [[name, value], ...], "schema_id": 7, "value": {...}}

A tombstone has no value. Without --follow it ends when every partition of the
topics has been read to its end.
"""

import argparse
import datetime
import io
import json
import struct
import sys
import time
import urllib.request

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition, OFFSET_BEGINNING


class Registry:
    """Schemas by id, each fetched once."""

    def __init__(self, url):
        self.url = url
        self.parsed = {}

    def schema(self, number):
        if number not in self.parsed:
            text = json.loads(self.get(f"/schemas/ids/{number}"))["schema"]
            show({"schema": number, "avro": json.loads(text)})
            self.parsed[number] = fastavro.parse_schema(json.loads(text))
        return self.parsed[number]

    def get(self, path):
        """The answer; asked again where the registry drops the connection, as busy ones do."""
        for left in (2, 1, 0):
            try:
                with urllib.request.urlopen(self.url + path, timeout=30) as answer:
                    return answer.read()
            except ConnectionError:
                if not left:
                    raise
                time.sleep(1)

    def decode(self, value):
        """The Confluent wire format: a zero byte, the schema's id, the Avro record."""
        magic, number = struct.unpack(">bI", value[:5])
        if magic != 0:
            raise ValueError(f"the value begins with {magic}, not with 0")
        rest = io.BytesIO(value[5:])
        decoded = fastavro.schemaless_reader(rest, self.schema(number))
        if rest.read(1):
            raise ValueError("the value goes on behind the record")
        return number, decoded


EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def plain(value):
    """Times as epoch milliseconds, as they are in the record."""
    if isinstance(value, datetime.datetime):
        return (value - EPOCH) // datetime.timedelta(milliseconds=1)
    raise TypeError(f"{type(value)} has no JSON")


def show(line):
    sys.stdout.write(json.dumps(line, default=plain, ensure_ascii=False) + "\n")


def text(raw):
    return None if raw is None else raw.decode("utf-8")


def describe(message, registry, raw, ids):
    line = {
        "topic": message.topic(), "partition": message.partition(), "offset": message.offset(),
        "time": message.timestamp()[1], "key": text(message.key()),
        "headers": [[name, text(value)] for name, value in message.headers() or []],
    }
    value = message.value()
    if value is not None and raw:
        line["text"] = text(value)
    elif value is not None and ids:
        line["schema_id"] = struct.unpack(">bI", value[:5])[1]
    elif value is not None:
        line["schema_id"], line["value"] = registry.decode(value)
    show(line)


class Watch:
    """The partitions that are read: all those of the topics wanted."""

    def __init__(self, consumer, wanted):
        self.consumer, self.wanted = consumer, wanted
        self.open, self.known = set(), set()

    def look(self):
        metadata = self.consumer.list_topics(timeout=30)
        new = []
        for name, topic in metadata.topics.items():
            if self.wanted(name):
                for number in topic.partitions:
                    if (name, number) not in self.known:
                        new.append(TopicPartition(name, number, OFFSET_BEGINNING))
        for p in new:
            self.known.add((p.topic, p.partition))
            self.open.add((p.topic, p.partition))
        if new:
            self.consumer.incremental_assign(new)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--brokers", required=True)
    arguments.add_argument("--registry", required=True)
    arguments.add_argument("--prefix", required=True, help="of the topics")
    arguments.add_argument("--isolation", default="read_committed")
    arguments.add_argument("--raw", action="store_true", help="values are texts, not Avro")
    arguments.add_argument("--ids", action="store_true", help="schema ids alone, whatever they name")
    arguments.add_argument("--follow", action="store_true", help="go on for ever, new topics too")
    a = arguments.parse_args()
    consumer = Consumer({
        "bootstrap.servers": a.brokers, "group.id": "e2e", "isolation.level": a.isolation,
        "enable.auto.commit": False, "auto.offset.reset": "earliest", "enable.partition.eof": not a.follow,
        "fetch.wait.max.ms": 50, "fetch.error.backoff.ms": 50, "reconnect.backoff.max.ms": 500,
        "allow.auto.create.topics": False,
    })
    registry, watch, looked = Registry(a.registry), Watch(consumer, lambda name: name.startswith(a.prefix)), 0.0
    while True:
        if time.monotonic() - looked > 0.3 and (a.follow or not looked):
            try:
                watch.look()
            except KafkaException:
                if not a.follow:
                    raise
            looked = time.monotonic()
        if not a.follow and not watch.open:
            break
        for message in consumer.consume(1000, timeout=0.05):
            error = message.error()
            if error is None:
                describe(message, registry, a.raw, a.ids)
            elif error.code() == KafkaError._PARTITION_EOF:
                watch.open.discard((message.topic(), message.partition()))
            elif not a.follow:
                raise KafkaException(error)
        sys.stdout.flush()
    consumer.close()


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        pass
