//! rdkafka, over librdkafka, as a worker of the line protocol: one JSON request a line in, one answer a line out.

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::ClientContext;
use serde_json::{json, Value};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// Shorter than the runner's own bound of a step.
const STEP: Duration = Duration::from_secs(40);

fn main() {
    let mut worker = Worker { members: HashMap::new() };
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let answer = serde_json::from_str(&line).map_err(Into::into).and_then(|req: Value| worker.serve(&req));
        let answer = answer.unwrap_or_else(|e| json!({"error": e.to_string()}));
        let mut out = std::io::stdout().lock();
        if writeln!(out, "{answer}").and_then(|_| out.flush()).is_err() {
            return;
        }
    }
}

fn text<'a>(req: &'a Value, key: &str) -> &'a str {
    req[key].as_str().unwrap_or("")
}

fn number(req: &Value, key: &str) -> i64 {
    req[key].as_i64().unwrap_or(0)
}

fn bytes(v: &Value) -> Fallible<Option<Vec<u8>>> {
    v.as_str().map(|s| STANDARD.decode(s).map_err(Into::into)).transpose()
}

fn coded(b: Option<&[u8]>) -> Value {
    b.map_or(Value::Null, |b| json!(STANDARD.encode(b)))
}

fn config(more: &[(&str, &str)]) -> ClientConfig {
    let mut c = ClientConfig::new();
    c.set("bootstrap.servers", std::env::var("BOOTSTRAP").unwrap_or_default());
    for (k, v) in more {
        c.set(*k, *v);
    }
    c
}

fn reader(group: &str, more: &[(&str, &str)]) -> Fallible<BaseConsumer> {
    let mut c = config(&[("group.id", group), ("auto.offset.reset", "earliest"), ("enable.auto.commit", "false")]);
    for (k, v) in more {
        c.set(*k, *v);
    }
    Ok(c.create()?)
}

/// Remembers at which offset each record was acknowledged.
#[derive(Default)]
struct Acks(Mutex<HashMap<usize, Result<i64, String>>>);

impl ClientContext for Acks {}

impl ProducerContext for Acks {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, i: usize) {
        let outcome = match result {
            Ok(m) => Ok(m.offset()),
            Err((e, _)) => Err(e.to_string()),
        };
        self.0.lock().unwrap().insert(i, outcome);
    }
}

/// A group member that polls on a thread of its own.
struct Member {
    quit: Arc<AtomicBool>,
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    assigned: Vec<i32>,
    records: Vec<(i32, i64)>,
    error: String,
}

struct Worker {
    members: HashMap<String, Member>,
}

impl Worker {
    fn serve(&mut self, req: &Value) -> Fallible<Value> {
        match text(req, "op") {
            "hello" => Ok(json!({"version": format!("0.39.0, librdkafka {}", rdkafka::util::get_rdkafka_version().1)})),
            "create" => create(text(req, "topic"), number(req, "partitions") as i32, &[]),
            "produce" => produce(req),
            "consume" => consume(req),
            "join" => self.join(req),
            "members" => Ok(self.states()),
            "leave" => self.leave(text(req, "name")),
            "commit" => commit(req),
            "resume" => resume(req),
            "transact" => transact(req),
            "admin" => administer(text(req, "topic")),
            op => Err(format!("no operation {op}").into()),
        }
    }

    fn join(&mut self, req: &Value) -> Fallible<Value> {
        let instance = format!("{}-{}", text(req, "group"), text(req, "name"));
        // Closing polls until all is closed, and throws away what that gives: only what has been seen is committed.
        let mut how = vec![("enable.auto.commit", "true"), ("auto.commit.interval.ms", "200"), ("enable.auto.offset.store", "false")];
        match text(req, "strategy") {
            "consumer" => how.push(("group.protocol", "consumer")),
            strategy => {
                how.extend([("session.timeout.ms", "10000"), ("heartbeat.interval.ms", "300")]);
                how.push(("partition.assignment.strategy", if strategy == "cooperative" { "cooperative-sticky" } else { "range" }));
                if strategy == "static" {
                    how.push(("group.instance.id", &instance));
                }
            }
        }
        let consumer = reader(text(req, "group"), &how)?;
        consumer.subscribe(&[text(req, "topic")])?;
        let (quit, state) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(State::default())));
        let (ends, seen) = (quit.clone(), state.clone());
        let thread = std::thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                turn(&consumer, &seen);
            }
            drop(consumer);
            seen.lock().unwrap().assigned.clear();
        });
        self.members.insert(text(req, "name").into(), Member { quit, state, thread: Some(thread) });
        Ok(json!({}))
    }

    fn states(&self) -> Value {
        let mut all = serde_json::Map::new();
        for (name, m) in &self.members {
            let s = m.state.lock().unwrap();
            all.insert(name.clone(), json!({"assigned": s.assigned, "records": s.records, "error": s.error}));
        }
        json!({"members": all})
    }

    fn leave(&mut self, name: &str) -> Fallible<Value> {
        let m = self.members.get_mut(name).ok_or("there is no such member")?;
        m.quit.store(true, Ordering::Relaxed);
        if let Some(t) = m.thread.take() {
            t.join().map_err(|_| "the member's thread has panicked")?;
        }
        let error = m.state.lock().unwrap().error.clone();
        if error.is_empty() { Ok(json!({})) } else { Err(error.into()) }
    }
}

fn turn(consumer: &BaseConsumer, seen: &Mutex<State>) {
    let got = consumer.poll(Duration::from_millis(50));
    let assigned = consumer.assignment();
    let mut s = seen.lock().unwrap();
    match got {
        Some(Ok(m)) => {
            s.records.push((m.partition(), m.offset()));
            // It fails when the partition is another member's by now, which will be given the record too.
            let _ = consumer.store_offset_from_message(&m);
        }
        Some(Err(e)) => s.error = e.to_string(),
        None => {}
    }
    match assigned {
        Ok(tps) => s.assigned = tps.elements().iter().map(|e| e.partition()).collect(),
        Err(e) => s.error = e.to_string(),
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(Duration::from_secs(20))).operation_timeout(Some(Duration::from_secs(20)))
}

fn admin() -> Fallible<AdminClient<DefaultClientContext>> {
    Ok(config(&[]).create()?)
}

fn create(topic: &str, partitions: i32, settings: &[(&str, &str)]) -> Fallible<Value> {
    let replicas: i32 = std::env::var("REPLICAS")?.parse()?;
    let mut t = NewTopic::new(topic, partitions, TopicReplication::Fixed(replicas));
    for (k, v) in settings {
        t = t.set(k, v);
    }
    for r in block_on(admin()?.create_topics([&t], &options()))? {
        r.map_err(|(name, e)| format!("cannot create {name}: {e}"))?;
    }
    Ok(json!({}))
}

fn produce(req: &Value) -> Fallible<Value> {
    let idempotent = req["idempotent"].as_bool().unwrap_or(false);
    let c = config(&[
        ("acks", "all"),
        ("linger.ms", "5"),
        ("compression.type", text(req, "codec")),
        ("enable.idempotence", if idempotent { "true" } else { "false" }),
        ("max.in.flight.requests.per.connection", if idempotent { "5" } else { "1" }),
    ]);
    let producer: ThreadedProducer<Acks> = c.create_with_context(Acks::default())?;
    let none = vec![];
    let records = req["records"].as_array().unwrap_or(&none);
    for (i, r) in records.iter().enumerate() {
        let (key, value) = (bytes(&r["key"])?, bytes(&r["value"])?);
        let mut headers = OwnedHeaders::new();
        for h in r["headers"].as_array().unwrap_or(&none) {
            let v = bytes(&h["v"])?;
            headers = headers.insert(Header { key: text(h, "k"), value: v.as_ref() });
        }
        let mut rec: BaseRecord<'_, Vec<u8>, Vec<u8>, usize> = BaseRecord::with_opaque_to(text(req, "topic"), i)
            .partition(number(r, "p") as i32)
            .timestamp(number(r, "t"))
            .headers(headers);
        if let Some(k) = &key {
            rec = rec.key(k);
        }
        if let Some(v) = &value {
            rec = rec.payload(v);
        }
        producer.send(rec).map_err(|(e, _)| e)?;
    }
    producer.flush(STEP)?;
    let acks = producer.context().0.lock().unwrap();
    let mut offsets = vec![];
    for i in 0..records.len() {
        offsets.push(acks.get(&i).ok_or("a record was not acknowledged")?.clone()?);
    }
    Ok(json!({"offsets": offsets}))
}

/// Calls enough for each record until it says so.
fn take(c: &BaseConsumer, mut enough: impl FnMut(&BorrowedMessage<'_>) -> Fallible<bool>) -> Fallible<()> {
    let end = Instant::now() + STEP;
    while Instant::now() < end {
        if let Some(m) = c.poll(Duration::from_millis(200)) {
            if enough(&m?)? {
                return Ok(());
            }
        }
    }
    Err("not enough records in time".into())
}

fn consume(req: &Value) -> Fallible<Value> {
    let topic = text(req, "topic");
    let c = reader(&format!("unused-{topic}"), &[])?;
    let mut tps = TopicPartitionList::new();
    for p in 0..number(req, "partitions") {
        tps.add_partition_offset(topic, p as i32, Offset::Beginning)?;
    }
    c.assign(&tps)?;
    let mut records = vec![];
    take(&c, |m| {
        let mut headers = vec![];
        if let Some(hs) = m.headers() {
            for h in hs.iter() {
                headers.push(json!({"k": h.key, "v": coded(h.value)}));
            }
        }
        records.push(json!({"p": m.partition(), "o": m.offset(), "t": m.timestamp().to_millis(), "key": coded(m.key()),
            "value": coded(m.payload()), "headers": headers}));
        Ok(records.len() as i64 >= number(req, "count"))
    })?;
    Ok(json!({"records": records}))
}

fn member_of(req: &Value, more: &[(&str, &str)]) -> Fallible<BaseConsumer> {
    let c = reader(text(req, "group"), &[&[("session.timeout.ms", "10000")], more].concat())?;
    c.subscribe(&[text(req, "topic")])?;
    Ok(c)
}

fn commit(req: &Value) -> Fallible<Value> {
    let c = member_of(req, &[])?;
    take(&c, |m| {
        let last = m.offset() >= number(req, "offset") - 1;
        if last {
            c.commit_message(m, CommitMode::Sync)?;
        }
        Ok(last)
    })?;
    Ok(json!({}))
}

fn resume(req: &Value) -> Fallible<Value> {
    let c = member_of(req, &[])?;
    let mut first = -1;
    take(&c, |m| {
        first = m.offset();
        Ok(true)
    })?;
    Ok(json!({"offset": first}))
}

/// Copies committed records in transactions of ten with their offsets; the second is aborted and done again.
fn transact(req: &Value) -> Fallible<Value> {
    let producer: ThreadedProducer<Acks> = config(&[("transactional.id", text(req, "name"))]).create_with_context(Acks::default())?;
    producer.init_transactions(STEP)?;
    let c = member_of(req, &[("isolation.level", "read_committed")])?;
    let mut all = vec![];
    take(&c, |m| {
        all.push((m.offset(), m.payload().unwrap_or_default().to_vec()));
        Ok(all.len() as i64 >= number(req, "count"))
    })?;
    let (mut from, mut turn) = (0, 0);
    while from < all.len() {
        let part = &all[from..all.len().min(from + 10)];
        producer.begin_transaction()?;
        for (i, (_, value)) in part.iter().enumerate() {
            let rec: BaseRecord<'_, Vec<u8>, Vec<u8>, usize> = BaseRecord::with_opaque_to(text(req, "out"), i).partition(0).payload(value);
            producer.send(rec).map_err(|(e, _)| e)?;
        }
        let mut next = TopicPartitionList::new();
        next.add_partition_offset(text(req, "topic"), 0, Offset::Offset(part[part.len() - 1].0 + 1))?;
        producer.send_offsets_to_transaction(&next, &c.group_metadata().ok_or("the consumer is in no group")?, STEP)?;
        turn += 1;
        if turn == 2 {
            producer.abort_transaction(STEP)?;
            continue;
        }
        producer.commit_transaction(STEP)?;
        from += part.len();
    }
    Ok(json!({}))
}

fn administer(topic: &str) -> Fallible<Value> {
    let (adm, opts) = (admin()?, options());
    create(topic, 2, &[("retention.ms", "3600000")])?;
    for r in block_on(adm.create_partitions([&NewPartitions::new(topic, 5)], &opts))? {
        r.map_err(|(name, e)| format!("cannot grow {name}: {e}"))?;
    }
    eventually("5", || {
        let md = adm.inner().fetch_metadata(Some(topic), Duration::from_secs(5))?;
        Ok(md.topics()[0].partitions().len().to_string())
    })?;
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("retention.ms", "7200000");
    for r in block_on(adm.alter_configs([&change], &opts))? {
        r.map_err(|(_, e)| format!("cannot alter the config: {e}"))?;
    }
    eventually("7200000", || {
        let mut found = block_on(adm.describe_configs([&ResourceSpecifier::Topic(topic)], &opts))?;
        let resource = found.remove(0)?;
        Ok(resource.get("retention.ms").and_then(|e| e.value.clone()).unwrap_or_default())
    })?;
    for r in block_on(adm.delete_topics(&[topic], &opts))? {
        r.map_err(|(name, e)| format!("cannot delete {name}: {e}"))?;
    }
    Ok(json!({}))
}

/// Looks again until the answer has spread through the cluster.
fn eventually(want: &str, look: impl Fn() -> Fallible<String>) -> Fallible<()> {
    let mut got = String::new();
    for _ in 0..100 {
        got = look()?;
        if got == want {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(format!("{got} instead of {want}").into())
}
