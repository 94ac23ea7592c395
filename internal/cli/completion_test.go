package cli

import (
	"strings"
	"testing"
)

func TestCompletionFindsNamesByTheWholeLine(t *testing.T) {
	s := newStage(t, "my.topic-a", "orders")
	for _, c := range []struct{ line, whole, want string }{
		{"moldau complete kafka-topics --describe --topic my.", "kafka-topics --describe --topic my. --bootstrap-server $B", "my.topic-a\n"},
		{"moldau complete kafka-configs.sh --bootstrap-server $B --entity-type topics --entity-name o", "", "orders\n"},
		{"moldau complete kafka-configs --bootstrap-server=$B --entity-type=topics --entity-name=my", "", "--entity-name=my.topic-a\n"},
		{"moldau complete kafka-configs --bootstrap-server $B --entity-type users --entity-name o", "", ""},
		{"moldau complete kafka-metadata-quorum --bootstrap-server $B d", "", "describe\n"},
		{"moldau complete kafka-metadata-quorum --bootstrap-server d", "", ""},
		{"moldau complete kafka-metadata-quorum --bootstrap-server $B describe d", "", ""},
	} {
		s.env["MOLDAU_COMPLETE_LINE"] = strings.ReplaceAll(c.whole, "$B", s.bootstrap)
		if o := s.run(c.line, ""); o.stdout != c.want || o.code != 0 {
			t.Errorf("%s: %q, wanted %q", c.line, o.stdout, c.want)
		}
	}
}
