"""aiokafka as a worker: one event loop on a thread of its own, each request one coroutine on it."""

import asyncio
import os
import threading
import time

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from rpc import record_in, record_out, serve

BOOTSTRAP = os.environ["BOOTSTRAP"]
REPLICAS = int(os.environ["REPLICAS"])
STEP_S = 40
LOOP = asyncio.new_event_loop()


def on_loop(coroutine):
    return asyncio.run_coroutine_threadsafe(coroutine, LOOP).result(3 * STEP_S)


class Worker:
    """Calls the coroutine of each operation's name."""

    def __init__(self, ops):
        self.ops = ops

    def __getattr__(self, op):
        return lambda req: on_loop(getattr(self.ops, op)(req))

    def member(self, req):
        return Member(req)


class Member:
    """One group member: a task that polls."""

    def __init__(self, req):
        self.assigned, self.records, self.error, self.quit = [], [], "", False
        self.future = asyncio.run_coroutine_threadsafe(self.run(req), LOOP)

    async def run(self, req):
        try:
            instance = req["group"] + "-" + req["name"] if req["strategy"] == "static" else None
            c = reader(req["group"], topic=req["topic"], session_timeout_ms=10000, heartbeat_interval_ms=300,
                       auto_commit_interval_ms=200, enable_auto_commit=True, group_instance_id=instance,
                       partition_assignment_strategy=[RangePartitionAssignor])
            await c.start()
            while not self.quit:
                for tp, ms in (await c.getmany(timeout_ms=50)).items():
                    self.records += [[tp.partition, m.offset] for m in ms]
                self.assigned = [tp.partition for tp in c.assignment()]
            await c.stop()
        except Exception as e:
            self.error = repr(e)
        self.assigned = []

    def state(self):
        return {"assigned": list(self.assigned), "records": list(self.records), "error": self.error}

    def leave(self):
        self.quit = True
        self.future.result(20)
        if self.error:
            raise RuntimeError(self.error)


def reader(group=None, topic=None, **more):
    options = {"enable_auto_commit": False, "auto_offset_reset": "earliest", "max_partition_fetch_bytes": 4 << 20, **more}
    return AIOKafkaConsumer(*([topic] if topic else []), bootstrap_servers=BOOTSTRAP, group_id=group, **options)


async def admin():
    a = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await a.start()
    return a


def no_errors(resp):
    for e in resp.topic_errors if hasattr(resp, "topic_errors") else resp.topic_error_codes:
        if e[1]:
            raise RuntimeError(str(resp))


class Ops:
    async def hello(self, _):
        return {"version": aiokafka.__version__}

    async def create(self, req):
        a = await admin()
        no_errors(await a.create_topics([NewTopic(req["topic"], req["partitions"], REPLICAS)]))
        await a.close()

    async def produce(self, req):
        codec = None if req["codec"] == "none" else req["codec"]
        p = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, acks="all", compression_type=codec, linger_ms=5,
                             enable_idempotence=req.get("idempotent", False))
        await p.start()
        futures = []
        for r in req["records"]:
            partition, timestamp, key, value, headers = record_in(r)
            futures.append(await p.send(req["topic"], value=value, key=key, partition=partition, timestamp_ms=timestamp,
                                        headers=headers))
        await p.flush()
        offsets = [(await f).offset for f in futures]
        await p.stop()
        return {"offsets": offsets}

    async def consume(self, req):
        c = reader()
        await c.start()
        tps = [TopicPartition(req["topic"], p) for p in range(req["partitions"])]
        c.assign(tps)
        await c.seek_to_beginning(*tps)
        out = await self.take(c, req["count"])
        await c.stop()
        return {"records": [record_out(m.partition, m.offset, m.timestamp, m.key, m.value, m.headers) for m in out]}

    async def take(self, c, count):
        out, deadline = [], time.time() + STEP_S
        while len(out) < count:
            if time.time() > deadline:
                raise RuntimeError("%d of %d records within %d s" % (len(out), count, STEP_S))
            for ms in (await c.getmany(timeout_ms=500)).values():
                out += ms
        return out

    async def commit(self, req):
        c = reader(req["group"], topic=req["topic"], session_timeout_ms=10000)
        await c.start()
        await self.take(c, req["offset"])
        await c.commit({TopicPartition(req["topic"], 0): (req["offset"], "a note")})
        await c.stop()

    async def resume(self, req):
        c = reader(req["group"], topic=req["topic"], session_timeout_ms=10000)
        await c.start()
        first = (await self.take(c, 1))[0]
        await c.stop()
        return {"offset": first.offset}

    async def transact(self, req):
        """Copies committed records in transactions of ten with their offsets; the second is aborted and done again."""
        c = reader(topic=None, isolation_level="read_committed")
        await c.start()
        tp = TopicPartition(req["topic"], 0)
        c.assign([tp])
        await c.seek_to_beginning(tp)
        got = await self.take(c, req["count"])
        await c.stop()
        p = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=req["name"])
        await p.start()
        done, turn = 0, 0
        while done < len(got):
            part = got[done:done + 10]
            await p.begin_transaction()
            for m in part:
                await p.send(req["out"], value=m.value, partition=0)
            await p.send_offsets_to_transaction({tp: part[-1].offset + 1}, req["group"])
            turn += 1
            if turn == 2:
                await p.abort_transaction()
                continue
            await p.commit_transaction()
            done += len(part)
        await p.stop()

    async def admin(self, req):
        a, t = await admin(), req["topic"]
        no_errors(await a.create_topics([NewTopic(t, 2, REPLICAS, topic_configs={"retention.ms": "3600000"})]))
        await a.create_partitions({t: NewPartitions(5)})

        async def partitions():
            return len((await a.describe_topics([t]))[0]["partitions"])

        async def retention():
            found = await a.describe_configs([ConfigResource(ConfigResourceType.TOPIC, t, {"retention.ms": None})])
            return [e[1] for e in found[0].resources[0][4] if e[0] == "retention.ms"][0]

        await self.eventually(partitions, 5, "partitions")
        await a.alter_configs([ConfigResource(ConfigResourceType.TOPIC, t, {"retention.ms": "7200000"})])
        await self.eventually(retention, "7200000", "retention.ms")
        await a.list_consumer_groups()
        no_errors(await a.delete_topics([t]))
        await a.close()

    async def eventually(self, look, want, what):
        for _ in range(100):
            got = await look()
            if got == want:
                return
            await asyncio.sleep(0.05)
        raise RuntimeError("%s is %r instead of %r" % (what, got, want))


threading.Thread(target=LOOP.run_forever, daemon=True).start()
serve(Worker(Ops()))
