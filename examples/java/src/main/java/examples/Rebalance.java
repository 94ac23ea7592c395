package examples;

import java.time.Duration;
import java.util.Collection;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;

/** A member commits what it has processed at the moment that a partition is taken from it: the next owner begins where it ended. */
public class Rebalance {
  private static final Map<String, Integer> times = new ConcurrentHashMap<>();

  public static void main(String[] args) throws Exception {
    String bootstrap = Tutorial.bootstrap(args);
    String topic = Tutorial.topic(bootstrap, "rebalance", 4, 20);
    CountDownLatch bertHasSome = new CountDownLatch(1);
    Thread anna = member(bootstrap, topic, "anna", new CountDownLatch(1));
    while (times.isEmpty()) {
      Thread.sleep(10);
    }
    Thread bert = member(bootstrap, topic, "bert", bertHasSome);
    Tutorial.expect(bertHasSome.await(60, TimeUnit.SECONDS), "bert was given nothing");
    Tutorial.write(bootstrap, topic, 4, 20, 40);
    anna.join();
    bert.join();
    Tutorial.expect(times.size() == 40 && times.values().stream().allMatch(n -> n == 1), "not each record once: " + times);
    System.out.println("40 records, each processed once, by two members");
  }

  private static Thread member(String bootstrap, String topic, String name, CountDownLatch given) {
    Thread t = new Thread(() -> {
      try (KafkaConsumer<String, String> consumer = Tutorial.consumer(bootstrap, topic + "-group", 5)) {
        consumer.subscribe(Set.of(topic), new ConsumerRebalanceListener() {
          @Override
          public void onPartitionsAssigned(Collection<TopicPartition> parts) {
            System.out.println(name + " is given " + parts.size());
            if (!parts.isEmpty()) {
              given.countDown();
            }
          }

          @Override
          public void onPartitionsRevoked(Collection<TopicPartition> parts) {
            consumer.commitSync(); // the last moment at which this member may
            System.out.println(name + " gives up " + parts.size() + " and has committed");
          }

          @Override
          public void onPartitionsLost(Collection<TopicPartition> parts) {
            // Lost is not revoked: somebody else has them already, and a commit would be refused.
            System.out.println(name + " has lost " + parts.size());
          }
        });
        while (times.size() < 40) {
          for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofMillis(100))) {
            times.merge(r.value(), 1, Integer::sum);
          }
        }
      }
    }, name);
    t.start();
    return t;
  }
}
