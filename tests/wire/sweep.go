package wire

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// lab is the server with what prepare has set up on it.
type lab struct {
	addr  string
	vars  *strings.Replacer // fills the probes
	ids   map[string][16]byte
	table map[int16]kmsg.ApiVersionsResponseApiKey
}

// prepareTimeout bounds the set-up; the first topic of a cold JVM takes seconds.
const prepareTimeout = 60 * time.Second

// prepare makes the topics, records and group that the probes speak of. It can
// run again on a cluster that has them from an earlier run: they are made anew.
func prepare(ctx context.Context, addr string) (*lab, error) {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.UnknownTopicRetries(-1))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	if err := makeTopics(ctx, adm); err != nil {
		return nil, err
	}
	for i := range topicCount {
		r := &kgo.Record{Topic: topic, Partition: 0, Value: []byte("v"), Timestamp: time.UnixMilli(1000 + int64(i))}
		if err := cl.ProduceSync(ctx, r).FirstErr(); err != nil {
			return nil, fmt.Errorf("cannot write to %s: %w", topic, err)
		}
	}
	offs := kadm.Offsets{}
	offs.Add(kadm.Offset{Topic: topic, Partition: 0, At: 2, LeaderEpoch: -1, Metadata: "kept"})
	if err := adm.CommitAllOffsets(ctx, group, offs); err != nil {
		return nil, fmt.Errorf("cannot commit for %s: %w", group, err)
	}
	l := &lab{addr: addr, ids: map[string][16]byte{}, table: map[int16]kmsg.ApiVersionsResponseApiKey{}}
	topics, err := adm.ListTopics(ctx)
	if err != nil {
		return nil, err
	}
	for name, t := range topics {
		l.ids[name] = t.ID
	}
	l.vars = strings.NewReplacer(
		"$PRODUCEID", idJSON(l.ids["wire-produce"]), "$ID", idJSON(l.ids[topic]), "$NOID", idJSON([16]byte{1, 2, 3}),
		"$BATCH", base64.StdEncoding.EncodeToString(newBatch().bytes()), "$LONG", strings.Repeat("x", 250))
	resp, err := kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	for _, k := range resp.ApiKeys {
		l.table[k.ApiKey] = k
	}
	return l, nil
}

func makeTopics(ctx context.Context, adm *kadm.Client) error {
	names := []string{topic, compacted, "wire-produce", "wire-txn-topic"}
	existing, err := adm.ListTopics(ctx, names...)
	if err != nil {
		return err
	}
	for name, t := range existing {
		if t.Err == nil {
			if _, err := adm.DeleteTopic(ctx, name); err != nil {
				return fmt.Errorf("cannot delete %s of an earlier run: %w", name, err)
			}
		}
	}
	if _, err := adm.DeleteGroup(ctx, group); err != nil && len(existing) == 0 {
		return err
	}
	policy, forever := "compact", "-1"
	for _, name := range names {
		parts, configs := int32(1), map[string]*string(nil)
		switch name {
		case topic:
			// Its records are from 1970, so that their times are known; retention must not take them.
			parts, configs = 2, map[string]*string{"retention.ms": &forever}
		case compacted:
			configs = map[string]*string{"cleanup.policy": &policy}
		}
		if _, err := adm.CreateTopic(ctx, parts, 1, configs, name); err != nil {
			return fmt.Errorf("cannot create %s: %w", name, err)
		}
	}
	return nil
}

func idJSON(id [16]byte) string {
	b, _ := json.Marshal(id) // an array of numbers cannot fail
	return string(b)
}

// build makes the request of a probe at a version.
func (l *lab) build(key kmsg.Key, version int16, body string) (kmsg.Request, error) {
	req := key.Request()
	if req == nil {
		return nil, fmt.Errorf("the codec does not know API %d", key)
	}
	if body != "" {
		dec := json.NewDecoder(bytes.NewReader([]byte(l.vars.Replace(body))))
		dec.DisallowUnknownFields()
		if err := dec.Decode(req); err != nil {
			return nil, fmt.Errorf("the probe of %s is wrong: %w", key.Name(), err)
		}
	}
	req.SetVersion(version)
	return req, nil
}

// notAsked are APIs whose empty request would change the server or wait for others.
var notAsked = []kmsg.Key{kmsg.WriteTxnMarkers, kmsg.AllocateProducerIDs}

// sweep asks everything that the server advertises and returns one line for each.
func (l *lab) sweep(want func(string) bool) map[string]string {
	out := map[string]string{}
	probed := map[kmsg.Key]bool{}
	ask := func(key kmsg.Key, version int16, name, body string) {
		line := fmt.Sprintf("%s v%d %s", key.Name(), version, name)
		if want(line) {
			out[line] = l.answer(key, version, body)
		}
	}
	for _, p := range probes() {
		k, ok := l.table[int16(p.key)]
		probed[p.key] = true
		if !ok {
			continue
		}
		for v := max(k.MinVersion, p.min); v <= min(k.MaxVersion, p.max); v++ {
			ask(p.key, v, p.name, p.body)
		}
	}
	for key, k := range l.table {
		if probed[kmsg.Key(key)] || slices.Contains(notAsked, kmsg.Key(key)) || kmsg.Key(key).Request() == nil {
			continue
		}
		for v := k.MinVersion; v <= k.MaxVersion; v++ {
			ask(kmsg.Key(key), v, "empty request", "")
		}
	}
	return out
}

func (l *lab) answer(key kmsg.Key, version int16, body string) string {
	req, err := l.build(key, version, body)
	if err != nil {
		return err.Error()
	}
	resp, err := ask(l.addr, req)
	return outcome(resp, err)
}

func outcome(resp kmsg.Response, err error) string {
	if err != nil {
		return err.Error()
	}
	if av, ok := resp.(*kmsg.ApiVersionsResponse); ok {
		// The table itself is compared on its own.
		return fmt.Sprintf("{ErrorCode:%d, keys: %t}", av.ErrorCode, len(av.ApiKeys) > 0)
	}
	if dq, ok := resp.(*kmsg.DescribeQuorumResponse); ok {
		for _, t := range dq.Topics { // the metadata log of every server grows in its own way
			for i := range t.Partitions {
				t.Partitions[i].HighWatermark, t.Partitions[i].LeaderEpoch = 0, 0
			}
		}
	}
	return render(resp)
}

// ranges renders the advertised table, one line an API.
func (l *lab) ranges() map[string]string {
	out := map[string]string{}
	for k, v := range l.table {
		out["versions of "+kmsg.Key(k).Name()] = fmt.Sprintf("%d-%d", v.MinVersion, v.MaxVersion)
	}
	return out
}

func sortedNames(m map[string]string) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
