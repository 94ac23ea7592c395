package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// `moldau tuning-lab` shows on the reader's own cluster what the best-known settings do: it makes topics of its own,
// measures each setting at a few values, and writes what it has seen with plots, in English and in Korean.

func tuningOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "server to connect to", "The brokers to connect to, as host:port, several with commas.").withDefault("localhost:9092")
	s.arg("command-config", "config file", "A properties file for the clients.")
	s.arg("out", "directory", "Where to write tuning.md, tuning.ko.md and the plots.").withDefault("moldau-tuning")
	s.arg("only", "settings", "Measure only these settings, separated by commas.")
	s.arg("seconds", "seconds", "How long to measure each value.").ofKind(intValue).withDefault("2")
	return s
}

// maxLabSeconds keeps a slip of the finger from filling a disk.
const maxLabSeconds = 60

// lab is one run.
type lab struct {
	*run
	p      *parsed
	props  client.Properties // of every client
	admin  *client.Client
	length time.Duration
	stop   context.Context // ends at a signal
	topics []string        // to be removed
	began  time.Time
}

// labResult is what one setting has shown.
type labResult struct {
	knob *labKnob
	rows []labRow
}

// labRow is one value of a setting with its figures, in the order of the knob's.
type labRow struct {
	value     string
	isDefault bool
	figures   []float64
}

func runTuningLab(r *run, args []string) int {
	set := tuningOptions()
	p, err := set.parse(args)
	if err != nil {
		return r.outcome(err)
	}
	if p.has("help") {
		return r.outcome(r.usage(set, nil, "Measures on your own cluster what settings of producers, consumers and topics do, in under three minutes. "+
			"It makes topics named moldau-tuning-lab-..., some 2 GB in all, and removes them."))
	}
	l := &lab{run: r, p: p, began: r.Now()}
	knobs, err := l.prepare()
	if err == nil {
		err = l.execute(knobs)
	}
	return r.outcome(err)
}

func (l *lab) prepare() ([]*labKnob, error) {
	seconds, _ := l.p.number("seconds")
	if l.p.err != nil {
		return nil, l.p.err
	}
	if seconds < 1 || seconds > maxLabSeconds {
		return nil, fmt.Errorf("--seconds must be from 1 to %d", maxLabSeconds)
	}
	l.length = time.Duration(seconds) * time.Second
	knobs := labKnobs()
	if only := l.p.value("only"); only != "" {
		names := strings.Split(only, ",")
		for _, n := range names {
			if !slices.ContainsFunc(knobs, func(k *labKnob) bool { return k.key == n }) {
				return nil, fmt.Errorf("the lab does not know the setting %q, only %s", n, knobNames(knobs))
			}
		}
		knobs = slices.DeleteFunc(knobs, func(k *labKnob) bool { return !slices.Contains(names, k.key) })
	}
	l.props = client.Properties{}
	if f := l.p.value("command-config"); f != "" {
		loaded, err := client.LoadProperties(f)
		if err != nil {
			return nil, err
		}
		l.props.Merge(loaded)
	}
	l.props["bootstrap.servers"] = l.p.value("bootstrap-server")
	return knobs, os.MkdirAll(filepath.Join(l.p.value("out"), labPlots), 0o755)
}

func knobNames(knobs []*labKnob) string {
	var out []string
	for _, k := range knobs {
		out = append(out, k.key)
	}
	return strings.Join(out, ", ")
}

func (l *lab) execute(knobs []*labKnob) (err error) {
	if l.admin, err = l.open(client.Admin, l.p.value("bootstrap-server"), l.p.value("command-config")); err != nil {
		return err
	}
	defer l.admin.Close()
	ctx, caught, stop := l.watchSignals()
	defer stop()
	l.stop = ctx
	var results []labResult
	for _, k := range knobs {
		var one labResult
		one, err = l.measure(k)
		if err != nil {
			break
		}
		results = append(results, one)
	}
	err = errors.Join(err, l.removeTopics())
	if s := caught(); s != nil {
		return &exitError{signalExit(s)}
	}
	if err != nil {
		return err
	}
	if err := l.write(results); err != nil {
		return err
	}
	l.printf("\nwritten to %s in %s: tuning.md, tuning.ko.md and %d plots\n", l.p.value("out"), l.Now().Sub(l.began).Round(time.Second), len(results))
	return nil
}

// measure puts a setting to each of its values.
func (l *lab) measure(k *labKnob) (labResult, error) {
	out := labResult{knob: k}
	l.printf("\n%s\n  %-22s", k.key, "")
	for _, f := range k.figures {
		l.printf("%24s", f)
	}
	l.println("")
	for _, v := range k.values {
		if err := l.stop.Err(); err != nil {
			return out, err
		}
		figures, err := k.measure(l, v.value)
		if err != nil {
			return out, fmt.Errorf("cannot measure %s=%s: %w", k.key, v.value, err)
		}
		row := labRow{v.shown(), v.isDefault, figures}
		out.rows = append(out.rows, row)
		label := row.value
		if row.isDefault {
			label += " (default)"
		}
		l.printf("  %-22s", label)
		for _, f := range figures {
			l.printf("%24s", labFigure(f))
		}
		l.println("")
		l.out.Flush()
	}
	return out, nil
}

// topic makes a topic of the lab's own.
func (l *lab) topic(partitions int32, configs map[string]string) (string, error) {
	id, err := newUUID()
	if err != nil {
		return "", err
	}
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = "moldau-tuning-lab-"+uuidString(id), partitions, 1
	for k, v := range configs {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = k, kmsg.StringPtr(v)
		rt.Configs = append(rt.Configs, c)
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics = append(req.Topics, rt)
	req.TimeoutMillis = int32(l.admin.Settings.RequestTimeout.Milliseconds())
	resp, err := l.admin.Any(l.stop, "createTopics", req)
	if err != nil {
		return "", err
	}
	for _, t := range resp.(*kmsg.CreateTopicsResponse).Topics {
		if err := client.CodeError(t.ErrorCode, t.ErrorMessage); err != nil {
			return "", fmt.Errorf("cannot create topic %s: %w", rt.Topic, err)
		}
	}
	l.topics = append(l.topics, rt.Topic)
	return rt.Topic, nil
}

// removeTopics removes them all, also after a failure or a signal.
func (l *lab) removeTopics() error {
	var failed error
	for _, name := range l.topics {
		req := kmsg.NewPtrDeleteTopicsRequest()
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics, req.TopicNames = append(req.Topics, t), append(req.TopicNames, name)
		req.TimeoutMillis = int32(l.admin.Settings.RequestTimeout.Milliseconds())
		resp, err := l.admin.Any(l.ctx, "deleteTopics", req)
		if err == nil {
			for _, t := range resp.(*kmsg.DeleteTopicsResponse).Topics {
				err = client.CodeError(t.ErrorCode, t.ErrorMessage)
			}
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("cannot remove topic %s: %w", name, err))
		}
	}
	l.topics = nil
	return failed
}
