import java.io.*;
import java.lang.reflect.*;
import java.nio.ByteBuffer;
import java.nio.file.*;
import java.util.*;
import java.util.jar.*;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.protocol.types.ArrayOf;
import org.apache.kafka.common.protocol.types.CompactArrayOf;
import org.apache.kafka.common.protocol.types.NullableSchema;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.record.internal.*;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.record.*;

/**
 * Writes down how Kafka's stored records lie in the log (table.txt), and a log of each family of them (cap/): every type in
 * every version, filled and with its defaults, cut short, of a later version, with bytes too many.
 */
public class Capture {
    static Map<String, Field> fields(Class<?> c) {
        Map<String, Field> m = new LinkedHashMap<>();
        for (Field f : c.getDeclaredFields()) {
            if (Modifier.isStatic(f.getModifiers()) || f.getName().startsWith("_") || f.getName().equals("next") || f.getName().equals("prev")) continue;
            f.setAccessible(true);
            m.put(f.getName().toLowerCase(), f);
        }
        return m;
    }
    static Class<?> elem(Field f) {
        java.lang.reflect.Type t = f.getGenericType();
        if (!(t instanceof ParameterizedType)) t = f.getType().getGenericSuperclass();
        return (Class<?>) ((ParameterizedType) t).getActualTypeArguments()[0];
    }
    static String type(org.apache.kafka.common.protocol.types.Type t, Class<?> c) throws Exception {
        if (t instanceof NullableSchema s) return "?{" + schema(s, c) + "}";
        if (t instanceof Schema s) return "{" + schema(s, c) + "}";
        if (t instanceof ArrayOf a) return (a.isNullable() ? "?" : "") + "[]" + type(a.arrayElementType().get(), c);
        if (t instanceof CompactArrayOf a) return (a.isNullable() ? "?" : "") + "compact[]" + type(a.arrayElementType().get(), c);
        return t.toString();
    }
    static String schema(Schema s, Class<?> c) throws Exception {
        Map<String, org.apache.kafka.common.protocol.types.Type> plain = new HashMap<>();
        Map<String, Object[]> tagged = new HashMap<>();
        boolean flex = false;
        for (BoundField f : s.fields()) {
            if (f.def.type instanceof TaggedFields tf) {
                flex = true;
                for (var e : tf.fields().entrySet()) tagged.put(e.getValue().name.replace("_", "").toLowerCase(), new Object[]{e.getKey(), e.getValue().type});
            } else plain.put(f.def.name.replace("_", "").toLowerCase(), f.def.type);
        }
        Constructor<?> k = c.getDeclaredConstructor(); k.setAccessible(true);
        Object fresh = k.newInstance();
        StringBuilder b = new StringBuilder();
        int n = 0;
        for (var e : fields(c).entrySet()) {
            Field f = e.getValue();
            Class<?> sub = Collection.class.isAssignableFrom(f.getType()) ? elem(f) : f.getType();
            String t;
            if (plain.containsKey(e.getKey())) t = f.getName() + " " + type(plain.get(e.getKey()), sub);
            else if (tagged.containsKey(e.getKey())) {
                Object[] x = tagged.get(e.getKey());
                Object d = f.get(fresh);
                t = f.getName() + "#" + x[0] + " " + type((org.apache.kafka.common.protocol.types.Type) x[1], sub) + " = " + (d == null ? "null" : d instanceof Collection ? "[]" : d instanceof Message ? "{}" : d.toString());
            } else continue;
            n++;
            if (b.length() > 0) b.append(", ");
            b.append(t);
        }
        if (n != plain.size() + tagged.size()) throw new RuntimeException("fields of " + c);
        if (flex) b.append(b.length() > 0 ? ", tags" : "tags");
        return b.toString();
    }
    static int seq = 1;
    static Random rnd = new Random(42);
    static Object value(Class<?> t, Field f, int depth) throws Exception {
        seq++;
        if (t == boolean.class) return true;
        if (t == byte.class) return (byte) (1 + seq % 2);
        if (t == short.class) return (short) (100 + seq);
        if (t == int.class) return (f != null && f.getName().equals("port")) ? 9000 + seq : 1000 + seq;
        if (t == long.class) return 5_000_000_000L + seq;
        if (t == double.class) return new double[]{1.5, 1e10, 0.001, 123456789.125, 1e-5}[seq % 5];
        if (t == String.class || t == Integer.class && false) return new String[]{"text-" + seq, "q\"b\\s/ü세" + seq, "t\tn\n\u0001\u007f</a>&\u2028" + seq, "😀" + seq}[seq % 4];
        if (t == Uuid.class) return new Uuid(0x0102030405060708L + seq, -seq);
        if (t == byte[].class) return ("bytes\u00ff" + seq).getBytes("UTF-8");
        if (t == ByteBuffer.class) return ByteBuffer.wrap(("buf" + seq).getBytes());
        if (t == Short.class) return (short) (100 + seq);
        if (t == Integer.class) return 1000 + seq;
        if (t == Long.class) return 5_000_000_000L + seq;
        if (Message.class.isAssignableFrom(t)) { Constructor<?> k = t.getDeclaredConstructor(); k.setAccessible(true); Object o = k.newInstance(); fillAll(o, depth + 1); return o; }
        throw new RuntimeException("type " + t);
    }
    static Object make(Field f, int depth) throws Exception {
        if (Collection.class.isAssignableFrom(f.getType())) {
            Collection<Object> l;
            if (f.getType() == List.class) l = new ArrayList<>(); else { Constructor<?> k = f.getType().getDeclaredConstructor(); k.setAccessible(true); l = (Collection<Object>) k.newInstance(); }
            for (int i = 0; i < 2; i++) l.add(value(elem(f), null, depth));
            return l;
        }
        return value(f.getType(), f, depth);
    }
    static void fillAll(Object o, int depth) throws Exception { for (Field f : fields(o.getClass()).values()) f.set(o, make(f, depth)); }
    static boolean writes(ApiMessage m, short v) {
        try { MessageUtil.toVersionPrefixedByteBuffer(v, m); return true; } catch (Throwable t) { return false; }
    }
    // as many fields set as the version can carry
    static ApiMessage filled(Class<?> c, short v) throws Exception {
        ApiMessage m = (ApiMessage) c.getDeclaredConstructor().newInstance();
        for (Field f : fields(c).values()) {
            Object old = f.get(m);
            f.set(m, make(f, 0));
            if (!writes(m, v)) {
                f.set(m, old);
                // perhaps a sub-field is in the way
                if (Collection.class.isAssignableFrom(f.getType()) && Message.class.isAssignableFrom(elem(f))) {
                    Object val = make(f, 0);
                    f.set(m, val);
                    for (Object e : (Collection<?>) val) for (Field g : fields(e.getClass()).values()) {
                        Constructor<?> k = e.getClass().getDeclaredConstructor(); k.setAccessible(true);
                        Object d = g.get(k.newInstance()), mine = g.get(e);
                        g.set(e, d);
                        if (!writes(m, v)) g.set(e, d); else { }
                    }
                    if (!writes(m, v)) f.set(m, old);
                }
            }
        }
        return m;
    }
    static byte[] bytes(ByteBuffer b) { byte[] x = new byte[b.remaining()]; b.get(x); return x; }
    static List<SimpleRecord> out = new ArrayList<>();
    static void save(String dir, int perBatch) throws Exception {
        Path p = Paths.get(dir); Files.createDirectories(p);
        long off = 0;
        try (FileOutputStream fo = new FileOutputStream(p.resolve("00000000000000000000.log").toFile())) {
            for (int i = 0; i < out.size(); i += perBatch) {
                List<SimpleRecord> part = out.subList(i, Math.min(out.size(), i + perBatch));
                MemoryRecords r = MemoryRecords.withRecords(off, Compression.NONE, 3, part.toArray(new SimpleRecord[0]));
                fo.write(bytes(r.buffer().duplicate()));
                off += part.size();
            }
        }
        System.out.println(dir + ": " + out.size() + " records");
        out.clear();
    }
    static byte[] frame(short v, ApiMessage m) {
        ObjectSerializationCache c = new ObjectSerializationCache();
        int size = m.size(c, v);
        ByteBuffer b = ByteBuffer.allocate(size + 20);
        ByteBufferAccessor a = new ByteBufferAccessor(b);
        a.writeUnsignedVarint(1); a.writeUnsignedVarint(m.apiKey()); a.writeUnsignedVarint(v);
        m.write(a, c, v); b.flip();
        return bytes(b);
    }
    static void control(List<byte[]> l, short type, short v, ApiMessage m, long[] off) throws Exception {
        ByteBuffer key = ByteBuffer.allocate(4); key.putShort((short) 0).putShort(type).flip();
        ByteBuffer val = MessageUtil.toByteBufferAccessor(m, v).buffer();
        ByteBuffer buf = ByteBuffer.allocate(2000);
        MemoryRecordsBuilder b = MemoryRecords.builder(buf, RecordBatch.MAGIC_VALUE_V2, Compression.NONE, TimestampType.CREATE_TIME, off[0], 1700000000000L, -1L, (short) -1, -1, false, true, 3);
        b.appendControlRecord(1700000000000L, ControlRecordType.fromTypeId(type), val);
        l.add(bytes(b.build().buffer().duplicate()));
        off[0]++;
    }
    public static void main(String[] a) throws Exception {
        String cp = System.getProperty("java.class.path");
        TreeSet<String> names = new TreeSet<>();
        for (String j : cp.split(":")) {
            if (!j.contains("org/apache/kafka") || !j.endsWith(".jar")) continue;
            try (JarFile jf = new JarFile(j)) {
                for (JarEntry e : Collections.list(jf.entries())) {
                    String n = e.getName();
                    if (!n.endsWith(".class") || n.contains("$") || n.contains("Json") || n.contains("RecordType") || n.contains("streams/") && !n.contains("coordinator") || n.contains("connect/")) continue;
                    boolean rec = n.contains("common/metadata/") && n.endsWith("Record.class") || n.contains("/generated/")
                        || n.endsWith("common/message/ConsumerProtocolAssignment.class") || n.endsWith("common/message/ConsumerProtocolSubscription.class")
                        || n.matches(".*common/message/(KRaftVersionRecord|LeaderChangeMessage|SnapshotFooterRecord|SnapshotHeaderRecord|VotersRecord|EndTxnMarker).class");
                    if (rec) names.add(n.replace('/', '.').replaceAll("\\.class$", ""));
                }
            }
        }
        PrintStream table = new PrintStream("table.txt");
        Map<String, List<Class<?>>> groups = new TreeMap<>();
        for (String n : names) {
            Class<?> c = Class.forName(n);
            Schema[] ss;
            try { ss = (Schema[]) c.getField("SCHEMAS").get(null); } catch (NoSuchFieldException e) { System.err.println("skip " + n); continue; }
            short lo = c.getField("LOWEST_SUPPORTED_VERSION").getShort(null), hi = c.getField("HIGHEST_SUPPORTED_VERSION").getShort(null);
            ApiMessage m = (ApiMessage) c.getDeclaredConstructor().newInstance();
            String pkg = n.contains("coordinator.group") ? "offsets" : n.contains("transaction") ? "transactions" : n.contains("coordinator.share") ? "share" : n.contains("remote") ? "remote" : n.contains("common.metadata") ? "metadata" : n.contains("common.message") ? "control" : "other";
            if (pkg.equals("other") || c.getSimpleName().equals("ProducerSnapshot")) continue; // no records of a topic
            table.println("record " + pkg + " " + m.apiKey() + " " + c.getSimpleName());
            String prev = null;
            for (int v = lo; v <= hi; v++) {
                String s = schema(ss[v], c);
                if (s.equals(prev)) { table.println(v + " ="); continue; }
                table.println(v + " " + s);
                prev = s;
            }
            groups.computeIfAbsent(pkg, k -> new ArrayList<>()).add(c);
        }
        table.close();
        for (String pkg : List.of("offsets", "transactions", "share")) {
            TreeMap<Integer, Class<?>[]> kv = new TreeMap<>();
            for (Class<?> c : groups.get(pkg)) {
                if (c.getSimpleName().startsWith("LegacyOffset")) continue;
                int k = ((ApiMessage) c.getDeclaredConstructor().newInstance()).apiKey();
                if (k < 0) continue;
                kv.computeIfAbsent(k, x -> new Class<?>[2])[c.getSimpleName().endsWith("Key") ? 0 : 1] = c;
            }
            long ts = 1700000000000L;
            for (var e : kv.entrySet()) {
                Class<?> kc = e.getValue()[0], vc = e.getValue()[1];
                if (kc == null || vc == null) { System.err.println(pkg + " " + e.getKey() + " " + kc + vc); continue; }
                short id = (short) (int) e.getKey();
                short lo = vc.getField("LOWEST_SUPPORTED_VERSION").getShort(null), hi = vc.getField("HIGHEST_SUPPORTED_VERSION").getShort(null);
                for (short v = lo; v <= hi; v++) {
                    ApiMessage key = filled(kc, (short) 0);
                    out.add(new SimpleRecord(ts++, bytes(MessageUtil.toCoordinatorTypePrefixedByteBuffer(key)), bytes(MessageUtil.toVersionPrefixedByteBuffer(v, filled(vc, v)))));
                    ApiMessage empty = (ApiMessage) vc.getDeclaredConstructor().newInstance();
                    if (writes(empty, v)) out.add(new SimpleRecord(ts++, bytes(MessageUtil.toCoordinatorTypePrefixedByteBuffer((ApiMessage) kc.getDeclaredConstructor().newInstance())), bytes(MessageUtil.toVersionPrefixedByteBuffer(v, empty))));
                    else System.err.println("default does not write: " + vc + v);
                }
                ApiMessage key = filled(kc, (short) 0);
                byte[] kb = bytes(MessageUtil.toCoordinatorTypePrefixedByteBuffer(key));
                out.add(new SimpleRecord(ts++, kb, null));                       // a tombstone
                byte[] vb = bytes(MessageUtil.toVersionPrefixedByteBuffer(hi, filled(vc, hi)));
                if (vb.length > 3) out.add(new SimpleRecord(ts++, kb, Arrays.copyOf(vb, 3)));      // cut short
                byte[] later = vb.clone(); later[1] = 99;
                out.add(new SimpleRecord(ts++, kb, later));                      // a later version
                if (kb.length > 3) out.add(new SimpleRecord(ts++, Arrays.copyOf(kb, 3), vb));  // a key cut short
                byte[] more = Arrays.copyOf(vb, vb.length + 2);
                out.add(new SimpleRecord(ts++, kb, more));                       // something behind
                out.add(new SimpleRecord(ts++, kb, new byte[0]));
            }
            out.add(new SimpleRecord(ts++, new byte[]{0, 77, 1, 2}, new byte[]{0, 0}));   // an unknown type
            out.add(new SimpleRecord(ts++, new byte[]{0}, new byte[]{0, 0}));
            out.add(new SimpleRecord(ts++, new byte[]{}, new byte[]{0, 0}));
            if (pkg.equals("offsets")) {
                // A classic consumer group with readable and unreadable subscriptions.
                Class<?> gk = null, gv = null, ps = null, pa = null;
                for (Class<?> c : groups.get("offsets")) { if (c.getSimpleName().equals("GroupMetadataKey")) gk = c; if (c.getSimpleName().equals("GroupMetadataValue")) gv = c; }
                for (Class<?> c : groups.get("control")) { if (c.getSimpleName().equals("ConsumerProtocolSubscription")) ps = c; if (c.getSimpleName().equals("ConsumerProtocolAssignment")) pa = c; }
                for (short v = 0; v <= 5; v++) {
                    ApiMessage g = filled(gv, (short) 3);
                    Field pt = fields(gv).get("protocoltype"); pt.set(g, "consumer");
                    int i = 0;
                    for (Object m : (Collection<?>) fields(gv).get("members").get(g)) {
                        if (v < 4) {
                            fields(m.getClass()).get("subscription").set(m, bytes(MessageUtil.toVersionPrefixedByteBuffer(v, filled(ps, v))));
                            fields(m.getClass()).get("assignment").set(m, bytes(MessageUtil.toVersionPrefixedByteBuffer(v, filled(pa, v))));
                        } else if (v == 4) {
                            byte[] b = bytes(MessageUtil.toVersionPrefixedByteBuffer((short) 3, filled(ps, (short) 3))); b[1] = 9;
                            fields(m.getClass()).get("subscription").set(m, b);
                            fields(m.getClass()).get("assignment").set(m, new byte[0]);
                        } else if (i == 0) fields(m.getClass()).get("assignment").set(m, new byte[]{0});
                        i++;
                    }
                    out.add(new SimpleRecord(ts++, bytes(MessageUtil.toCoordinatorTypePrefixedByteBuffer((ApiMessage) filled(gk, (short) 0))), bytes(MessageUtil.toVersionPrefixedByteBuffer((short) 3, g))));
                }
            }
            save("cap/" + pkg + "-0", 3);
            if (pkg.equals("offsets")) { out.add(new SimpleRecord(ts, (byte[]) null, new byte[]{0, 1})); save("cap/keyless-0", 3); }
        }
        for (String pkg : List.of("metadata", "remote")) {
            long ts = 1700000000000L;
            for (Class<?> c : groups.get(pkg)) {
                short lo = c.getField("LOWEST_SUPPORTED_VERSION").getShort(null), hi = c.getField("HIGHEST_SUPPORTED_VERSION").getShort(null);
                for (short v = lo; v <= hi; v++) {
                    ApiMessage m = filled(c, v);
                    if (pkg.equals("remote")) { // states must be known
                        Field f = fields(c).get("remotelogsegmentstate"); if (f != null) f.set(m, (byte) (v + 1));
                        f = fields(c).get("remotepartitiondeletestate"); if (f != null) f.set(m, (byte) 1);
                    }
                    out.add(new SimpleRecord(ts++, null, frame(v, m)));
                    ApiMessage empty = (ApiMessage) c.getDeclaredConstructor().newInstance();
                    try { out.add(new SimpleRecord(ts++, null, frame(v, empty))); } catch (Throwable t) { System.err.println("no default " + c); }
                }
                byte[] b = frame(hi, filled(c, hi));
                byte[] later = b.clone(); later[2] = 99;
                out.add(new SimpleRecord(ts++, null, later));
                if (b.length > 4) out.add(new SimpleRecord(ts++, null, Arrays.copyOf(b, b.length - 2)));
                out.add(new SimpleRecord(ts++, null, Arrays.copyOf(b, b.length + 2)));
            }
            out.add(new SimpleRecord(ts++, null, new byte[]{1, 90, 0}));
            out.add(new SimpleRecord(ts++, null, new byte[]{1, 90}));
            out.add(new SimpleRecord(ts++, null, new byte[]{1}));
            out.add(new SimpleRecord(ts++, null, new byte[]{0, 1, 0}));
            out.add(new SimpleRecord(ts++, null, new byte[]{7, 1, 0}));
            out.add(new SimpleRecord(ts++, null, new byte[]{-1, -1, -1, -1, -1, -1}));
            out.add(new SimpleRecord(ts++, null, new byte[]{1, -1, -1, 3, 0}));
            out.add(new SimpleRecord(ts++, null, new byte[]{1, 2, -1, -1, 3}));
            out.add(new SimpleRecord(ts++, null, new byte[]{1, -128, -128, -128, -128, 0}));
            out.add(new SimpleRecord(ts++, null, new byte[]{}));
            out.add(new SimpleRecord(ts++, "key".getBytes(), (byte[]) null));
            save("cap/" + pkg + "-0", 3);
        }
        // control records
        List<byte[]> l = new ArrayList<>(); long[] off = {0};
        for (Class<?> c : groups.get("control")) {
            short t = switch (c.getSimpleName()) { case "LeaderChangeMessage" -> 2; case "SnapshotHeaderRecord" -> 3; case "SnapshotFooterRecord" -> 4; case "KRaftVersionRecord" -> 5; case "VotersRecord" -> 6; case "EndTxnMarker" -> 1; default -> -1; };
            if (t < 0) continue;
            short lo = c.getField("LOWEST_SUPPORTED_VERSION").getShort(null), hi = c.getField("HIGHEST_SUPPORTED_VERSION").getShort(null);
            if (t == 2) hi = 0; // Kafka 4.3 trips over version 1, which it does not write
            for (short v = lo; v <= hi; v++) {
                ApiMessage m = filled(c, v);
                if (t == 1) { m = new org.apache.kafka.common.message.EndTxnMarker().setCoordinatorEpoch(7); }
                Field f = fields(c).get("version"); if (f != null) f.set(m, v);
                if (t == 1) { // marker bytes carry the version first
                    ByteBuffer val = MessageUtil.toVersionPrefixedByteBuffer(v, m);
                    continue;
                }
                control(l, t, v, m, off);
                ApiMessage e = (ApiMessage) c.getDeclaredConstructor().newInstance(); if (f != null) f.set(e, v);
                control(l, t, v, e, off);
            }
        }
        for (ControlRecordType t : new ControlRecordType[]{ControlRecordType.ABORT, ControlRecordType.COMMIT}) {
            MemoryRecords r = MemoryRecords.withEndTransactionMarker(off[0]++, 1700000000000L, 3, 9L, (short) 2, new EndTransactionMarker(t, 7));
            l.add(bytes(r.buffer().duplicate()));
        }
        Files.createDirectories(Paths.get("cap/control-0"));
        try (FileOutputStream fo = new FileOutputStream("cap/control-0/00000000000000000000.log")) { for (byte[] b : l) fo.write(b); }
        System.out.println("control " + l.size());
    }
}
