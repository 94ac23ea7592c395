package interop

import (
	"regexp"
	"slices"
)

// reason says why clients cannot do what some columns ask, or why they fail at it.
type reason struct {
	rows    *regexp.Regexp
	columns []string // none: all
	why     string
}

func (r reason) is(row, column string) bool {
	return r.rows.MatchString(row) && (len(r.columns) == 0 || slices.Contains(r.columns, column))
}

func find(list []reason, row, column string) string {
	for _, r := range list {
		if r.is(row, column) {
			return r.why
		}
	}
	return ""
}

// programsOf are the rows of whole programs.
const programsOf = `^(Kafka Connect|MirrorMaker|Kafka Streams|librdkafka's tests|franz-go's tests|Burrow)`

// whyNot is why a client does not do what the column asks.
func whyNot(row, column string) string { return find(cannots(), row, column) }

func cannots() []reason {
	re := regexp.MustCompile
	return []reason{
		{re(programsOf), nil, "a program that does what it is made for; see the last column"},
		{re(``), []string{ownColumn}, "a client library: the other columns say what it does"},
		{re(`^Apache console tools`), []string{"eager", "coop", "kip848", "static"}, "the console consumer does not show what it owns"},
		{re(`^Apache console tools`), []string{"idemp", "txn"}, "the console producer cannot be told to"},
		{re(`^Apache perf tools`), nil, "they write and count records of their own making"},
		{re(`^(Java 2\.8|confluent-kafka of Debian|kcat)`), []string{"kip848"}, "older than this protocol"},
		{re(`, (0\.11|1\.0|2\.0) protocol|lowest versions`), []string{"create", "zstd", "coop", "kip848", "static", "admin"}, "the protocol of that version has none, or not what the step needs"},
		{re(`^(franz-go, |sarama)`), []string{"kip848", "static"}, "not in the protocol versions of this row"},
		{re(`^(kafka-python|aiokafka|kafka-go|kafkajs)`), []string{"kip848"}, "the library does not know this protocol"},
		{re(`^(aiokafka|kafka-go|kafkajs)`), []string{"coop"}, "the library has no cooperative assignor"},
		{re(`^(kafka-go|kafkajs)`), []string{"static"}, "the library has no static members"},
		{re(`^kafka-go`), []string{"idemp", "txn"}, "the library has no producer ids"},
		{re(`^(kafka-go|kafkajs)`), []string{"compact"}, "the library waits for ever where compaction has emptied batches, on any broker"},
		{re(`^kcat`), []string{"create", "admin"}, "the program has no admin calls"},
		{re(`^kcat`), []string{"txn"}, "the program's transactions cannot commit a group's offsets"},
		{re(`^@platformatic/kafka`), []string{"coop"}, "the library has no cooperative assignor"},
		{re(`^@platformatic/kafka`), []string{"static"}, "a member of this library leaves the group when it ends, also with a group.instance.id"},
		{re(`^rdkafka for Rust`), []string{"zstd"}, "the crate builds librdkafka without it unless asked"},
	}
}

// known explains a failure that is not ours to mend, or a difference between the targets. Empty: nobody has looked.
func known(target, row, column string) string { return find(knownOn(target), row, column) }

func knownOn(string) []reason { return nil }
