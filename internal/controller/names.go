package controller

import (
	"strings"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kerr"
)

// maxTopicName is Kafka's bound: with "-" and a partition number it must still be a file name.
const maxTopicName = 249

// metadataTopic is the log of the quorum itself.
const metadataTopic = "__cluster_metadata"

func checkTopicName(name string) *Error {
	bad := func(why string) *Error { return refuse(kerr.InvalidTopicException, "Topic name is invalid: %s", why) }
	switch {
	case name == "":
		return bad("the empty string is not allowed")
	case name == "." || name == "..":
		return bad("'" + name + "' is not allowed")
	case len(name) > maxTopicName:
		return bad("the length of '" + name + "' is longer than the max allowed length 249")
	}
	for _, c := range []byte(name) {
		legal := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
		if !legal {
			return bad("'" + name + "' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
		}
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
