package examples;

import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;

/** A Streams application: lines of source-topic become words in small letters in sink-topic. */
public class SplitWords {
  public static void main(String[] args) throws Exception {
    String bootstrap = Tutorial.bootstrap(args);
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
      for (String topic : List.of("source-topic", "sink-topic")) {
        if (!admin.listTopics().names().get().contains(topic)) {
          admin.createTopics(List.of(new NewTopic(topic, Optional.of(1), Optional.empty()))).all().get();
        }
      }
    }
    String run = Long.toString(System.nanoTime()); // records of this run, should the example run twice
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream("source-topic", Consumed.with(Serdes.String(), Serdes.String()))
        .filter((key, line) -> run.equals(key))
        .mapValues(line -> line.toLowerCase(Locale.ROOT))
        .flatMapValues(line -> Arrays.asList(line.split("\\W+")))
        .to("sink-topic", Produced.with(Serdes.String(), Serdes.String()));

    Properties p = new Properties();
    p.put("application.id", "split-words-" + run);
    p.put("bootstrap.servers", bootstrap);
    p.put("state.dir", Files.createTempDirectory("split-words").toString());
    p.put("auto.offset.reset", "earliest");
    List<String> words = new ArrayList<>();
    try (KafkaStreams app = new KafkaStreams(builder.build(), p);
        KafkaConsumer<String, String> consumer = Tutorial.consumer(bootstrap, "split-words-reader-" + run, 100)) {
      app.start();
      try (KafkaProducer<String, String> producer = new KafkaProducer<>(Map.of("bootstrap.servers", bootstrap,
          "key.serializer", "org.apache.kafka.common.serialization.StringSerializer",
          "value.serializer", "org.apache.kafka.common.serialization.StringSerializer"))) {
        producer.send(new ProducerRecord<>("source-topic", run, "The Moldau rises"));
        producer.send(new ProducerRecord<>("source-topic", run, "in two SPRINGS"));
      }
      consumer.subscribe(Set.of("sink-topic"));
      while (words.size() < 6) {
        Tutorial.poll(consumer).forEach(r -> {
          if (run.equals(r.key())) {
            words.add(r.value());
          }
        });
      }
    }
    System.out.println(words);
    Tutorial.expect(words.equals(List.of("the", "moldau", "rises", "in", "two", "springs")), "the words are " + words);
  }
}
