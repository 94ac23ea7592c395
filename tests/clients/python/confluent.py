"""confluent-kafka (librdkafka) as a worker."""

import os
import time

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

from rpc import Member, record_in, record_out, serve

BOOTSTRAP = os.environ["BOOTSTRAP"]
REPLICAS = int(os.environ["REPLICAS"])
EXTRA = dict(kv.split("=", 1) for kv in os.environ.get("EXTRA", "").split(",") if kv)
TIMESTAMPED = 1  # TIMESTAMP_CREATE_TIME


def config(**more):
    c = {"bootstrap.servers": BOOTSTRAP}
    c.update(EXTRA)
    c.update({k.replace("_", "."): v for k, v in more.items()})
    return c


def reader(group, **more):
    return Consumer(config(group_id=group, auto_offset_reset="earliest", **more))


class Client:
    def hello(self, _):
        return {"version": "%s, librdkafka %s" % (confluent_kafka.version()[0] if isinstance(confluent_kafka.version(), tuple)
                                                  else confluent_kafka.version(), confluent_kafka.libversion()[0])}

    def create(self, req):
        adm = AdminClient(config())  # must outlive its futures
        adm.create_topics([NewTopic(req["topic"], req["partitions"], REPLICAS)])[req["topic"]].result(20)

    def produce(self, req):
        p = Producer(config(acks="all", compression_type=req["codec"], enable_idempotence=req.get("idempotent", False),
                            linger_ms=5, max_in_flight_requests_per_connection=5 if req.get("idempotent") else 1))
        offsets, failures = [None] * len(req["records"]), []

        def delivered(i):
            def fn(err, msg):
                if err is not None:
                    failures.append("record %d: %s" % (i, err))
                else:
                    offsets[i] = msg.offset()
            return fn

        for i, r in enumerate(req["records"]):
            partition, timestamp, key, value, headers = record_in(r)
            p.produce(req["topic"], value=value, key=key, partition=partition, timestamp=timestamp, headers=headers,
                      on_delivery=delivered(i))
            p.poll(0)
        left = p.flush(40)
        if left or failures:
            raise RuntimeError("%d records not acknowledged; %s" % (left, failures[:3]))
        return {"offsets": offsets}

    def consume(self, req):
        c = reader("unused-" + req["topic"], enable_auto_commit=False)
        c.assign([TopicPartition(req["topic"], p, 0) for p in range(req["partitions"])])
        out, deadline = [], time.time() + 40
        while len(out) < req["count"]:
            if time.time() > deadline:
                raise RuntimeError("%d of %d records within 40 s" % (len(out), req["count"]))
            for m in c.consume(500, 0.5):
                if m.error():
                    raise RuntimeError(str(m.error()))
                kind, ts = m.timestamp()
                if kind != TIMESTAMPED:
                    raise RuntimeError("timestamp type %d instead of CreateTime" % kind)
                out.append(record_out(m.partition(), m.offset(), ts, m.key(), m.value(), m.headers()))
        c.close()
        return {"records": out}

    def member(self, req):
        more = {"session_timeout_ms": 10000, "heartbeat_interval_ms": 300, "auto_commit_interval_ms": 200}
        if req["strategy"] == "consumer":
            more = {"group_protocol": "consumer", "auto_commit_interval_ms": 200}
        else:
            more["partition_assignment_strategy"] = "cooperative-sticky" if req["strategy"] == "cooperative" else "range"
        if req["strategy"] == "static":
            more["group_instance_id"] = req["group"] + "-" + req["name"]

        def open_consumer():
            c = reader(req["group"], **more)
            c.subscribe([req["topic"]])
            return c

        def turn(c):
            records = []
            for m in self.some(c):
                if m.error():
                    if m.error().code() in (KafkaError._PARTITION_EOF,):
                        continue
                    raise RuntimeError(str(m.error()))
                records.append([m.partition(), m.offset()])
            return [tp.partition for tp in c.assignment()], records

        return Member(open_consumer, turn, lambda c: c.close())

    def some(self, c):
        """Before librdkafka 2.1 a batch that a rebalance interrupts is lost, as its notes say: those read one by one."""
        if confluent_kafka.libversion()[1] >= 0x02010000:
            return c.consume(200, 0.05)
        m = c.poll(0.05)
        return [] if m is None else [m]

    def commit(self, req):
        c = reader(req["group"], enable_auto_commit=False, session_timeout_ms=10000)
        c.subscribe([req["topic"]])
        m, deadline = None, time.time() + 40
        while m is None or m.offset() < req["offset"] - 1:
            if time.time() > deadline:
                raise RuntimeError("not enough records within 40 s")
            got = c.poll(0.5)
            if got is None:
                continue
            if got.error():
                raise RuntimeError(str(got.error()))
            m = got
        done = c.commit(message=m, asynchronous=False)
        if done[0].error:
            raise RuntimeError(str(done[0].error))
        c.close()

    def resume(self, req):
        c = reader(req["group"], enable_auto_commit=False, session_timeout_ms=10000)
        c.subscribe([req["topic"]])
        deadline = time.time() + 40
        while time.time() < deadline:
            m = c.poll(0.5)
            if m is not None:
                if m.error():
                    raise RuntimeError(str(m.error()))
                c.close()
                return {"offset": m.offset()}
        raise RuntimeError("no record within 40 s")

    def transact(self, req):
        """Copies committed records in transactions of ten with their offsets; the second is aborted and done again."""
        p = Producer(config(transactional_id=req["name"]))
        p.init_transactions(30)
        c = reader(req["group"], enable_auto_commit=False, isolation_level="read_committed", session_timeout_ms=10000)
        c.subscribe([req["topic"]])
        done, turn, deadline = 0, 0, time.time() + 60
        while done < req["count"]:
            if time.time() > deadline:
                raise RuntimeError("%d of %d records copied" % (done, req["count"]))
            got = c.consume(10, 0.5)
            for m in got:
                if m.error():
                    raise RuntimeError(str(m.error()))
            if not got:
                continue
            p.begin_transaction()
            for m in got:
                p.produce(req["out"], value=m.value(), partition=0)
            p.send_offsets_to_transaction([TopicPartition(req["topic"], 0, got[-1].offset() + 1)], c.consumer_group_metadata())
            turn += 1
            if turn == 2:
                p.abort_transaction()
                c.seek(TopicPartition(req["topic"], 0, got[0].offset()))
                continue
            p.commit_transaction()
            done += len(got)
        c.close()

    def admin(self, req):
        adm, t = AdminClient(config()), req["topic"]
        adm.create_topics([NewTopic(t, 2, REPLICAS, config={"retention.ms": "3600000"})])[t].result(20)
        adm.create_partitions([NewPartitions(t, 5)])[t].result(20)
        self.eventually(lambda: len(adm.list_topics(t, 10).topics[t].partitions), 5, "partitions")
        self.set_retention(adm, t)

        def retention():
            r = ConfigResource(ConfigResource.Type.TOPIC, t)
            return adm.describe_configs([r])[r].result(20)["retention.ms"].value
        self.eventually(retention, "7200000", "retention.ms")
        if t not in adm.list_topics(timeout=20).topics:
            raise RuntimeError("the topic is not among all topics")
        adm.delete_topics([t])[t].result(20)
        if hasattr(adm, "list_consumer_groups"):
            adm.list_consumer_groups().result(20)
        else:
            adm.list_groups(timeout=20)

    def set_retention(self, adm, t):
        """Old versions have only the call that replaces all of a topic's configs."""
        if not hasattr(adm, "incremental_alter_configs"):
            resource = ConfigResource(ConfigResource.Type.TOPIC, t, set_config={"retention.ms": "7200000"})
            adm.alter_configs([resource])[resource].result(20)
            return
        from confluent_kafka.admin import AlterConfigOpType, ConfigEntry
        resource = ConfigResource(ConfigResource.Type.TOPIC, t, incremental_configs=[
            ConfigEntry("retention.ms", "7200000", incremental_operation=AlterConfigOpType.SET)])
        adm.incremental_alter_configs([resource])[resource].result(20)

    def eventually(self, look, want, what):
        for _ in range(100):
            got = look()
            if got == want:
                return
            time.sleep(0.05)
        raise RuntimeError("%s is %r instead of %r" % (what, got, want))


serve(Client())
