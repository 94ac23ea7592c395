package examples;

import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.KafkaConsumer;

/** More members than partitions: one has nothing to do until another leaves. */
public class Spare {
  public static void main(String[] args) throws Exception {
    String bootstrap = Tutorial.bootstrap(args);
    String topic = Tutorial.topic(bootstrap, "spare", 2, 0);
    List<KafkaConsumer<String, String>> members = Stream.generate(() -> Tutorial.consumer(bootstrap, topic + "-group", 10)).limit(3).toList();
    members.forEach(m -> m.subscribe(Set.of(topic)));
    until(members, 0, 1, 1);
    System.out.println("two partitions, three members: one member has none");

    KafkaConsumer<String, String> leaving = members.stream().filter(m -> m.assignment().size() == 1).findFirst().get();
    leaving.close();
    List<KafkaConsumer<String, String>> left = members.stream().filter(m -> m != leaving).toList();
    until(left, 1, 1);
    System.out.println("one has left: the spare member has its partition");
    left.forEach(KafkaConsumer::close);
  }

  /** Polls with each member in turn until they have so many partitions, in any order. */
  private static void until(List<KafkaConsumer<String, String>> members, Integer... want) {
    List<Integer> has = List.of();
    for (long deadline = System.currentTimeMillis() + 60_000; System.currentTimeMillis() < deadline; ) {
      members.forEach(m -> m.poll(Duration.ofMillis(50)));
      has = members.stream().map(m -> m.assignment().size()).sorted().toList();
      if (has.equals(Arrays.asList(want))) {
        return;
      }
    }
    Tutorial.expect(false, "the members have " + has + " partitions");
  }
}
