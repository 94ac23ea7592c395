package examples;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;

/** Offsets are kept where the results are, in one transaction of PostgreSQL: each record counts once, whatever crashes when. */
public class Database {
  public static void main(String[] args) throws Exception {
    String bootstrap = Tutorial.bootstrap(args);
    String address = args.length > 1 ? args[1] : "localhost:5432";
    String topic = Tutorial.topic(bootstrap, "database", 2, 20);
    try (Connection db = DriverManager.getConnection("jdbc:postgresql://" + address + "/postgres?user=postgres")) {
      db.createStatement().execute("CREATE TABLE IF NOT EXISTS results (topic text, value text, times int, PRIMARY KEY (topic, value))");
      db.createStatement().execute("CREATE TABLE IF NOT EXISTS offsets (topic text, part int, next bigint, PRIMARY KEY (topic, part))");
      db.setAutoCommit(false);
      consume(bootstrap, db, topic, 7, true); // crashes within a transaction
      consume(bootstrap, db, topic, 20, false);
      long records = number(db, "SELECT count(*) FROM results WHERE topic = ?", topic);
      long most = number(db, "SELECT max(times) FROM results WHERE topic = ?", topic);
      System.out.println(records + " records in the database, the most frequent " + most + " time(s)");
      Tutorial.expect(records == 20 && most == 1, "each of 20 records should be there once");
    }
  }

  /** Writes results until so many are in the database, or crashes. */
  private static void consume(String bootstrap, Connection db, String topic, int until, boolean crash) throws Exception {
    Properties p = Tutorial.settings(bootstrap, topic);
    p.remove("group.id"); // nobody shares the work, and the database keeps the offsets
    p.put("max.poll.records", "3");
    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(p)) {
      List<TopicPartition> parts = List.of(new TopicPartition(topic, 0), new TopicPartition(topic, 1));
      consumer.assign(parts);
      for (TopicPartition tp : parts) {
        long next = number(db, "SELECT coalesce(max(next), 0) FROM offsets WHERE topic = ? AND part = " + tp.partition(), topic);
        System.out.println("partition " + tp.partition() + " goes on at offset " + next);
        consumer.seek(tp, next);
      }
      for (long total = 0; total < until; total = number(db, "SELECT count(*) FROM results WHERE topic = ?", topic)) {
        for (ConsumerRecord<String, String> r : Tutorial.poll(consumer)) {
          update(db, "INSERT INTO results VALUES (?, ?, 1) ON CONFLICT (topic, value) DO UPDATE SET times = results.times + 1", topic, r.value());
          update(db, "INSERT INTO offsets VALUES (?, ?, ?) ON CONFLICT (topic, part) DO UPDATE SET next = excluded.next", topic, r.partition(), r.offset() + 1);
        }
        if (crash && total >= until / 2) {
          db.rollback(); // as PostgreSQL does when the program is gone
          System.out.println("crashed: neither results nor offsets of the last poll were kept");
          return;
        }
        db.commit();
      }
    }
  }

  private static void update(Connection db, String sql, Object... values) throws SQLException {
    try (PreparedStatement s = db.prepareStatement(sql)) {
      for (int i = 0; i < values.length; i++) {
        s.setObject(i + 1, values[i]);
      }
      s.executeUpdate();
    }
  }

  private static long number(Connection db, String sql, String topic) throws SQLException {
    try (PreparedStatement s = db.prepareStatement(sql)) {
      s.setString(1, topic);
      ResultSet r = s.executeQuery();
      r.next();
      return r.getLong(1);
    }
  }
}
