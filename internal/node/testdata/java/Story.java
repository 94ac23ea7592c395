import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.*;

/**
 * A client that lives through changes of the broker behind its address. It reads one command a line from standard input
 * and answers each with "ok" or "error ..." on standard output.
 */
public class Story {
    static String boot;
    static Map<String, KafkaProducer<String, String>> producers = new HashMap<>();
    static Admin admin;

    static Properties props(String... kv) {
        Properties p = new Properties();
        p.put("bootstrap.servers", boot);
        p.put("reconnect.backoff.max.ms", "200");
        p.put("client.id", "story");
        for (int i = 0; i < kv.length; i += 2) p.put(kv[i], kv[i + 1]);
        return p;
    }
    static KafkaProducer<String, String> producer(String name, String... kv) {
        return producers.computeIfAbsent(name, n -> new KafkaProducer<>(props(kv), new StringSerializer(), new StringSerializer()));
    }

    /** produce NAME CODEC TOPIC COUNT ROUNDTAG: a producer of that name, which goes on where it was. */
    static void produce(String name, String codec, String topic, int count, String tag) throws Exception {
        KafkaProducer<String, String> p = producer(name, "compression.type", codec, "linger.ms", "5", "batch.size", "4000", "delivery.timeout.ms", "60000", "request.timeout.ms", "10000");
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            ProducerRecord<String, String> r = new ProducerRecord<>(topic, null, "key-" + i % 20, tag + "-" + codec + "-" + i + "-" + "x".repeat(i % 97));
            if (i % 3 == 0) r.headers().add("h", ("v" + i).getBytes());
            sent.add(p.send(r));
        }
        p.flush();
        for (Future<RecordMetadata> f : sent) f.get(60, TimeUnit.SECONDS);
    }

    /** txn ID TOPIC COUNT commit|abort|open TAG */
    static void txn(String id, String topic, int count, String how, String tag) throws Exception {
        boolean fresh = !producers.containsKey(id);
        KafkaProducer<String, String> p = producer(id, "transactional.id", id, "transaction.timeout.ms", "900000");
        if (fresh) p.initTransactions();
        p.beginTransaction();
        for (int i = 0; i < count; i++) p.send(new ProducerRecord<>(topic, "k" + i, tag + "-" + how + "-" + i));
        p.flush();
        if (how.equals("commit")) p.commitTransaction();
        if (how.equals("abort")) p.abortTransaction();
    }

    /** group ID PROTOCOL TOPIC COUNT: joins, reads so many records and commits. */
    static void group(String id, String protocol, String topic, int count) {
        Properties p = props("group.id", id, "group.protocol", protocol, "auto.offset.reset", "earliest", "enable.auto.commit", "false", "max.poll.records", "50");
        try (KafkaConsumer<String, String> c = new KafkaConsumer<>(p, new StringDeserializer(), new StringDeserializer())) {
            c.subscribe(List.of(topic));
            int got = 0;
            long deadline = System.currentTimeMillis() + 60000;
            while (got < count) {
                if (System.currentTimeMillis() > deadline) throw new RuntimeException("only " + got + " records");
                got += c.poll(Duration.ofMillis(300)).count();
            }
            c.commitSync();
        }
    }

    /** Waits until a compacted topic has lost records to the cleaner. */
    static void cleaned(String topic, int below) throws Exception {
        long deadline = System.currentTimeMillis() + 60000;
        for (;;) {
            int n = read(topic, 0, "read_uncommitted").size();
            if (n < below) return;
            if (System.currentTimeMillis() > deadline) throw new RuntimeException(topic + " has still " + n + " records");
            Thread.sleep(500);
            // Only closed segments are cleaned: a record more closes the last one.
            producer("roller").send(new ProducerRecord<>(topic, "roll", "r")).get();
        }
    }

    static List<String> read(String topic, int partition, String isolation) {
        TopicPartition tp = new TopicPartition(topic, partition);
        List<String> out = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> c = new KafkaConsumer<>(props("isolation.level", isolation, "enable.auto.commit", "false"), new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            c.assign(List.of(tp));
            c.seekToBeginning(List.of(tp));
            long end = c.endOffsets(List.of(tp)).get(tp);
            out.add("from " + c.beginningOffsets(List.of(tp)).get(tp) + " to " + end);
            long deadline = System.currentTimeMillis() + 60000;
            while (c.position(tp) < end) {
                if (System.currentTimeMillis() > deadline) throw new RuntimeException(tp + " " + isolation + ": stuck at " + c.position(tp) + " of " + end);
                for (ConsumerRecord<byte[], byte[]> r : c.poll(Duration.ofMillis(200)))
                    out.add(r.offset() + " " + r.leaderEpoch().orElse(-1) + " " + r.timestampType() + " " + r.timestamp() + " " + text(r.key()) + " " + text(r.value()) + " "
                        + Arrays.stream(r.headers().toArray()).map(h -> h.key() + "=" + text(h.value())).collect(Collectors.joining(",")));
            }
        }
        return out;
    }
    /** The last record of each key: what a cleaner may not take away, whenever it comes. */
    static List<String> latest(List<String> records) {
        Map<String, String> byKey = new TreeMap<>();
        for (String r : records.subList(1, records.size())) byKey.put(r.split(" ")[4], r);
        byKey.values().removeIf(r -> r.split(" ")[5].equals("null"));
        return new ArrayList<>(byKey.values());
    }
    static String text(byte[] b) { return b == null ? "null" : new String(b, StandardCharsets.UTF_8); }

    /** state FILE: writes down all that a client can see of the cluster. */
    static void state(String file) throws Exception {
        List<String> out = new ArrayList<>();
        List<String> topics = new ArrayList<>(admin.listTopics().names().get());
        Collections.sort(topics);
        var described = admin.describeTopics(topics).allTopicNames().get();
        List<ConfigResource> rs = new ArrayList<>();
        for (String t : topics) rs.add(new ConfigResource(ConfigResource.Type.TOPIC, t));
        rs.add(new ConfigResource(ConfigResource.Type.BROKER, "1"));
        rs.add(new ConfigResource(ConfigResource.Type.BROKER, ""));
        var configs = admin.describeConfigs(rs).all().get();
        for (ConfigResource r : rs)
            configs.get(r).entries().stream().filter(e -> e.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG || e.source() == ConfigEntry.ConfigSource.DYNAMIC_BROKER_CONFIG || e.source() == ConfigEntry.ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG)
                .map(e -> "config " + r.type() + " " + r.name() + " " + e.source() + " " + e.name() + "=" + e.value()).sorted().forEach(out::add);
        for (String t : topics) {
            TopicDescription d = described.get(t);
            out.add("topic " + t + " " + d.topicId() + " partitions " + d.partitions().size());
            for (var p : d.partitions())
                for (String isolation : List.of("read_uncommitted", "read_committed")) {
                    out.add("partition " + t + "-" + p.partition() + " " + isolation);
                    List<String> records = read(t, p.partition(), isolation);
                    out.addAll(t.startsWith("compacted") ? latest(records) : records);
                }
        }
        List<String> groups = new ArrayList<>();
        for (GroupListing g : admin.listGroups().all().get()) groups.add(g.groupId());
        Collections.sort(groups);
        for (String g : groups) {
            var offsets = admin.listConsumerGroupOffsets(g).partitionsToOffsetAndMetadata().get();
            offsets.entrySet().stream().map(e -> "group " + g + " " + e.getKey() + " " + (e.getValue() == null ? "none" : e.getValue().offset() + " " + e.getValue().metadata())).sorted().forEach(out::add);
        }
        Files.write(Paths.get(file), out);
    }

    static void create(String topic, int partitions, String... configs) throws Exception {
        Map<String, String> m = new HashMap<>();
        for (String c : configs) m.put(c.substring(0, c.indexOf('=')), c.substring(c.indexOf('=') + 1));
        admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(m))).all().get();
    }

    static void brokerConfig(String broker, String key, String value) throws Exception {
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.BROKER, broker), List.of(new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET)))).all().get();
    }

    static void run(String[] w) throws Exception {
        switch (w[0]) {
            case "create" -> create(w[1], Integer.parseInt(w[2]), Arrays.copyOfRange(w, 3, w.length));
            case "broker-config" -> brokerConfig(w[1].equals("-") ? "" : w[1], w[2], w[3]);
            case "produce" -> produce(w[1], w[2], w[3], Integer.parseInt(w[4]), w[5]);
            case "tombstone" -> producer("roller").send(new ProducerRecord<>(w[1], w[2], null)).get();
            case "txn" -> txn(w[1], w[2], Integer.parseInt(w[3]), w[4], w[5]);
            case "end" -> { if (w[2].equals("commit")) producers.get(w[1]).commitTransaction(); else producers.get(w[1]).abortTransaction(); }
            case "group" -> group(w[1], w[2], w[3], Integer.parseInt(w[4]));
            case "cleaned" -> cleaned(w[1], Integer.parseInt(w[2]));
            case "state" -> state(w[1]);
            default -> throw new RuntimeException("no command " + w[0]);
        }
    }

    public static void main(String[] a) throws Exception {
        boot = a[0];
        admin = Admin.create(props("default.api.timeout.ms", "60000", "request.timeout.ms", "20000"));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null; ) {
            try { run(line.split(" ")); System.out.println("ok"); }
            catch (Throwable t) {
                StringWriter s = new StringWriter();
                t.printStackTrace(new PrintWriter(s));
                System.out.println("error " + s.toString().replace("\n", " | "));
            }
            System.out.flush();
        }
        System.exit(0); // transactions stay open
    }
}
