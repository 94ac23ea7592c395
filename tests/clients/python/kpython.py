"""kafka-python as a worker."""

import os
import time

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.structs import OffsetAndMetadata

from rpc import Member, record_in, record_out, serve

BOOTSTRAP = os.environ["BOOTSTRAP"].split(",")
REPLICAS = int(os.environ["REPLICAS"])
PIN = {"api_version": tuple(int(n) for n in os.environ["API_VERSION"].split("."))} if os.environ.get("API_VERSION") else {}


def strategies(name):
    from kafka.coordinator.assignors.range import RangePartitionAssignor
    if name == "cooperative":
        from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
        return [CooperativeStickyAssignor]
    return [RangePartitionAssignor]


def reader(group=None, **more):
    return KafkaConsumer(bootstrap_servers=BOOTSTRAP, **PIN, group_id=group, auto_offset_reset="earliest", **more)


def subscribe(c, topic):
    """Asks for the topic's partitions first. A leader that joins before it knows of them assigns nothing and joins again; when that
    second answer comes between two polls, kafka-python 3.0 has no reason to rejoin any more, never takes the answer up, and its
    member is thrown out when its session ends: on any broker whose first rebalance takes as long as its metadata, 0.1 s."""
    c.partitions_for_topic(topic)
    c.subscribe([topic])


class Client:
    def hello(self, _):
        return {"version": kafka.__version__}

    def create(self, req):
        adm = KafkaAdminClient(bootstrap_servers=BOOTSTRAP, **PIN)
        adm.create_topics([NewTopic(req["topic"], req["partitions"], REPLICAS)])
        adm.close()

    def produce(self, req):
        codec = None if req["codec"] == "none" else req["codec"]
        idempotent = req.get("idempotent", False)
        p = KafkaProducer(bootstrap_servers=BOOTSTRAP, **PIN, acks="all", compression_type=codec, linger_ms=5,
                          enable_idempotence=idempotent, max_in_flight_requests_per_connection=5 if idempotent else 1)
        futures = []
        for r in req["records"]:
            partition, timestamp, key, value, headers = record_in(r)
            futures.append(p.send(req["topic"], value=value, key=key, partition=partition, timestamp_ms=timestamp,
                                  headers=headers))
        p.flush(40)
        offsets = [f.get(1).offset for f in futures]
        p.close()
        return {"offsets": offsets}

    def consume(self, req):
        c = reader(enable_auto_commit=False)
        tps = [TopicPartition(req["topic"], p) for p in range(req["partitions"])]
        c.assign(tps)
        c.seek_to_beginning(*tps)
        out, deadline = [], time.time() + 40
        while len(out) < req["count"]:
            if time.time() > deadline:
                raise RuntimeError("%d of %d records within 40 s" % (len(out), req["count"]))
            for tp, records in c.poll(500).items():
                for m in records:
                    if m.timestamp_type != 0:
                        raise RuntimeError("timestamp type %r instead of CreateTime" % m.timestamp_type)
                    out.append(record_out(tp.partition, m.offset, m.timestamp, m.key, m.value, m.headers))
        c.close()
        return {"records": out}

    def member(self, req):
        static = {"group_instance_id": req["group"] + "-" + req["name"]} if req["strategy"] == "static" else {}

        def open_consumer():
            c = reader(req["group"], session_timeout_ms=10000, heartbeat_interval_ms=300, auto_commit_interval_ms=200,
                       partition_assignment_strategy=strategies(req["strategy"]), max_poll_interval_ms=60000, **static)
            subscribe(c, req["topic"])
            return c

        def turn(c):
            records = [[tp.partition, m.offset] for tp, ms in c.poll(50).items() for m in ms]
            return [tp.partition for tp in c.assignment()], records

        return Member(open_consumer, turn, lambda c: c.close())

    def commit(self, req):
        c = reader(req["group"], enable_auto_commit=False, max_poll_records=req["offset"], session_timeout_ms=10000)
        subscribe(c, req["topic"])
        tp, deadline = TopicPartition(req["topic"], 0), time.time() + 40
        last = -1
        while last < req["offset"] - 1:
            if time.time() > deadline:
                raise RuntimeError("not enough records within 40 s")
            for ms in c.poll(500).values():
                last = ms[-1].offset
        c.commit({tp: OffsetAndMetadata(req["offset"], "", -1)})
        c.close()

    def resume(self, req):
        c = reader(req["group"], enable_auto_commit=False, session_timeout_ms=10000)
        subscribe(c, req["topic"])
        deadline = time.time() + 40
        while time.time() < deadline:
            for ms in c.poll(500).values():
                c.close()
                return {"offset": ms[0].offset}
        raise RuntimeError("no record within 40 s")

    def transact(self, req):
        """Copies committed records in transactions of ten with their offsets; the second is aborted and done again."""
        p = KafkaProducer(bootstrap_servers=BOOTSTRAP, **PIN, transactional_id=req["name"])
        p.init_transactions()
        c = reader(req["group"], enable_auto_commit=False, isolation_level="read_committed", max_poll_records=10,
                   session_timeout_ms=10000)
        subscribe(c, req["topic"])
        tp = TopicPartition(req["topic"], 0)
        done, turn, deadline = 0, 0, time.time() + 60
        while done < req["count"]:
            if time.time() > deadline:
                raise RuntimeError("%d of %d records copied" % (done, req["count"]))
            got = [m for ms in c.poll(500).values() for m in ms]
            if not got:
                continue
            p.begin_transaction()
            for m in got:
                p.send(req["out"], value=m.value, partition=0)
            p.send_offsets_to_transaction({tp: OffsetAndMetadata(got[-1].offset + 1, "", -1)}, c.group_metadata())
            turn += 1
            if turn == 2:
                p.abort_transaction()
                c.seek(tp, got[0].offset)
                continue
            p.commit_transaction()
            done += len(got)
        c.close()
        p.close()

    def admin(self, req):
        adm, t = KafkaAdminClient(bootstrap_servers=BOOTSTRAP, **PIN), req["topic"]
        adm.create_topics([NewTopic(t, 2, REPLICAS, topic_configs={"retention.ms": "3600000"})])
        adm.create_partitions({t: NewPartitions(5)})
        self.eventually(lambda: len(adm.describe_topics([t])[0]["partitions"]), 5, "partitions")
        adm.alter_configs([ConfigResource(ConfigResourceType.TOPIC, t, {"retention.ms": "7200000"})])
        self.eventually(lambda: self.retention(adm, t), "7200000", "retention.ms")
        adm.delete_topics([t])
        adm.close()

    def retention(self, adm, t):
        found = adm.describe_configs([ConfigResource(ConfigResourceType.TOPIC, t)])
        return found["topic"][t]["retention.ms"]["value"]

    def eventually(self, look, want, what):
        for _ in range(100):
            got = look()
            if got == want:
                return
            time.sleep(0.05)
        raise RuntimeError("%s is %r instead of %r" % (what, got, want))


serve(Client())
