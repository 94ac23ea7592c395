// kafkajs as a worker of the line protocol: one JSON request a line in, one answer a line out.
'use strict'

const readline = require('readline')
const { Kafka, CompressionTypes, CompressionCodecs, logLevel, PartitionAssigners } = require('kafkajs')

// kafkajs brings gzip only; the other codecs come from packages where npm has them.
const snappy = require('snappyjs')
const lz4 = require('lz4-napi')
const zstd = require('@mongodb-js/zstd')

const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0])

function unxerial(buffer) {
  if (!buffer.subarray(0, 8).equals(XERIAL)) return Buffer.from(snappy.uncompress(buffer))
  const parts = []
  for (let at = 16; at < buffer.length;) {
    const size = buffer.readInt32BE(at)
    parts.push(Buffer.from(snappy.uncompress(buffer.subarray(at + 4, at + 4 + size))))
    at += 4 + size
  }
  return Buffer.concat(parts)
}

function xerial(raw) {
  const block = Buffer.from(snappy.compress(raw))
  const head = Buffer.alloc(12)
  head.writeInt32BE(1, 0)
  head.writeInt32BE(1, 4)
  head.writeInt32BE(block.length, 8)
  return Buffer.concat([XERIAL, head, block])
}

CompressionCodecs[CompressionTypes.Snappy] = () => ({
  compress: async (encoder) => xerial(encoder.buffer),
  decompress: async (buffer) => unxerial(buffer),
})
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (encoder) => lz4.compressFrame(encoder.buffer),
  decompress: async (buffer) => lz4.decompressFrame(buffer),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => zstd.compress(encoder.buffer, 3),
  decompress: async (buffer) => zstd.decompress(buffer),
})

const REPLICAS = Number(process.env.REPLICAS)

const codecs = {
  none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD,
}

const kafka = new Kafka({ clientId: 'kafkajs', brokers: process.env.BOOTSTRAP.split(','), logLevel: logLevel.ERROR,
  logCreator: () => ({ log }) => process.stderr.write(log.message + ' ' + (log.error || '') + '\n') })

const sleep = (ms) => new Promise((done) => setTimeout(done, ms))
const bytes = (v) => (v === null || v === undefined ? null : Buffer.from(v, 'base64'))
const text = (v) => (v === null || v === undefined ? null : Buffer.from(v).toString('base64'))
const STEP_MS = 40000

// until polls a condition that an event handler will make true.
async function until(condition, what) {
  for (const end = Date.now() + STEP_MS; Date.now() < end; await sleep(20)) if (condition()) return
  throw new Error(what + ' not within ' + STEP_MS + ' ms')
}

// kafkajs keeps headers in an object: repeated names become an array and lie together.
function headersIn(headers) {
  const out = {}
  for (const { k, v } of headers || []) out[k] = bytes(v)
  return out
}

function headersOut(headers) {
  const out = []
  for (const [k, v] of Object.entries(headers || {})) {
    for (const one of Array.isArray(v) ? v : [v]) out.push({ k, v: text(one) })
  }
  return out
}

const members = {}

function consumerOf(group) {
  return kafka.consumer({ groupId: group, sessionTimeout: 10000, heartbeatInterval: 300, rebalanceTimeout: 10000,
    maxWaitTimeInMs: 100, maxBytesPerPartition: 4 << 20, partitionAssigners: [PartitionAssigners.roundRobin] })
}

const ops = {
  hello: async () => ({ version: require('kafkajs/package.json').version }),

  create: async ({ topic, partitions }) => {
    const admin = kafka.admin()
    await admin.connect()
    await admin.createTopics({ topics: [{ topic, numPartitions: partitions, replicationFactor: REPLICAS }], waitForLeaders: true })
    await admin.disconnect()
  },

  // kafkajs sends what one call holds as one request; small calls keep the order and give several batches.
  produce: async ({ topic, codec, idempotent, records }) => {
    const producer = kafka.producer({ idempotent: !!idempotent, maxInFlightRequests: 1 })
    await producer.connect()
    const offsets = new Array(records.length).fill(-1)
    for (let from = 0; from < records.length; from += 30) {
      const part = records.slice(from, from + 30)
      const messages = part.map((r) => ({ key: bytes(r.key), value: bytes(r.value), partition: r.p,
        timestamp: String(r.t), headers: headersIn(r.headers) }))
      for (const ack of await producer.send({ topic, acks: -1, compression: codecs[codec], messages })) {
        let offset = Number(ack.baseOffset)
        part.forEach((r, i) => { if (r.p === ack.partition) offsets[from + i] = offset++ })
      }
    }
    await producer.disconnect()
    return { offsets }
  },

  consume: async ({ topic, count }) => {
    const consumer = consumerOf('read-' + topic + '-' + Date.now())
    const records = []
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({ autoCommit: false, eachMessage: async ({ partition, message: m }) => {
      records.push({ p: partition, o: Number(m.offset), t: Number(m.timestamp), key: text(m.key), value: text(m.value), headers: headersOut(m.headers) })
    } })
    await until(() => records.length >= count, count + ' records')
    await consumer.disconnect()
    return { records }
  },

  join: async ({ name, group, topic }) => {
    const consumer = consumerOf(group)
    const state = { assigned: [], records: [], error: '' }
    members[name] = { consumer, state }
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => { state.assigned = payload.memberAssignment[topic] || [] })
    consumer.on(consumer.events.REBALANCING, () => { state.assigned = [] })
    consumer.on(consumer.events.CRASH, ({ payload }) => { state.error = String(payload.error) })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({ autoCommitInterval: 200, eachMessage: async ({ partition, message }) => {
      state.records.push([partition, Number(message.offset)])
    } })
  },

  members: async () => ({ members: Object.fromEntries(Object.entries(members).map(([n, m]) => [n, m.state])) }),

  leave: async ({ name }) => {
    await members[name].consumer.disconnect()
    members[name].state.assigned = []
  },

  commit: async ({ group, topic, offset }) => {
    const consumer = consumerOf(group)
    let last = -1
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({ autoCommit: false, eachMessage: async ({ message }) => { last = Number(message.offset) } })
    await until(() => last >= offset - 1, 'offset ' + offset)
    await consumer.commitOffsets([{ topic, partition: 0, offset: String(offset) }])
    await consumer.disconnect()
  },

  resume: async ({ group, topic }) => {
    const consumer = consumerOf(group)
    let first = -1
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({ autoCommit: false, eachMessage: async ({ message }) => { if (first < 0) first = Number(message.offset) } })
    await until(() => first >= 0, 'a record')
    await consumer.disconnect()
    return { offset: first }
  },

  // Copies committed records in transactions of ten with their offsets; the second is aborted and done again.
  transact: async ({ name, group, topic, out, count }) => {
    const consumer = consumerOf(group)
    const got = []
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({ autoCommit: false, eachMessage: async ({ message }) => { got.push(message) } })
    await until(() => got.length >= count, count + ' records')
    await consumer.disconnect()
    const producer = kafka.producer({ transactionalId: name, idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    for (let from = 0, turn = 0; from < got.length; turn++) {
      const part = got.slice(from, from + 10)
      const tx = await producer.transaction()
      await tx.send({ topic: out, acks: -1, messages: part.map((m) => ({ value: m.value, partition: 0 })) })
      const next = String(Number(part[part.length - 1].offset) + 1)
      await tx.sendOffsets({ consumerGroupId: group, topics: [{ topic, partitions: [{ partition: 0, offset: next }] }] })
      if (turn === 1) {
        await tx.abort()
        continue
      }
      await tx.commit()
      from += part.length
    }
    await producer.disconnect()
  },

  admin: async ({ topic }) => {
    const admin = kafka.admin()
    await admin.connect()
    await admin.createTopics({ topics: [{ topic, numPartitions: 2, replicationFactor: REPLICAS, configEntries: [{ name: 'retention.ms', value: '3600000' }] }] })
    await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
    const eventually = async (look, want, what) => {
      let got
      for (let i = 0; i < 100; i++) {
        got = await look()
        if (got === want) return
        await sleep(50)
      }
      throw new Error(what + ' is ' + got + ' instead of ' + want)
    }
    await eventually(async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length, 5, 'partitions')
    await admin.alterConfigs({ resources: [{ type: 2, name: topic, configEntries: [{ name: 'retention.ms', value: '7200000' }] }] })
    await eventually(async () => {
      const found = await admin.describeConfigs({ resources: [{ type: 2, name: topic, configNames: ['retention.ms'] }] })
      return found.resources[0].configEntries[0].configValue
    }, '7200000', 'retention.ms')
    await admin.listGroups()
    await admin.deleteTopics({ topics: [topic] })
    await admin.disconnect()
  },
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    const req = JSON.parse(line)
    let answer
    try {
      answer = (await ops[req.op](req)) || {}
    } catch (e) {
      answer = { error: e.stack || String(e) }
    }
    process.stdout.write(JSON.stringify(answer) + '\n')
  }
  process.exit(0)
}

main()
