package examples;

import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/** Where a consumer is, what it has committed, where the log ends, and the high watermark that it knows, side by side. */
public class Positions {
  public static void main(String[] args) throws Exception {
    String bootstrap = Tutorial.bootstrap(args);
    String topic = Tutorial.topic(bootstrap, "positions", 1, 10);
    TopicPartition tp = new TopicPartition(topic, 0);
    try (KafkaConsumer<String, String> consumer = Tutorial.consumer(bootstrap, topic + "-group", 6)) {
      consumer.subscribe(Set.of(topic));
      System.out.println("                         position  committed  log end  high watermark");
      Tutorial.poll(consumer);
      Tutorial.expect(look(consumer, tp, "six records are polled").equals("6 -1 10 10"), "as printed");
      consumer.commitSync(Map.of(tp, new OffsetAndMetadata(4)));
      Tutorial.expect(look(consumer, tp, "four are committed").equals("6 4 10 10"), "as printed");
      Tutorial.write(bootstrap, topic, 1, 10, 11);
      String now = look(consumer, tp, "one more is written");
      Tutorial.expect(now.startsWith("6 4 11 "), now);
    }
  }

  /** The position is the consumer's own business; the high watermark is position and lag, which the consumer knows from its fetches. */
  private static String look(KafkaConsumer<String, String> consumer, TopicPartition tp, String when) {
    long position = consumer.position(tp);
    OffsetAndMetadata c = consumer.committed(Set.of(tp)).get(tp);
    long committed = c == null ? -1 : c.offset();
    long end = consumer.endOffsets(Set.of(tp)).get(tp);
    OptionalLong lag = consumer.currentLag(tp);
    long highWatermark = position + lag.orElse(0);
    System.out.printf("%-24s %8d %10d %8d %15d%n", when, position, committed, end, highWatermark);
    return position + " " + committed + " " + end + " " + highWatermark;
  }
}
