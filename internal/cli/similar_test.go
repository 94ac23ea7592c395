package cli

import (
	"strings"
	"testing"
)

// TestWordsAreLikeThoseThatKafkaNames has what Kafka's own tools answered to such slips.
func TestWordsAreLikeThoseThatKafkaNames(t *testing.T) {
	cluster := []string{"--help", "--config", "--command-config", "--bootstrap-server", "--bootstrap-controller"}
	storage := []string{"info", "format", "version-mapping", "feature-dependencies", "random-uuid"}
	for _, c := range []struct {
		word     string
		subjects []string
		want     string
	}{
		{"--id", cluster, "--config --help"},
		{"--boostrap-server", cluster, "--bootstrap-server"},
		{"--no-such-option", cluster, ""},
		{"inof", storage, "info"},
		{"fromat", storage, "format"},
		{"no-such-command", storage, ""},
		{"--", cluster, ""},
		{"", storage, ""},
	} {
		if got := strings.Join(similar(c.word, c.subjects), " "); got != c.want {
			t.Errorf("%s is like %q, wanted %q", c.word, got, c.want)
		}
	}
}

// TestCommandsMayBeShortened: what only one sub-command begins with is enough.
func TestCommandsMayBeShortened(t *testing.T) {
	s := offline(t)
	s.complains("kafka-storage inf", 1, "kafka-storage info [-h]", "argument --config/-c is required")
	s.complains("kafka-storage f", 1, "could   match  feature-")
}
