package cli

import (
	"testing"

	"github.com/moldau-stream/moldau/internal/client"
)

// Kafka 4.3.1 says this of such files.
func TestWhatIsWrongWithMetaProperties(t *testing.T) {
	for _, c := range []struct {
		meta client.Properties
		want string
	}{
		{client.Properties{"version": "1", "cluster.id": "c", "node.id": "1"}, ""},
		{client.Properties{"version": "0", "broker.id": "1"}, ""},
		{client.Properties{"version": "7", "cluster.id": "c", "node.id": "1"}, "Unknown meta.properties version number 7"},
		{client.Properties{"version": "x"}, "Invalid meta.properties version string 'x'"},
		{client.Properties{"version": "1", "node.id": "1"}, "cluster.id was not found."},
		{client.Properties{"version": "1", "cluster.id": "c"}, "Failed to find node.id"},
		{client.Properties{"version": "1", "cluster.id": "c", "node.id": "x"}, "Unable to read node.id as a base-10 number."},
		{client.Properties{"version": "1", "cluster.id": "c", "node.id": "1", "directory.id": "zz"},
			"Unable to read directory.id as a Uuid: Input string `zz` decoded as 1 bytes, which is not equal to the expected 16 bytes of a base64-encoded UUID"},
	} {
		if got := metaProblem(c.meta); got != c.want {
			t.Errorf("%v: %q, wanted %q", c.meta, got, c.want)
		}
	}
}
