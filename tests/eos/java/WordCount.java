import java.util.Arrays;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Produced;

/** Counts words with exactly_once_v2. Without a cache each word that comes in is one count that goes out. */
public class WordCount {
  public static void main(String[] args) {
    Properties p = new Properties();
    p.put("bootstrap.servers", args[0]);
    p.put("application.id", args[1]);
    p.put("state.dir", args[2]);
    p.put("processing.guarantee", "exactly_once_v2");
    p.put("statestore.cache.max.bytes", "0");
    p.put("commit.interval.ms", "100");
    p.put("default.key.serde", Serdes.StringSerde.class.getName());
    p.put("default.value.serde", Serdes.StringSerde.class.getName());
    p.put("consumer.session.timeout.ms", "6000");
    p.put("consumer.heartbeat.interval.ms", "1000");
    p.put("producer.transaction.timeout.ms", "10000");
    p.put("consumer.auto.offset.reset", "earliest");

    StreamsBuilder b = new StreamsBuilder();
    KStream<String, String> lines = b.stream(args[3]);
    lines.flatMapValues(line -> Arrays.asList(line.split(" ")))
        .groupBy((key, word) -> word)
        .count()
        .toStream()
        .mapValues(n -> n.toString())
        .to(args[4], Produced.with(Serdes.String(), Serdes.String()));

    KafkaStreams app = new KafkaStreams(b.build(), p);
    app.setStateListener((now, before) -> System.out.println("state " + now));
    app.setUncaughtExceptionHandler(e -> {
      e.printStackTrace();
      return org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse.REPLACE_THREAD;
    });
    Runtime.getRuntime().addShutdownHook(new Thread(app::close));
    app.start();
  }
}
