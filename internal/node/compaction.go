package node

import (
	"strings"

	"github.com/moldau-stream/moldau/internal/meta"
)

// warnOfCompaction tells the operator of topics that ask for compaction: they are kept whole until it is served.
func (n *Node) warnOfCompaction(img *meta.Image, delta *meta.Delta) {
	for name := range changedTopicNames(delta) {
		policy := img.Config(meta.ResourceTopic, name)["cleanup.policy"]
		if strings.Contains(policy, "compact") && !strings.HasPrefix(name, "__") {
			n.o.Logger.Warn("the topic asks for compaction, which is not served yet: all its records are kept", "topic", name)
		}
	}
}

// changedTopicNames are the topics that were created or whose settings changed.
func changedTopicNames(delta *meta.Delta) map[string]bool {
	names := make(map[string]bool)
	if delta == nil {
		return names
	}
	for _, t := range delta.ChangedTopics {
		if t.Old == nil {
			names[t.Topic.Name] = true
		}
	}
	for res := range delta.ChangedConfigs {
		if res.Type == meta.ResourceTopic {
			names[res.Name] = true
		}
	}
	return names
}
