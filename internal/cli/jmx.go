package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/internal/client"
)

// There is no JMX here: the tool reads the metrics of a node's admin listener,
// whose names are those that Kafka's beans get in Prometheus.

func jmxOptions() *optionSet {
	s := newOptions()
	s.arg("object-name", "name", "The bean: kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec,topic=t; * matches anything. All if left out; may be given several times.")
	s.arg("attributes", "name", "Only samples that end so, with commas: count, sum, bucket, ...")
	s.arg("reporting-interval", "ms", "How often to read.").ofKind(intValue).withDefault("2000")
	s.flag("one-time", "Read once.").takesMaybe("one-time").withDefault("false").typeLabel = "Boolean"
	s.arg("date-format", "format", "How the time is printed, as Java's SimpleDateFormat takes it; ms since 1970 if left out.")
	s.arg("jmx-url", "service-url", "Where a node's admin listener is: http://host:port, or service:jmx:rmi:///jndi/rmi://host:port/jmxrmi.").withDefault("service:jmx:rmi:///jndi/rmi://:9999/jmxrmi")
	s.arg("report-format", "report-format", "original, properties, csv or tsv.").withDefault("original")
	s.arg("jmx-auth-prop", "jmx-auth-prop", "The admin listener asks nobody for a password: refused.")
	s.arg("jmx-ssl-enable", "ssl-enable", "Read by HTTPS.").withDefault("false").typeLabel = "Boolean"
	s.flag("wait", "Wait until the metrics are there.")
	return s
}

func runJmx(r *run, args []string) int {
	set := jmxOptions()
	p, err := set.parse(args)
	if err == nil {
		t := &jmxTool{run: r, p: p}
		if err = t.check(); err == nil {
			err = t.execute()
		}
	}
	return r.outcome(err)
}

type jmxTool struct {
	*run
	p      *parsed
	url    string
	format dateFormat
	names  []*regexp.Regexp
}

func (t *jmxTool) check() error {
	p := t.p
	if err := t.helpOrVersion(p, nil, "Reads the metrics of a node."); err != nil {
		return err
	}
	p.number("reporting-interval")
	if p.err != nil {
		return p.err
	}
	if p.has("jmx-auth-prop") {
		return errors.New("--jmx-auth-prop has no meaning: the admin listener asks nobody for a password")
	}
	if f := p.value("report-format"); !contains([]string{"original", "properties", "csv", "tsv"}, f) {
		return fmt.Errorf("--report-format must be original, properties, csv or tsv, not %s", f)
	}
	var err error
	if t.url, err = metricsURL(p.value("jmx-url"), strings.EqualFold(p.value("jmx-ssl-enable"), "true")); err != nil {
		return err
	}
	if p.has("date-format") {
		if t.format, err = parseDateFormat(p.value("date-format")); err != nil {
			return err
		}
	}
	for _, n := range p.all("object-name") {
		re, err := beanPattern(n)
		if err != nil {
			return err
		}
		t.names = append(t.names, re)
	}
	return nil
}

// metricsURL turns a JMX URL, or an HTTP one, into that of the metrics.
func metricsURL(s string, secure bool) (string, error) {
	scheme := "http://"
	if secure {
		scheme = "https://"
	}
	if strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://") {
		if strings.Count(s, "/") == 2 || strings.HasSuffix(s, "/") && strings.Count(s, "/") == 3 {
			return strings.TrimSuffix(s, "/") + "/metrics", nil
		}
		return s, nil
	}
	if !strings.HasPrefix(s, "service:jmx:") {
		return "", errors.New("Service URL must start with service:jmx:")
	}
	m := regexp.MustCompile(`rmi://([^/]*:[0-9]+)/jmxrmi$`).FindStringSubmatch(s)
	if m == nil {
		return "", fmt.Errorf("%s does not name a host and a port", s)
	}
	addr := m[1]
	if strings.HasPrefix(addr, ":") {
		addr = "localhost" + addr
	}
	return scheme + addr + "/metrics", nil
}

// beanPattern turns a bean's name into a pattern for samples: domain, type and
// name become the metric's name, the other keys labels.
func beanPattern(bean string) (*regexp.Regexp, error) {
	domain, keys, ok := strings.Cut(bean, ":")
	if !ok {
		return nil, fmt.Errorf("Domain part must be specified: %s", bean)
	}
	part := func(s string) string {
		s = regexp.QuoteMeta(strings.ToLower(strings.NewReplacer(".", "_", "-", "_").Replace(s)))
		return strings.ReplaceAll(s, `\*`, "[^{ ]*")
	}
	name, labels := part(domain), ""
	for _, kv := range strings.Split(keys, ",") {
		k, v, ok := strings.Cut(kv, "=")
		switch {
		case !ok && kv == "*":
		case !ok:
			return nil, fmt.Errorf("Key properties cannot be empty: %s", bean)
		case k == "type" || k == "name":
			v = strings.TrimSuffix(v, "PerSec")
			name += "_" + part(v)
		default:
			value := strings.ReplaceAll(regexp.QuoteMeta(v), `\*`, `[^"]*`)
			labels += `(?:.*` + regexp.QuoteMeta(k) + `="` + value + `")`
		}
	}
	return regexp.Compile(`(?i)^` + name + `[a-z_]*(?:\{` + labels + `.*\})?$`)
}

type sample struct {
	name  string
	value float64
}

// httpFailure says why there is no answer, without the insides of an HTTP client.
func httpFailure(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("it does not answer")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it closed the connection before its answer was whole")
	case strings.Contains(err.Error(), "malformed HTTP"):
		return errors.New("it does not speak HTTP: --jmx-url is the address of a node's admin listener")
	}
	return rootCause(err)
}

func (t *jmxTool) read(ctx context.Context) ([]sample, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("Could not connect to %s: %w", t.url, httpFailure(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", t.url, resp.Status)
	}
	return t.parse(resp.Body)
}

func (t *jmxTool) parse(in io.Reader) ([]sample, error) {
	var out []sample
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, maxLineBytes)
	for sc.Scan() {
		line := sc.Text()
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || strings.HasPrefix(line, "#") || !t.wanted(line[:at]) {
			continue
		}
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("%s does not speak of metrics: %q", t.url, line)
		}
		out = append(out, sample{line[:at], v})
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("Could not read %s: %w", t.url, httpFailure(err))
	}
	sort.Slice(out, func(i, j int) bool { return out[i].name < out[j].name })
	return out, nil
}

func (t *jmxTool) wanted(name string) bool {
	ok := len(t.names) == 0
	for _, re := range t.names {
		ok = ok || re.MatchString(name)
	}
	if !ok || !t.p.has("attributes") {
		return ok
	}
	base, _, _ := strings.Cut(name, "{")
	for _, a := range commaList(t.p.value("attributes")) {
		if strings.HasSuffix(base, "_"+strings.ToLower(a)) {
			return true
		}
	}
	return false
}

func (t *jmxTool) execute() error {
	ctx, sig, stop := t.watchSignals()
	defer stop()
	ms, _ := t.p.number("reporting-interval")
	once := t.p.has("one-time") && !strings.EqualFold(t.p.value("one-time"), "false") || ms < 0
	header := false
	for ctx.Err() == nil {
		got, err := t.read(ctx)
		if err == nil && len(got) == 0 {
			err = errors.New("No matched attributes for the queried objects " + strings.Join(t.p.all("object-name"), " "))
		}
		switch {
		case err != nil && ctx.Err() != nil:
		case err != nil && !t.p.has("wait"):
			return err
		case err == nil:
			t.print(got, &header)
			if once || t.out.Flush() != nil { // or nobody reads any more
				return nil
			}
		}
		sleepContext(ctx, client.Millis(max(ms, 1)))
	}
	if s := sig(); s != nil {
		return &exitError{signalExit(s)}
	}
	return nil
}

func (t *jmxTool) print(got []sample, header *bool) {
	at := strconv.FormatInt(t.Now().UnixMilli(), 10)
	if t.format != nil {
		at = t.format.format(t.Now())
	}
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	format := t.p.value("report-format")
	if format == "properties" {
		t.println("time=" + at)
		for _, s := range got {
			t.println(s.name + "=" + number(s.value))
		}
		t.out.Flush()
		return
	}
	names, values := []string{"time"}, []string{at}
	for _, s := range got {
		names, values = append(names, s.name), append(values, number(s.value))
	}
	sep := map[string]string{"original": ",", "csv": ",", "tsv": "\t"}[format]
	if !*header {
		*header = true
		for i := range names {
			names[i] = strconv.Quote(names[i])
		}
		t.println(strings.Join(names, sep))
	}
	t.println(strings.Join(values, sep))
	t.out.Flush()
}
