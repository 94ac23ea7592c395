// @platformatic/kafka as a worker of the line protocol: one JSON request a line in, one answer a line out.
'use strict'

const fs = require('fs')
const path = require('path')
const readline = require('readline')
const { Admin, Consumer, Producer, MessagesStreamModes, MessagesStreamFallbackModes } = require('@platformatic/kafka')

const BROKERS = process.env.BOOTSTRAP.split(',')
const REPLICAS = Number(process.env.REPLICAS)
const STEP_MS = 40000

const sleep = (ms) => new Promise((done) => setTimeout(done, ms))
const bytes = (v) => (v === null || v === undefined ? null : Buffer.from(v, 'base64'))
const text = (v) => (v === null || v === undefined ? null : Buffer.from(v).toString('base64'))
const base = (id) => ({ clientId: id, bootstrapBrokers: BROKERS, retries: 10, retryDelay: 200, metadataMaxAge: 200 })

async function until(condition, what) {
  for (const end = Date.now() + STEP_MS; Date.now() < end; await sleep(20)) if (condition()) return
  throw new Error(what + ' not within ' + STEP_MS + ' ms')
}

const admin = async (fn) => {
  const a = new Admin(base('admin'))
  try {
    return await fn(a)
  } finally {
    await a.close()
  }
}

function consumerOf(group, more) {
  return new Consumer({ ...base('consumer'), groupId: group, maxWaitTime: 100, maxBytesPerPartition: 4 << 20, ...more })
}

const classic = { sessionTimeout: 10000, rebalanceTimeout: 20000, heartbeatInterval: 300 }

// Headers go in as a map from buffers, so names may repeat; they come out as a list.
const headersIn = (headers) => new Map((headers || []).map(({ k, v }) => [Buffer.from(k), bytes(v)]))
const headersOut = (entries) => entries.map(([k, v]) => ({ k: k.toString(), v: text(v) }))

async function stream(consumer, topic, more) {
  return consumer.consume({ topics: [topic], autocommit: false, mode: MessagesStreamModes.COMMITTED,
    fallbackMode: MessagesStreamFallbackModes.EARLIEST, ...more })
}

async function collect(group, topic, count, more, then) {
  const consumer = consumerOf(group, classic)
  const s = await stream(consumer, topic, more)
  const got = []
  let failed
  s.on('data', (m) => got.push(m))
  s.on('error', (e) => { failed = e })
  await until(() => failed || got.length >= count, count + ' records')
  if (failed) throw failed
  const result = then ? await then(got, consumer) : undefined
  await s.close()
  await consumer.close(true)
  return result
}

const members = {}

const ops = {
  hello: async () => ({ version: JSON.parse(fs.readFileSync(path.join(process.env.NODE_PATH, '@platformatic/kafka/package.json'))).version }),

  create: ({ topic, partitions }) => admin((a) => a.createTopics({ topics: [topic], partitions, replicas: REPLICAS })).then(() => ({})),

  produce: async ({ topic, codec, idempotent, records }) => {
    const producer = new Producer({ ...base('producer'), idempotent: !!idempotent })
    const offsets = new Array(records.length).fill(-1)
    for (let from = 0; from < records.length; from += 30) {
      const part = records.slice(from, from + 30)
      const messages = part.map((r) => ({ topic, partition: r.p, key: bytes(r.key), value: bytes(r.value), timestamp: BigInt(r.t), headers: headersIn(r.headers) }))
      for (const ack of (await producer.send({ messages, acks: -1, compression: codec })).offsets) {
        let offset = Number(ack.offset)
        part.forEach((r, i) => { if (r.p === ack.partition) offsets[from + i] = offset++ })
      }
    }
    await producer.close()
    return { offsets }
  },

  consume: ({ topic, count }) => collect('read-' + topic + '-' + Date.now(), topic, count, {}, async (got) => ({
    records: got.map((m) => ({ p: m.partition, o: Number(m.offset), t: Number(m.timestamp), key: text(m.key), value: text(m.value), headers: headersOut(m.headerEntries) })),
  })),

  join: async ({ name, group, topic, strategy }) => {
    const state = { assigned: [], records: [], error: '' }
    const how = strategy === 'consumer' ? { groupProtocol: 'consumer' } : { ...classic }
    if (strategy === 'static') how.groupInstanceId = group + '-' + name
    const consumer = consumerOf(group, how)
    members[name] = { consumer, state, topic }
    const s = await stream(consumer, topic, { autocommit: 200 })
    members[name].stream = s
    s.on('data', (m) => state.records.push([m.partition, Number(m.offset)]))
    s.on('error', (e) => { state.error = String(e) })
  },

  members: async () => ({ members: Object.fromEntries(Object.entries(members).map(([n, m]) => {
    const mine = m.left ? [] : (m.consumer.assignments || []).filter((a) => a.topic === m.topic).flatMap((a) => a.partitions)
    return [n, { ...m.state, assigned: mine }]
  })) }),

  leave: async ({ name }) => {
    const m = members[name]
    m.left = true
    await m.stream.close()
    await m.consumer.close(true)
  },

  commit: async ({ group, topic, offset }) => {
    await collect(group, topic, offset, {}, (got, consumer) => consumer.commit({ offsets: [{ topic, partition: 0, offset: BigInt(offset), leaderEpoch: got[offset - 1].leaderEpoch }] }))
  },

  resume: ({ group, topic }) => collect(group, topic, 1, {}, async (got) => ({ offset: Number(got[0].offset) })),

  // Copies committed records in transactions of ten with their offsets; the second is aborted and done again.
  transact: async ({ name, group, topic, out, count }) => {
    await collect(group, topic, count, { isolationLevel: 1 }, async (got, consumer) => {
      const producer = new Producer({ ...base('copier'), transactionalId: name, idempotent: true })
      for (let from = 0, turn = 0; from < got.length; turn++) {
        const part = got.slice(from, from + 10)
        const tx = await producer.beginTransaction()
        await tx.addConsumer(consumer)
        await tx.send({ messages: part.map((m) => ({ topic: out, partition: 0, value: m.value })) })
        await tx.addOffset(part[part.length - 1])
        if (turn === 1) {
          await tx.abort()
          continue
        }
        await tx.commit()
        from += part.length
      }
      await producer.close()
    })
  },

  admin: ({ topic }) => admin(async (a) => {
    const eventually = async (look, want, what) => {
      let got
      for (let i = 0; i < 100; i++) {
        got = await look()
        if (got === want) return
        await sleep(50)
      }
      throw new Error(what + ' is ' + got + ' instead of ' + want)
    }
    await a.createTopics({ topics: [topic], partitions: 2, replicas: REPLICAS, configs: [{ name: 'retention.ms', value: '3600000' }] })
    await a.createPartitions({ topics: [{ name: topic, count: 5 }] })
    await eventually(async () => (await a.metadata({ topics: [topic], forceUpdate: true })).topics.get(topic).partitionsCount, 5, 'partitions')
    await a.incrementalAlterConfigs({ resources: [{ resourceType: 2, resourceName: topic, configs: [{ name: 'retention.ms', configOperation: 0, value: '7200000' }] }] })
    await eventually(async () => {
      const found = await a.describeConfigs({ resources: [{ resourceType: 2, resourceName: topic, configurationKeys: ['retention.ms'] }] })
      return found[0].configs[0].value
    }, '7200000', 'retention.ms')
    await a.listGroups()
    await a.deleteTopics({ topics: [topic] })
  }),
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    const req = JSON.parse(line)
    let answer
    try {
      answer = (await ops[req.op](req)) || {}
    } catch (e) {
      answer = { error: (e.stack || String(e)) + (e.errors ? ' ' + e.errors.map(String).join(', ') : '') }
    }
    process.stdout.write(JSON.stringify(answer) + '\n')
  }
  process.exit(0)
}

main()
