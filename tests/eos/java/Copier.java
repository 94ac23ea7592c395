import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/** Copies a topic to another in transactions, partition by partition, with the offsets in the same transaction; aborts some. */
public class Copier {
  public static void main(String[] args) throws Exception {
    while (true) {
      try {
        copy(args);
      } catch (KafkaException e) { // fenced, or the outcome is not known: whoever comes next under this id goes on
        System.out.println("anew after " + e);
        Thread.sleep(100);
      }
    }
  }

  static void copy(String[] args) {
    String group = args[1], id = args[2], from = args[3], to = args[4], protocol = args[5];
    Properties c = new Properties();
    c.put("bootstrap.servers", args[0]);
    c.put("group.id", group);
    c.put("group.protocol", protocol);
    if (protocol.equals("classic")) {
      c.put("session.timeout.ms", "6000");
      c.put("heartbeat.interval.ms", "1000");
    }
    c.put("isolation.level", "read_committed");
    c.put("enable.auto.commit", "false");
    c.put("auto.offset.reset", "earliest");
    c.put("max.poll.records", "50");
    c.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
    c.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
    Properties p = new Properties();
    p.put("bootstrap.servers", args[0]);
    p.put("transactional.id", id);
    p.put("transaction.timeout.ms", "10000");
    p.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
    p.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
    try (KafkaConsumer<String, String> in = new KafkaConsumer<>(c); KafkaProducer<String, String> out = new KafkaProducer<>(p)) {
      out.initTransactions();
      in.subscribe(List.of(from));
      for (int n = 0; ; n++) {
        ConsumerRecords<String, String> records = in.poll(Duration.ofMillis(200));
        if (records.isEmpty()) {
          continue;
        }
        out.beginTransaction();
        Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
        for (ConsumerRecord<String, String> r : records) {
          out.send(new ProducerRecord<>(to, r.partition(), r.key(), r.value()));
          next.put(new TopicPartition(r.topic(), r.partition()), new OffsetAndMetadata(r.offset() + 1));
        }
        out.sendOffsetsToTransaction(next, in.groupMetadata());
        if (n % 5 == 4) { // given up on purpose: the records are read again
          out.abortTransaction();
          for (TopicPartition tp : records.partitions()) {
            in.seek(tp, records.records(tp).get(0).offset());
          }
        } else {
          out.commitTransaction();
        }
      }
    }
  }
}
