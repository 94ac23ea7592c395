package examples;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/** What every example needs and none is about: a topic with records in it, and an end when something is not as the example says. */
final class Tutorial {
  private Tutorial() {}

  static String bootstrap(String[] args) {
    return args.length > 0 ? args[0] : "localhost:9092";
  }

  /** A topic of its own with "record 0", "record 1" and so on, in turn in each partition. */
  static String topic(String bootstrap, String name, int partitions, int records) throws Exception {
    name = name + "-" + System.nanoTime();
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
      admin.createTopics(List.of(new NewTopic(name, Optional.of(partitions), Optional.empty()))).all().get();
    }
    write(bootstrap, name, partitions, 0, records);
    return name;
  }

  /** Writes the records of these numbers. */
  static void write(String bootstrap, String topic, int partitions, int from, int to) {
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(Map.of(
        "bootstrap.servers", bootstrap,
        "key.serializer", "org.apache.kafka.common.serialization.StringSerializer",
        "value.serializer", "org.apache.kafka.common.serialization.StringSerializer"))) {
      for (int i = from; i < to; i++) {
        producer.send(new ProducerRecord<>(topic, i % partitions, null, "record " + i));
      }
    }
  }

  /** The settings of a consumer that commits by itself only if it is told to. */
  static Properties settings(String bootstrap, String group) {
    Properties p = new Properties();
    p.put("bootstrap.servers", bootstrap);
    p.put("group.id", group);
    p.put("enable.auto.commit", "false");
    p.put("auto.offset.reset", "earliest");
    p.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
    p.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
    return p;
  }

  static KafkaConsumer<String, String> consumer(String bootstrap, String group, int recordsPerPoll) {
    Properties p = settings(bootstrap, group);
    p.put("max.poll.records", Integer.toString(recordsPerPoll));
    return new KafkaConsumer<>(p);
  }

  /** Polls until there are records. */
  static ConsumerRecords<String, String> poll(KafkaConsumer<String, String> consumer) {
    long deadline = System.currentTimeMillis() + 60_000;
    while (System.currentTimeMillis() < deadline) {
      ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(200));
      if (!records.isEmpty()) {
        return records;
      }
    }
    throw new IllegalStateException("no records came for a minute");
  }

  /** The last record of a poll of one partition. */
  static ConsumerRecord<String, String> last(ConsumerRecords<String, String> records) {
    ConsumerRecord<String, String> last = null;
    for (ConsumerRecord<String, String> r : records) {
      last = r;
    }
    return last;
  }

  static void expect(boolean ok, String otherwise) {
    if (!ok) {
      throw new IllegalStateException(otherwise);
    }
  }
}
