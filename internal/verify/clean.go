package verify

import (
	"context"
	"fmt"
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

func (x *exam) ourTopics() []string {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = nil // all
	var out []string
	for _, t := range ask[*kmsg.MetadataResponse](x, req, passing()...).Topics {
		if t.Topic != nil && strings.HasPrefix(*t.Topic, x.prefix) {
			out = append(out, *t.Topic)
		}
	}
	return out
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
	var out []string
	for _, id := range x.cluster.nodes() {
		for _, g := range askAt[*kmsg.ListGroupsResponse](x, id, kmsg.NewPtrListGroupsRequest()).Groups {
			if strings.HasPrefix(g.Group, x.prefix) {
				out = append(out, g.Group)
			}
		}
	}
	return out
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
