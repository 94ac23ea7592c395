package controller

import (
	"strings"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kerr"
)

// metadataTopic is the log of the quorum itself.
const metadataTopic = "__cluster_metadata"

func checkTopicName(name string) *Error {
	if err := meta.CheckTopicName(name); err != nil {
		return &Error{kerr.InvalidTopicException.Code, err.Error()}
	}
	return nil
}

// canonicalName is equal for names that make the same metric names, and so may not both exist.
func canonicalName(name string) string { return strings.ReplaceAll(name, ".", "_") }

// collision finds a topic whose name differs from name in '.' and '_' only.
func collision(img *meta.Image, name string) (string, bool) {
	i := strings.IndexAny(name, "._")
	if i < 0 {
		return "", false
	}
	prefix, want, found := name[:i], canonicalName(name), ""
	img.TopicsFrom(prefix, func(t *meta.Topic) bool {
		if !strings.HasPrefix(t.Name, prefix) {
			return false
		}
		if t.Name != name && canonicalName(t.Name) == want {
			found = t.Name
		}
		return found == ""
	})
	return found, found != ""
}
