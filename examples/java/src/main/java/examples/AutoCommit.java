package examples;

import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;

/** How a record comes to be processed twice: offsets are committed by the clock, and who crashes between two commits loses the last. */
public class AutoCommit {
  public static void main(String[] args) throws Exception {
    String bootstrap = Tutorial.bootstrap(args);
    if (args.length > 1) { // this is the process that crashes
      try (KafkaConsumer<String, String> consumer = member(bootstrap, args[1])) {
        Tutorial.poll(consumer).forEach(r -> System.out.println(r.value()));
        System.out.flush();
        Runtime.getRuntime().halt(0); // at once: nothing is committed, and the group is not told
      }
    }

    String topic = Tutorial.topic(bootstrap, "autocommit", 1, 10);
    Map<String, Integer> times = new HashMap<>();
    for (String value : processAndCrash(bootstrap, topic)) {
      times.merge(value, 1, Integer::sum);
    }
    System.out.println("a consumer has processed " + times.size() + " records and crashed before the commit");
    try (KafkaConsumer<String, String> consumer = member(bootstrap, topic)) {
      while (times.size() < 10) {
        for (ConsumerRecord<String, String> r : Tutorial.poll(consumer)) { // waits until the session of the crashed member has ended
          times.merge(r.value(), 1, Integer::sum);
        }
      }
    }
    for (int i = 0; i < 10; i++) {
      System.out.println("record " + i + " was processed " + times.get("record " + i) + " time(s)");
      Tutorial.expect(times.get("record " + i) == (i < 4 ? 2 : 1), "the four before the crash should be there twice, the others once");
    }
  }

  private static KafkaConsumer<String, String> member(String bootstrap, String topic) {
    Properties p = Tutorial.settings(bootstrap, topic + "-group");
    p.put("enable.auto.commit", "true");
    p.put("auto.commit.interval.ms", "1000");
    p.put("session.timeout.ms", "6000");
    p.put("max.poll.records", "4");
    KafkaConsumer<String, String> consumer = new KafkaConsumer<>(p);
    consumer.subscribe(Set.of(topic));
    return consumer;
  }

  /** Runs a consumer as a process of its own and returns what it has processed. */
  private static String[] processAndCrash(String bootstrap, String topic) throws Exception {
    Process p = new ProcessBuilder(System.getProperty("java.home") + "/bin/java", "-cp", System.getProperty("java.class.path"),
        "examples.AutoCommit", bootstrap, topic).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    String said = new String(p.getInputStream().readAllBytes()).trim();
    Tutorial.expect(p.waitFor() == 0, "the consumer that should crash failed before");
    return said.split("\n");
  }
}
