import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;
import java.util.function.Supplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/** Apache's Java client as a worker: only what clients from 2.8 to 4.3 have in common. */
public final class Worker {
    private static final Duration POLL = Duration.ofMillis(50);
    private static final long STEP_MS = 40_000;
    private static final String BOOTSTRAP = System.getenv("BOOTSTRAP");
    private static final short REPLICAS = Short.parseShort(System.getenv("REPLICAS"));
    private final Map<String, Member> members = new ConcurrentHashMap<>();

    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err); // nothing that a library prints may mix with the answers
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Worker worker = new Worker();
        for (String line; (line = in.readLine()) != null;) {
            Map<String, Object> answer = new LinkedHashMap<>();
            try {
                worker.serve(Json.parse(line), answer);
            } catch (Throwable t) {
                StringWriter trace = new StringWriter();
                t.printStackTrace(new PrintWriter(trace));
                answer.put("error", trace.toString().lines().limit(6).reduce("", (a, b) -> a + b + "\n"));
            }
            out.println(Json.write(answer));
        }
        System.exit(0);
    }

    private void serve(Map<String, Object> req, Map<String, Object> answer) throws Exception {
        String topic = (String) req.get("topic");
        switch ((String) req.get("op")) {
            case "hello": answer.put("version", AppInfoParser.getVersion()); break;
            case "create": create(topic, number(req, "partitions")); break;
            case "produce": answer.put("offsets", produce(topic, req)); break;
            case "consume": answer.put("records", consume(topic, number(req, "partitions"), number(req, "count"))); break;
            case "join": members.put((String) req.get("name"), new Member((String) req.get("group"), topic, (String) req.get("strategy"), (String) req.get("name"))); break;
            case "members": {
                Map<String, Object> states = new LinkedHashMap<>();
                members.forEach((name, m) -> states.put(name, m.state()));
                answer.put("members", states);
                break;
            }
            case "leave": members.get((String) req.get("name")).leave(); break;
            case "commit": commit((String) req.get("group"), topic, number(req, "offset")); break;
            case "resume": answer.put("offset", resume((String) req.get("group"), topic)); break;
            case "transact": transact((String) req.get("name"), (String) req.get("group"), topic, (String) req.get("out"), number(req, "count")); break;
            case "admin": admin(topic); break;
            default: throw new IllegalArgumentException("no operation " + req.get("op"));
        }
    }

    private static int number(Map<String, Object> req, String key) {
        return ((Long) req.getOrDefault(key, 0L)).intValue();
    }

    private static byte[] bytes(Object base64) {
        return base64 == null ? null : Base64.getDecoder().decode((String) base64);
    }

    private static String text(byte[] raw) {
        return raw == null ? null : Base64.getEncoder().encodeToString(raw);
    }

    private static Admin newAdmin() {
        Properties p = new Properties();
        p.put("bootstrap.servers", BOOTSTRAP);
        return Admin.create(p);
    }

    private static void create(String topic, int partitions) throws Exception {
        try (Admin admin = newAdmin()) {
            admin.createTopics(Collections.singleton(new NewTopic(topic, partitions, REPLICAS))).all().get();
        }
    }

    @SuppressWarnings("unchecked")
    private static List<Long> produce(String topic, Map<String, Object> req) throws Exception {
        boolean idempotent = Boolean.TRUE.equals(req.get("idempotent"));
        Properties p = new Properties();
        p.put("bootstrap.servers", BOOTSTRAP);
        p.put("acks", "all");
        p.put("linger.ms", "5");
        p.put("compression.type", req.get("codec"));
        p.put("enable.idempotence", String.valueOf(idempotent));
        if (!idempotent) p.put("max.in.flight.requests.per.connection", "1");
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (Object o : (List<Object>) req.get("records")) {
                Map<String, Object> r = (Map<String, Object>) o;
                List<Header> headers = new ArrayList<>();
                if (r.get("headers") != null) {
                    for (Object h : (List<Object>) r.get("headers")) {
                        Map<String, Object> kv = (Map<String, Object>) h;
                        headers.add(new RecordHeader((String) kv.get("k"), bytes(kv.get("v"))));
                    }
                }
                sent.add(producer.send(new ProducerRecord<>(topic, number(r, "p"), (Long) r.get("t"), bytes(r.get("key")), bytes(r.get("value")), headers)));
            }
        }
        List<Long> offsets = new ArrayList<>();
        for (Future<RecordMetadata> f : sent) offsets.add(f.get().offset());
        return offsets;
    }

    private static KafkaConsumer<byte[], byte[]> newConsumer(String group, Map<String, String> more) {
        Properties p = new Properties();
        p.put("bootstrap.servers", BOOTSTRAP);
        p.put("auto.offset.reset", "earliest");
        p.put("enable.auto.commit", "false");
        if (group != null) p.put("group.id", group);
        p.putAll(more);
        return new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static List<Object> consume(String topic, int partitions, int count) {
        List<Object> out = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> c = newConsumer(null, Collections.emptyMap())) {
            List<TopicPartition> tps = new ArrayList<>();
            for (int i = 0; i < partitions; i++) tps.add(new TopicPartition(topic, i));
            c.assign(tps);
            c.seekToBeginning(tps);
            long end = System.currentTimeMillis() + STEP_MS;
            while (out.size() < count) {
                if (System.currentTimeMillis() > end) throw new IllegalStateException(out.size() + " of " + count + " records within " + STEP_MS + " ms");
                for (ConsumerRecord<byte[], byte[]> r : c.poll(POLL)) out.add(recordOut(r));
            }
        }
        return out;
    }

    private static Map<String, Object> recordOut(ConsumerRecord<byte[], byte[]> r) {
        if (r.timestampType() != TimestampType.CREATE_TIME) throw new IllegalStateException("timestamp type " + r.timestampType());
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("p", r.partition());
        m.put("o", r.offset());
        m.put("t", r.timestamp());
        m.put("key", text(r.key()));
        m.put("value", text(r.value()));
        List<Object> headers = new ArrayList<>();
        for (Header h : r.headers()) {
            Map<String, Object> kv = new LinkedHashMap<>();
            kv.put("k", h.key());
            kv.put("v", text(h.value()));
            headers.add(kv);
        }
        m.put("headers", headers);
        return m;
    }

    /** One group member on its own thread; the lists are guarded by the object's lock. */
    private static final class Member {
        private final Thread thread;
        private volatile boolean quit;
        private List<Integer> assigned = new ArrayList<>();
        private final List<List<Long>> records = new ArrayList<>();
        private String error = "";

        Member(String group, String topic, String strategy, String name) {
            thread = new Thread(() -> {
                try (KafkaConsumer<byte[], byte[]> c = newConsumer(group, config(strategy, group + "-" + name))) {
                    c.subscribe(Collections.singleton(topic));
                    while (!quit) turn(c);
                } catch (Throwable t) {
                    synchronized (this) {
                        error = t.toString();
                    }
                }
                synchronized (this) {
                    assigned = new ArrayList<>();
                }
            });
            thread.setDaemon(true);
            thread.start();
        }

        private static Map<String, String> config(String strategy, String instance) {
            Map<String, String> m = new HashMap<>();
            m.put("enable.auto.commit", "true");
            m.put("auto.commit.interval.ms", "200");
            if (strategy.equals("consumer")) {
                m.put("group.protocol", "consumer");
                return m;
            }
            if (strategy.equals("static")) m.put("group.instance.id", instance);
            m.put("session.timeout.ms", "10000");
            m.put("heartbeat.interval.ms", "300");
            m.put("partition.assignment.strategy", strategy.equals("cooperative")
                ? "org.apache.kafka.clients.consumer.CooperativeStickyAssignor" : "org.apache.kafka.clients.consumer.RangeAssignor");
            return m;
        }

        private void turn(KafkaConsumer<byte[], byte[]> c) {
            Collection<ConsumerRecord<byte[], byte[]>> got = new ArrayList<>();
            c.poll(POLL).forEach(got::add);
            synchronized (this) {
                assigned = new ArrayList<>();
                for (TopicPartition tp : c.assignment()) assigned.add(tp.partition());
                for (ConsumerRecord<byte[], byte[]> r : got) records.add(Arrays.asList((long) r.partition(), r.offset()));
            }
        }

        synchronized Map<String, Object> state() {
            Map<String, Object> m = new LinkedHashMap<>();
            m.put("assigned", new ArrayList<>(assigned));
            m.put("records", new ArrayList<>(records));
            m.put("error", error);
            return m;
        }

        void leave() throws InterruptedException {
            quit = true;
            thread.join(STEP_MS);
            if (thread.isAlive()) throw new IllegalStateException("the member did not leave");
            synchronized (this) {
                if (!error.isEmpty()) throw new IllegalStateException(error);
            }
        }
    }

    private static void commit(String group, String topic, int offset) {
        Map<String, String> few = Collections.singletonMap("max.poll.records", String.valueOf(offset));
        try (KafkaConsumer<byte[], byte[]> c = newConsumer(group, few)) {
            c.subscribe(Collections.singleton(topic));
            long last = -1;
            for (long end = System.currentTimeMillis() + STEP_MS; last < offset - 1;) {
                if (System.currentTimeMillis() > end) throw new IllegalStateException("not enough records");
                for (ConsumerRecord<byte[], byte[]> r : c.poll(POLL)) last = r.offset();
            }
            c.commitSync(Collections.singletonMap(new TopicPartition(topic, 0), new OffsetAndMetadata(offset, "a note")));
            OffsetAndMetadata back = c.committed(Collections.singleton(new TopicPartition(topic, 0))).get(new TopicPartition(topic, 0));
            if (back.offset() != offset || !back.metadata().equals("a note")) throw new IllegalStateException("committed is " + back);
        }
    }

    private static long resume(String group, String topic) {
        try (KafkaConsumer<byte[], byte[]> c = newConsumer(group, Collections.emptyMap())) {
            c.subscribe(Collections.singleton(topic));
            for (long end = System.currentTimeMillis() + STEP_MS; System.currentTimeMillis() < end;) {
                for (ConsumerRecord<byte[], byte[]> r : c.poll(POLL)) return r.offset();
            }
            throw new IllegalStateException("no record");
        }
    }

    /** Copies committed records in transactions of ten with their offsets; the second transaction is aborted and done again. */
    private static void transact(String id, String group, String in, String out, int count) {
        Properties p = new Properties();
        p.put("bootstrap.servers", BOOTSTRAP);
        p.put("transactional.id", id);
        Map<String, String> more = Map.of("isolation.level", "read_committed", "max.poll.records", "10");
        try (KafkaProducer<byte[], byte[]> to = new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer());
             KafkaConsumer<byte[], byte[]> from = newConsumer(group, more)) {
            to.initTransactions();
            from.subscribe(Collections.singleton(in));
            long end = System.currentTimeMillis() + STEP_MS;
            for (int done = 0, turn = 0; done < count;) {
                if (System.currentTimeMillis() > end) throw new IllegalStateException(done + " of " + count + " records copied");
                List<ConsumerRecord<byte[], byte[]>> got = new ArrayList<>();
                from.poll(POLL).forEach(got::add);
                if (got.isEmpty()) continue;
                to.beginTransaction();
                for (ConsumerRecord<byte[], byte[]> r : got) to.send(new ProducerRecord<>(out, 0, null, r.value()));
                TopicPartition tp = new TopicPartition(in, 0);
                to.sendOffsetsToTransaction(Map.of(tp, new OffsetAndMetadata(got.get(got.size() - 1).offset() + 1)), from.groupMetadata());
                if (turn++ == 1) {
                    to.abortTransaction();
                    from.seek(tp, got.get(0).offset());
                    continue;
                }
                to.commitTransaction();
                done += got.size();
            }
        }
    }

    private static void admin(String topic) throws Exception {
        try (Admin admin = newAdmin()) {
            NewTopic t = new NewTopic(topic, 2, REPLICAS).configs(Collections.singletonMap("retention.ms", "3600000"));
            admin.createTopics(Collections.singleton(t)).all().get();
            admin.createPartitions(Collections.singletonMap(topic, NewPartitions.increaseTo(5))).all().get();
            // describeTopics() lost its old accessor in 4.0, listOffsets() asks each partition's leader.
            eventually(() -> {
                Map<TopicPartition, OffsetSpec> ask = new HashMap<>();
                for (int i = 0; i < 5; i++) ask.put(new TopicPartition(topic, i), OffsetSpec.latest());
                return String.valueOf(admin.listOffsets(ask).all().get().size());
            }, "5");
            ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            AlterConfigOp set = new AlterConfigOp(new ConfigEntry("retention.ms", "7200000"), AlterConfigOp.OpType.SET);
            admin.incrementalAlterConfigs(Collections.singletonMap(resource, Collections.singleton(set))).all().get();
            eventually(() -> {
                Config config = admin.describeConfigs(Collections.singleton(resource)).all().get().get(resource);
                return config.get("retention.ms").value();
            }, "7200000");
            produce(topic, new HashMap<>(Map.of("codec", "none", "records", List.of(
                Map.of("p", 0L, "t", System.currentTimeMillis()), Map.of("p", 0L, "t", System.currentTimeMillis())))));
            TopicPartition first = new TopicPartition(topic, 0);
            long low = admin.deleteRecords(Collections.singletonMap(first, RecordsToDelete.beforeOffset(1))).lowWatermarks().get(first).get().lowWatermark();
            if (low != 1) throw new IllegalStateException("low watermark " + low + " instead of 1");
            if (admin.describeCluster().nodes().get().isEmpty()) throw new IllegalStateException("the cluster has no nodes");
            if (!admin.listTopics().names().get().contains(topic)) throw new IllegalStateException("the topic is not listed");
            admin.deleteTopics(Collections.singleton(topic)).all().get();
        }
    }

    private interface Look {
        String now() throws Exception;
    }

    private static void eventually(Look look, String want) throws Exception {
        Supplier<Exception> fail;
        long end = System.currentTimeMillis() + 5_000;
        do {
            try {
                String got = look.now();
                if (got.equals(want)) return;
                fail = () -> new IllegalStateException(got + " instead of " + want);
            } catch (Exception e) {
                fail = () -> e;
            }
            Thread.sleep(50);
        } while (System.currentTimeMillis() < end);
        throw fail.get();
    }
}
