package examples;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.kafka.clients.admin.NewTopic;
import org.springframework.boot.ApplicationRunner;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.config.TopicBuilder;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.support.KafkaHeaders;
import org.springframework.messaging.handler.annotation.Header;

/** A Spring Boot application: a template sends, methods of two groups listen; each group gets every message once. */
@SpringBootApplication
public class Messages {
  // The topic's name is the application's; a number keeps two runs on one cluster apart.
  static final String RUN = Long.toString(System.nanoTime());

  private final List<String> greeted = new CopyOnWriteArrayList<>();
  private final List<String> archived = new CopyOnWriteArrayList<>();

  public static void main(String[] args) throws Exception {
    SpringApplication app = new SpringApplication(Messages.class);
    System.setProperty("run", RUN);
    if (args.length > 0) {
      System.setProperty("spring.kafka.bootstrap-servers", args[0]);
    }
    try (ConfigurableApplicationContext context = app.run()) {
      Messages m = context.getBean(Messages.class);
      for (long deadline = System.currentTimeMillis() + 60_000; m.greeted.size() + m.archived.size() < 20; Thread.sleep(50)) {
        if (System.currentTimeMillis() > deadline) {
          throw new IllegalStateException("only " + m.greeted + " and " + m.archived + " came");
        }
      }
      if (m.greeted.stream().distinct().count() != 10 || m.archived.stream().distinct().count() != 10) {
        throw new IllegalStateException("not each message once: " + m.greeted + " " + m.archived);
      }
      System.out.println("10 messages, each heard once by both groups");
    }
  }

  /** The application makes its topic as it starts. */
  @Bean
  NewTopic topic() {
    return TopicBuilder.name("messages-" + RUN).partitions(3).build();
  }

  @Bean
  ApplicationRunner sender(KafkaTemplate<String, String> template) {
    return args -> {
      for (int i = 0; i < 10; i++) {
        template.send("messages-" + RUN, "key " + i, "message " + i).get();
      }
    };
  }

  @KafkaListener(topics = "messages-${run}", groupId = "greeters-${run}", concurrency = "2")
  void greet(String message, @Header(KafkaHeaders.RECEIVED_PARTITION) int partition) {
    System.out.println("greeters: " + message + " from partition " + partition);
    greeted.add(message);
  }

  @KafkaListener(topics = "messages-${run}", groupId = "archive-${run}")
  void archive(String message) {
    System.out.println("archive: " + message);
    archived.add(message);
  }
}
