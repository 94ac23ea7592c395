package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// span is the versions of one API.
type span struct{ low, high int16 }

// cluster is what the probe knows of the brokers.
type cluster struct {
	settings *client.Settings

	mu      sync.Mutex
	brokers map[int32]string // address of each broker; mu
	ids     []int32          // sorted; mu
	id      string           // the cluster's id

	table map[int16]span           // what every broker advertises; set once
	said  map[int32]map[int16]span // what each broker advertises; set once
	full  *kmsg.ApiVersionsResponse
}

// meet asks the bootstrap servers who is there, and each broker what it speaks.
func meet(ctx context.Context, s *client.Settings) (*cluster, error) {
	c := &cluster{settings: s, said: map[int32]map[int16]span{}}
	var err error
	for _, addr := range s.Bootstrap {
		if err = c.refresh(ctx, addr); err == nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot ask any of %v who the brokers are: %w", s.Bootstrap, err)
	}
	for _, id := range c.ids {
		if err := c.learn(ctx, id); err != nil {
			return nil, fmt.Errorf("cannot ask broker %d what it speaks: %w", id, err)
		}
	}
	c.table = common(c.said)
	return c, nil
}

// refresh reads the list of brokers from one of them.
func (c *cluster) refresh(ctx context.Context, addr string) error {
	conn, err := dial(ctx, c.settings, addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	req := kmsg.NewPtrMetadataRequest()
	req.Version, req.Topics = 4, []kmsg.MetadataRequestTopic{}
	resp, err := conn.ask(ctx, req)
	if err != nil {
		return err
	}
	md := resp.(*kmsg.MetadataResponse)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.brokers = map[int32]string{}
	for _, b := range md.Brokers {
		c.brokers[b.NodeID] = hostPort(b.Host, b.Port)
	}
	c.ids = slices.Sorted(maps.Keys(c.brokers))
	if md.ClusterID != nil {
		c.id = *md.ClusterID
	}
	if len(c.ids) == 0 {
		return fmt.Errorf("%s lists no brokers", addr)
	}
	return nil
}

func (c *cluster) learn(ctx context.Context, id int32) error {
	conn, err := dial(ctx, c.settings, c.addr(id))
	if err != nil {
		return err
	}
	defer conn.Close()
	req := kmsg.NewPtrApiVersionsRequest() // version 0: any broker knows it
	resp, err := conn.ask(ctx, req)
	if err != nil {
		return err
	}
	av := resp.(*kmsg.ApiVersionsResponse)
	if err := client.CodeError(av.ErrorCode, nil); err != nil {
		return err
	}
	t := map[int16]span{}
	for _, k := range av.ApiKeys {
		t[k.ApiKey] = span{k.MinVersion, k.MaxVersion}
	}
	c.said[id] = t
	if c.full == nil {
		c.full = c.features(ctx, conn, t)
	}
	return nil
}

// features asks at version 3, which tells the feature levels; nil where a broker does not speak it.
func (c *cluster) features(ctx context.Context, conn *conn, t map[int16]span) *kmsg.ApiVersionsResponse {
	if t[int16(kmsg.ApiVersions)].high < 3 {
		return nil
	}
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 3, ourClientID, "1"
	resp, err := conn.ask(ctx, req)
	if err != nil {
		return nil
	}
	return resp.(*kmsg.ApiVersionsResponse)
}

// common is what all brokers speak; in a cluster of mixed releases that is less than each does.
func common(said map[int32]map[int16]span) map[int16]span {
	var out map[int16]span
	for _, t := range said {
		if out == nil {
			out = maps.Clone(t)
			continue
		}
		for key, s := range out {
			o, ok := t[key]
			s.low, s.high = max(s.low, o.low), min(s.high, o.high)
			if !ok || s.low > s.high {
				delete(out, key)
				continue
			}
			out[key] = s
		}
	}
	return out
}

func (c *cluster) addr(id int32) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.brokers[id]
}

func (c *cluster) nodes() []int32 { return c.ids }

// feature is the finalized level of a feature, 0 where it is off or not said.
func (c *cluster) feature(name string) int16 {
	if c.full == nil {
		return 0
	}
	for _, f := range c.full.FinalizedFeatures {
		if f.Name == name {
			return f.MaxVersionLevel
		}
	}
	return 0
}

// highest is the highest version of an API that both the cluster and the codec know.
func (c *cluster) highest(key int16) int16 {
	return min(c.table[key].high, kmsg.Key(key).Request().MaxVersion())
}

// retryPause is between two tries of what is said to pass by itself.
const retryPause = 50 * time.Millisecond

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
