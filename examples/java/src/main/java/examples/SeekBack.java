package examples;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/** A record fails at first: the consumer goes back to it instead of losing it. */
public class SeekBack {
  public static void main(String[] args) throws Exception {
    String bootstrap = Tutorial.bootstrap(args);
    String topic = Tutorial.topic(bootstrap, "seekback", 1, 6);
    TopicPartition tp = new TopicPartition(topic, 0);
    Map<Long, Integer> tries = new HashMap<>();
    try (KafkaConsumer<String, String> consumer = Tutorial.consumer(bootstrap, topic + "-group", 10)) {
      consumer.subscribe(Set.of(topic));
      for (int done = 0; done < 6; ) {
        for (ConsumerRecord<String, String> r : Tutorial.poll(consumer)) {
          int n = tries.merge(r.offset(), 1, Integer::sum);
          if (r.offset() == 3 && n < 3) {
            System.out.println("offset 3 failed (the database is away): back to it");
            consumer.seek(tp, r.offset()); // the next poll begins again here
            break; // the rest of this poll is left: it would be out of order
          }
          consumer.commitSync(Map.of(tp, new OffsetAndMetadata(r.offset() + 1)));
          done++;
          System.out.println("offset " + r.offset() + " is done after " + n + " time(s)");
        }
      }
      Tutorial.expect(tries.get(3L) == 3, "offset 3 was tried " + tries.get(3L) + " times");
      Tutorial.expect(consumer.committed(Set.of(tp)).get(tp).offset() == 6, "not everything is committed");
    }
  }
}
