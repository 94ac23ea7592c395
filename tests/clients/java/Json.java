import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Just enough JSON for the line protocol: objects, arrays, strings, whole numbers, true, false, null. */
final class Json {
    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> parse(String line) {
        return (Map<String, Object>) new Json(line).value();
    }

    private Object value() {
        switch (text.charAt(at)) {
            case '{': {
                Map<String, Object> map = new LinkedHashMap<>();
                at++;
                while (text.charAt(at) != '}') {
                    if (text.charAt(at) == ',') at++;
                    String key = string();
                    at++; // the colon
                    map.put(key, value());
                }
                at++;
                return map;
            }
            case '[': {
                List<Object> list = new ArrayList<>();
                at++;
                while (text.charAt(at) != ']') {
                    if (text.charAt(at) == ',') at++;
                    list.add(value());
                }
                at++;
                return list;
            }
            case '"': return string();
            case 't': at += 4; return true;
            case 'f': at += 5; return false;
            case 'n': at += 4; return null;
            default: {
                int start = at;
                while (at < text.length() && "-0123456789".indexOf(text.charAt(at)) >= 0) at++;
                return Long.parseLong(text.substring(start, at));
            }
        }
    }

    private String string() {
        int end = text.indexOf('"', ++at);
        int escape = text.indexOf('\\', at);
        if (escape < 0 || escape > end) { // the common case, and the only one for large values
            String s = text.substring(at, end);
            at = end + 1;
            return s;
        }
        StringBuilder b = new StringBuilder();
        for (; text.charAt(at) != '"'; at++) {
            char c = text.charAt(at);
            if (c == '\\') {
                c = text.charAt(++at);
                if (c == 'u') {
                    c = (char) Integer.parseInt(text.substring(at + 1, at + 5), 16);
                    at += 4;
                } else if (c == 'n') {
                    c = '\n';
                } else if (c == 't') {
                    c = '\t';
                } else if (c == 'r') {
                    c = '\r';
                }
            }
            b.append(c);
        }
        at++;
        return b.toString();
    }

    static String write(Object v) {
        StringBuilder b = new StringBuilder();
        write(b, v);
        return b.toString();
    }

    private static void write(StringBuilder b, Object v) {
        if (v instanceof Map) {
            char sep = '{';
            if (((Map<?, ?>) v).isEmpty()) b.append('{');
            for (Map.Entry<?, ?> e : ((Map<?, ?>) v).entrySet()) {
                b.append(sep);
                sep = ',';
                write(b, e.getKey());
                b.append(':');
                write(b, e.getValue());
            }
            b.append('}');
        } else if (v instanceof Iterable) {
            char sep = '[';
            b.append(sep);
            sep = ' ';
            for (Object o : (Iterable<?>) v) {
                b.append(sep);
                sep = ',';
                write(b, o);
            }
            b.append(']');
        } else if (v instanceof String) {
            quote(b, (String) v);
        } else {
            b.append(v);
        }
    }

    private static void quote(StringBuilder b, String s) {
        b.append('"');
        for (int i = 0; i < s.length(); i++) {
            char c = s.charAt(i);
            if (c == '"' || c == '\\') {
                b.append('\\').append(c);
            } else if (c < ' ' || c > '~') {
                b.append(String.format("\\u%04x", (int) c));
            } else {
                b.append(c);
            }
        }
        b.append('"');
    }
}
