import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Produced;

/** Counts words exactly once. Without a cache each word that comes in is one count that goes out. */
public class Words {
  public static void main(String[] args) {
    Properties p = new Properties();
    p.put("bootstrap.servers", args[0]);
    p.put("application.id", "interop-streams");
    p.put("state.dir", args[1]);
    p.put("replication.factor", args[2]);
    p.put("processing.guarantee", "exactly_once_v2");
    p.put("statestore.cache.max.bytes", "0");
    p.put("commit.interval.ms", "100");
    p.put("default.key.serde", Serdes.StringSerde.class.getName());
    p.put("default.value.serde", Serdes.StringSerde.class.getName());
    p.put("consumer.session.timeout.ms", "6000");
    p.put("consumer.heartbeat.interval.ms", "1000");
    p.put("consumer.auto.offset.reset", "earliest");

    StreamsBuilder b = new StreamsBuilder();
    b.<String, String>stream("interop-words")
        .map((key, word) -> KeyValue.pair(word, word))
        .groupByKey()
        .count()
        .toStream()
        .mapValues(n -> n.toString())
        .to("interop-counts", Produced.with(Serdes.String(), Serdes.String()));

    KafkaStreams app = new KafkaStreams(b.build(), p);
    Runtime.getRuntime().addShutdownHook(new Thread(app::close));
    app.start();
  }
}
