//go:build verify

package moldautest_test

import (
	"bytes"
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/client"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/verify"
	"github.com/moldau-stream/moldau/moldautest"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// patience is what a probe may take on a busy machine.
const patience = 4 * time.Minute

// verifies examines a cluster and returns the report and its text.
func verifies(t *testing.T, bootstrap string, o verify.Options) (*verify.Report, string) {
	t.Helper()
	// A busy machine is no broken rule.
	o.Properties = client.Properties{"bootstrap.servers": bootstrap, "request.timeout.ms": "120000"}
	o.Timeout, o.Patience = patience, patience/2
	if o.Only != nil {
		o.Patience = 20 * time.Second // what a lie keeps from coming about is not waited for longer
	}
	rep, err := verify.Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := rep.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	return rep, text.String()
}

// A cluster keeps Kafka's rules, and afterwards nothing is left of the probe.
func TestVerifyIsClean(t *testing.T) {
	if testing.Short() {
		t.Skip("examines whole clusters")
	}
	for name, start := range map[string]func(t *testing.T) *moldautest.Engine{
		"one node":    func(t *testing.T) *moldautest.Engine { return moldautest.New(t) },
		"three nodes": func(t *testing.T) *moldautest.Engine { return moldautest.Cluster(t, 3) },
	} {
		t.Run(name, func(t *testing.T) {
			kafka := start(t)
			rep, text := verifies(t, kafka.Bootstrap(), verify.Options{History: 2 * time.Second})
			if !rep.Clean {
				t.Error(text)
			}
			// A node hears of a removal a moment after the controller has acknowledged it.
			ctx := soon(t)
			for left := leftBy(ctx, t, kafka); len(left) > 0; left = leftBy(ctx, t, kafka) {
				select {
				case <-ctx.Done():
					t.Fatalf("%d topics are left, such as %s", len(left), left[0])
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
}

// leftBy are the probe's topics that a node still knows.
func leftBy(ctx context.Context, t *testing.T, kafka *moldautest.Engine) (left []string) {
	t.Helper()
	md, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, kafka.Client())
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range md.Topics {
		if strings.HasPrefix(*topic.Topic, verify.Prefix) {
			left = append(left, *topic.Topic)
		}
	}
	return left
}

// A rule is worth something when it sees the lie that it is about.
func TestVerifyFindsLies(t *testing.T) {
	if testing.Short() {
		t.Skip("examines nodes behind a proxy that lies")
	}
	honest := lie(func(kmsg.Response) {})
	for name, c := range map[string]struct {
		only   string
		lie    lie
		broken []string // one of these rules at least
	}{
		"honest":                           {"^(metadata|produce/crc|fetch/from-start|commit|history)", honest, nil},
		"drops an acknowledged record":     {"^history/", inHistory(dropsBatch), []string{"history/lost"}},
		"doubles a record":                 {"^history/", inHistory(renames("p1-000009", "p1-000006")), []string{"history/duplicated"}},
		"changes the order":                {"^history/", inHistory(swaps("p1-000003", "p1-000009")), []string{"history/reordered"}},
		"invents a record":                 {"^history/", inHistory(renames("p1-000004", "p9-000004")), []string{"history/phantom"}},
		"shows what was aborted":           {"^history/", showsAborted, []string{"history/torn"}},
		"names another offset":             {"^history/", namesOffsets, []string{"history/offset"}},
		"forgets a group's offset":         {"^commit/", forgetsOffsets, []string{"commit/read-back"}},
		"takes a broken batch":             {"^produce/crc", codes(kmsg.Produce, 2, 0), []string{"produce/crc"}},
		"gives a wrong code":               {"^metadata/unknown-topic", codes(kmsg.Metadata, 3, 5), []string{"metadata/unknown-topic"}},
		"answers at a wrong version":       {"^configs/describe", wrongVersion, []string{"configs/describe"}},
		"advertises what it cannot do":     {"^api-versions/", advertises, []string{"api-versions/table"}},
		"hides a coordinator's refusal":    {"^group/fenced", codes(kmsg.Heartbeat, 22, 0), []string{"group/fenced"}},
		"shows a transaction that is open": {"^txn/life", stable, []string{"txn/life-end"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newLiar(t, moldautest.New(t).Bootstrap(), c.lie)
			rep, text := verifies(t, p.listener.Addr().String(), verify.Options{Only: regexp.MustCompile(c.only), History: time.Second})
			if c.broken == nil {
				if !rep.Clean {
					t.Error(text)
				}
				return
			}
			for _, f := range rep.Failures {
				if slices.Contains(c.broken, f.Rule) {
					return
				}
			}
			t.Errorf("it was not found: %s", text)
		})
	}
}

// inHistory changes the record batches of every fetch.
func inHistory(change func(b record.Batch)) lie {
	return func(resp kmsg.Response) {
		f, ok := resp.(*kmsg.FetchResponse)
		if !ok {
			return
		}
		for _, t := range f.Topics {
			for _, p := range t.Partitions {
				for rest := p.RecordBatches; len(rest) > 0; {
					b, next, err := record.Next(rest)
					if err != nil {
						break
					}
					change(b)
					b.UpdateCRC()
					rest = next
				}
			}
		}
	}
}

// dropsBatch hides the batch that holds a record, as if it were a marker.
func dropsBatch(b record.Batch) {
	const control, attributesLow = 1 << 5, 22
	if bytes.Contains(b, []byte("p1-000005")) {
		b[attributesLow] |= control
	}
}

func renames(from, to string) func(record.Batch) {
	return func(b record.Batch) {
		if i := bytes.Index(b, []byte(from)); i >= 0 {
			copy(b[i:], to)
		}
	}
}

// swaps changes the places of two records, in one batch or in two.
func swaps(one, other string) func(record.Batch) {
	return func(b record.Batch) {
		i, j := bytes.Index(b, []byte(one)), bytes.Index(b, []byte(other))
		if i >= 0 {
			copy(b[i:], other)
		}
		if j >= 0 {
			copy(b[j:], one)
		}
	}
}

// showsAborted does not tell readers of committed records what to leave out.
func showsAborted(resp kmsg.Response) {
	if f, ok := resp.(*kmsg.FetchResponse); ok {
		for _, t := range f.Topics {
			for i := range t.Partitions {
				t.Partitions[i].AbortedTransactions = nil
			}
		}
	}
}

// namesOffsets acknowledges records at other offsets than theirs.
func namesOffsets(resp kmsg.Response) {
	if r, ok := resp.(*kmsg.ProduceResponse); ok {
		for _, t := range r.Topics {
			for i := range t.Partitions {
				t.Partitions[i].BaseOffset += 3
			}
		}
	}
}

func forgetsOffsets(resp kmsg.Response) {
	if r, ok := resp.(*kmsg.OffsetFetchResponse); ok {
		for _, t := range r.Topics {
			for i := range t.Partitions {
				t.Partitions[i].Offset--
			}
		}
		for _, g := range r.Groups {
			for _, t := range g.Topics {
				for i := range t.Partitions {
					t.Partitions[i].Offset--
				}
			}
		}
	}
}

// codes gives one error code for another in the answers of an API.
func codes(key kmsg.Key, from, to int16) lie {
	change := func(c *int16) {
		if *c == from {
			*c = to
		}
	}
	return func(resp kmsg.Response) {
		switch r := resp.(type) {
		case *kmsg.ProduceResponse:
			for _, t := range r.Topics {
				for i := range t.Partitions {
					if key == kmsg.Produce {
						change(&t.Partitions[i].ErrorCode)
					}
				}
			}
		case *kmsg.MetadataResponse:
			for i := range r.Topics {
				if key == kmsg.Metadata {
					change(&r.Topics[i].ErrorCode)
				}
			}
		case *kmsg.HeartbeatResponse:
			if key == kmsg.Heartbeat {
				change(&r.ErrorCode)
			}
		}
	}
}

// wrongVersion writes answers as an older version has them.
func wrongVersion(resp kmsg.Response) {
	if r, ok := resp.(*kmsg.DescribeConfigsResponse); ok && r.Version > 3 {
		r.Version = 1
	}
}

// advertises says that there is more than there is, to clients that ask at a newer version.
func advertises(resp kmsg.Response) {
	if r, ok := resp.(*kmsg.ApiVersionsResponse); ok && r.Version >= 3 {
		for i := range r.ApiKeys {
			if r.ApiKeys[i].ApiKey == int16(kmsg.Fetch) {
				r.ApiKeys[i].MaxVersion = 99
			}
		}
	}
}

// stable tells readers that the last stable offset is the end.
func stable(resp kmsg.Response) {
	if r, ok := resp.(*kmsg.ListOffsetsResponse); ok {
		for _, t := range r.Topics {
			for i := range t.Partitions {
				t.Partitions[i].Offset = max(t.Partitions[i].Offset, 2)
			}
		}
	}
}
