package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// clean removes what has the run's prefix: groups first, since members may still hold topics.
func (p *probe) clean(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*p.options.Patience)
	defer cancel()
	r := &rule{name: "clean-up", key: kmsg.DeleteTopics, says: "What was made can be removed.", cites: "Kafka protocol guide", run: func(x *exam) {
		for _, g := range x.ourGroups() {
			x.removeGroup(g)
		}
		x.removeTopics(x.ourTopics())
	}}
	x := p.examine(ctx, r, p.cluster.highest(int16(kmsg.DeleteTopics)))
	for _, f := range x.failed {
		p.rep.Left = append(p.rep.Left, fmt.Sprintf("something whose name begins with %s: expected %s, got %s", p.prefix, f.Expected, f.Got))
	}
}

// ourTopics asks every broker: one that lags behind does not know the youngest yet.
func (x *exam) ourTopics() []string {
	return x.ours(func(id int32) (names []string) {
		req := kmsg.NewPtrMetadataRequest()
		req.Topics = nil // all
		for _, t := range askAt[*kmsg.MetadataResponse](x, id, req, passing()...).Topics {
			if t.Topic != nil {
				names = append(names, *t.Topic)
			}
		}
		return names
	})
}

// ours is what brokers list under names of this run's, each once.
func (x *exam) ours(list func(broker int32) []string) []string {
	found := map[string]bool{}
	for _, id := range x.cluster.nodes() {
		for _, name := range list(id) {
			if strings.HasPrefix(name, x.prefix) {
				found[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func (x *exam) removeTopics(names []string) {
	if len(names) == 0 {
		return
	}
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis, req.TopicNames = requestTimeoutMs, names
	for _, n := range names {
		req.Topics = append(req.Topics, kmsg.DeleteTopicsRequestTopic{Topic: &n})
	}
	for _, t := range ask[*kmsg.DeleteTopicsResponse](x, req).Topics {
		name := ""
		if t.Topic != nil {
			name = *t.Topic
		}
		x.code("topic "+name, t.ErrorCode, 0, codeUnknownTopic)
	}
}

func (x *exam) ourGroups() []string {
	return x.ours(func(id int32) (names []string) {
		for _, g := range askAt[*kmsg.ListGroupsResponse](x, id, kmsg.NewPtrListGroupsRequest()).Groups {
			names = append(names, g.Group)
		}
		return names
	})
}

// removeGroup deletes a group; one that a rule has left with members empties when their sessions are over, or is told of.
func (x *exam) removeGroup(group string) {
	until := time.Now().Add(x.options.Patience)
	for {
		req := kmsg.NewPtrDeleteGroupsRequest()
		req.Groups = []string{group}
		resp := askGroup[*kmsg.DeleteGroupsResponse](x, group, req)
		if len(resp.Groups) == 1 && resp.Groups[0].ErrorCode == codeNonEmptyGroup && time.Now().Before(until) && pause(x.ctx, 4*retryPause) == nil {
			continue
		}
		for _, g := range resp.Groups {
			x.code("group "+group, g.ErrorCode, 0, codeGroupIDNotFound)
		}
		return
	}
}
