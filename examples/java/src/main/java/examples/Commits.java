package examples;

import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/** commitSync in its four forms, and commitAsync. */
public class Commits {
  public static void main(String[] args) throws Exception {
    String bootstrap = Tutorial.bootstrap(args);
    String topic = Tutorial.topic(bootstrap, "commits", 1, 20);
    TopicPartition tp = new TopicPartition(topic, 0);
    try (KafkaConsumer<String, String> consumer = Tutorial.consumer(bootstrap, topic + "-group", 4)) {
      consumer.subscribe(Set.of(topic));

      // 1. Everything that the last poll has returned. What is committed is the offset of the next record, not of the last.
      Tutorial.poll(consumer);
      consumer.commitSync();
      shows(consumer, tp, "commitSync()", 4);

      // 2. The same, but it waits only for so long.
      Tutorial.poll(consumer);
      consumer.commitSync(Duration.ofSeconds(10));
      shows(consumer, tp, "commitSync(timeout)", 8);

      // 3. Offsets that one names: here one record of four. Those after it are read again if this program ends now.
      long first = Tutorial.poll(consumer).records(tp).get(0).offset();
      consumer.commitSync(Map.of(tp, new OffsetAndMetadata(first + 1, "a word that is kept with the offset")));
      shows(consumer, tp, "commitSync(offsets)", 9);

      // 4. Both.
      long last = Tutorial.last(Tutorial.poll(consumer)).offset();
      consumer.commitSync(Map.of(tp, new OffsetAndMetadata(last + 1)), Duration.ofSeconds(10));
      shows(consumer, tp, "commitSync(offsets, timeout)", 16);

      // 5. Without waiting: the answer comes to a function, in a later poll. A commit that fails is not repeated, since a later
      // one may have succeeded meanwhile and must not be undone.
      Tutorial.poll(consumer);
      CompletableFuture<Exception> answer = new CompletableFuture<>();
      consumer.commitAsync((offsets, error) -> answer.complete(error));
      System.out.println("(this line is printed while the commit is on its way)");
      while (!answer.isDone()) {
        consumer.poll(Duration.ofMillis(50));
      }
      Tutorial.expect(answer.get() == null, "commitAsync failed: " + answer.get());
      shows(consumer, tp, "commitAsync(callback)", 20);
    }
  }

  private static void shows(KafkaConsumer<String, String> consumer, TopicPartition tp, String form, long want) {
    long got = consumer.committed(Set.of(tp)).get(tp).offset();
    System.out.printf("%-30s the group reads next from offset %d%n", form, got);
    Tutorial.expect(got == want, form + ": committed " + got + ", want " + want);
  }
}
