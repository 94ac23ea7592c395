import java.io.*;
import java.lang.reflect.*;
import java.net.*;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.concurrent.*;

/**
 * Runs Kafka's tools one after the other in one JVM, which saves each the
 * seconds of its start. Listens on 127.0.0.1 and prints its port. A request is
 * lines: the class, standard input in base64, the arguments in base64 one a
 * line, and a full stop. The answer is three lines: exit code, standard output
 * and standard error in base64. A tool that exits is stopped where it stands:
 * its thread is parked for ever, so that nothing behind the exit runs.
 */
@SuppressWarnings("removal")
public class ToolDriver {
    static final PrintStream OUT = System.out;
    static final PrintStream ERR = System.err;

    public static void main(String[] a) throws Exception {
        java.security.Policy.setPolicy(new java.security.Policy() {
            @Override
            public boolean implies(java.security.ProtectionDomain d, java.security.Permission p) {
                return true;
            }
        });
        System.setSecurityManager(new Stopper());
        ServerSocket s = new ServerSocket(0, 5, InetAddress.getByName("127.0.0.1"));
        OUT.println(s.getLocalPort());
        OUT.flush();
        while (true) {
            try (Socket c = s.accept()) {
                serve(c);
            } catch (IOException e) {
                ERR.println("driver: " + e);
            }
        }
    }

    static volatile BlockingQueue<Integer> current = new LinkedBlockingQueue<>();

    /** Catches the tools that call System.exit themselves. */
    @SuppressWarnings("removal")
    static class Stopper extends SecurityManager {
        @Override
        public void checkExit(int code) {
            park(current, new Object[] {code});
        }

        @Override
        public void checkPermission(java.security.Permission p) {}
    }

    static void serve(Socket c) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(c.getInputStream(), StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(c.getOutputStream(), false, StandardCharsets.UTF_8);
        Base64.Decoder d = Base64.getDecoder();
        Base64.Encoder e = Base64.getEncoder();
        while (true) {
            String cls = in.readLine();
            if (cls == null) return;
            long seconds = Long.parseLong(in.readLine());
            byte[] stdin = d.decode(in.readLine());
            List<String> args = new ArrayList<>();
            for (String l = in.readLine(); !l.equals("."); l = in.readLine()) args.add(new String(d.decode(l), StandardCharsets.UTF_8));
            ByteArrayOutputStream o = new ByteArrayOutputStream(), r = new ByteArrayOutputStream();
            int code = run(cls, args.toArray(new String[0]), stdin, o, r, seconds);
            out.println(code);
            out.println(e.encodeToString(o.toByteArray()));
            out.println(e.encodeToString(r.toByteArray()));
            out.flush();
        }
    }

    static int run(String cls, String[] args, byte[] stdin, OutputStream o, OutputStream r, long seconds) throws Exception {
        ThreadGroup group = new ThreadGroup("tool");
        PrintStream so = new PrintStream(o, true, StandardCharsets.UTF_8), se = new PrintStream(new OfGroup(group, r), true, StandardCharsets.UTF_8);
        BlockingQueue<Integer> ended = new LinkedBlockingQueue<>();
        current = ended;
        List<Runnable> hooks = Collections.synchronizedList(new ArrayList<>());
        Class<?> exit = Class.forName("org.apache.kafka.common.utils.Exit");
        set(exit, "setExitProcedure", "org.apache.kafka.common.utils.Exit$Procedure", (p, m, x) -> park(ended, x));
        set(exit, "setHaltProcedure", "org.apache.kafka.common.utils.Exit$Procedure", (p, m, x) -> park(ended, x));
        set(exit, "setShutdownHookAdder", "org.apache.kafka.common.utils.Exit$ShutdownHookAdder", (p, m, x) -> {
            hooks.add((Runnable) x[1]);
            return null;
        });
        System.setOut(so);
        System.setErr(se);
        System.setIn(new ByteArrayInputStream(stdin));
        Set<Thread> own = new HashSet<>(hooksOfJava().keySet());
        Class<?> tool = Class.forName(cls);
        for (Field f : tool.getDeclaredFields()) {
            if (Modifier.isStatic(f.getModifiers()) && !Modifier.isFinal(f.getModifiers()) && f.getType() == int.class) {
                f.setAccessible(true);
                f.setInt(null, 0);
            }
        }
        Thread t = new Thread(group, () -> {
            int code = 0;
            try {
                tool.getMethod("main", String[].class).invoke(null, (Object) args);
            } catch (InvocationTargetException x) {
                se.println("Exception in thread \"main\" " + x.getCause());
                code = 1;
            } catch (Throwable x) {
                se.println("driver: " + x);
                code = 99;
            }
            ended.add(code);
        }, "main");
        t.setDaemon(true);
        t.start();
        Integer code = ended.poll(seconds, TimeUnit.SECONDS);
        if (code == null) {
            // The time is up: end it as SIGINT does.
            code = 130;
        }
        List<Thread> running = new ArrayList<>();
        for (Runnable h : new ArrayList<>(hooks)) {
            Thread ht = new Thread(group, h);
            ht.setDaemon(true);
            ht.start();
            running.add(ht);
        }
        for (Thread ht : new ArrayList<>(hooksOfJava().keySet())) {
            if (own.contains(ht) || ht.getThreadGroup() != group) continue;
            hooksOfJava().remove(ht);
            ht.setDaemon(true);
            ht.start();
            running.add(ht);
        }
        for (Thread ht : running) ht.join(5000);
        so.flush();
        se.flush();
        System.setOut(ERR);
        System.setErr(ERR);
        return code;
    }

    /** The shutdown hooks that tools gave to Java itself. */
    @SuppressWarnings("unchecked")
    static Map<Thread, Thread> hooksOfJava() throws Exception {
        Field hooks = Class.forName("java.lang.ApplicationShutdownHooks").getDeclaredField("hooks");
        hooks.setAccessible(true);
        return (Map<Thread, Thread>) hooks.get(null);
    }

    /** Leaves out what threads of tools that were run before have to log. */
    static class OfGroup extends OutputStream {
        final ThreadGroup group;
        final OutputStream to;

        OfGroup(ThreadGroup group, OutputStream to) {
            this.group = group;
            this.to = to;
        }

        @Override
        public void write(int b) throws IOException {
            write(new byte[] {(byte) b}, 0, 1);
        }

        @Override
        public void write(byte[] b, int off, int len) throws IOException {
            if (group.parentOf(Thread.currentThread().getThreadGroup())) to.write(b, off, len);
        }
    }

    static Object park(BlockingQueue<Integer> ended, Object[] x) {
        ended.add((Integer) x[0]);
        while (true) {
            try {
                Thread.sleep(Long.MAX_VALUE);
            } catch (InterruptedException e) {
                // Nothing may run behind an exit.
            }
        }
    }

    static void set(Class<?> exit, String method, String iface, InvocationHandler h) throws Exception {
        Class<?> i = Class.forName(iface);
        exit.getMethod(method, i).invoke(null, java.lang.reflect.Proxy.newProxyInstance(i.getClassLoader(), new Class<?>[] {i}, h));
    }
}
