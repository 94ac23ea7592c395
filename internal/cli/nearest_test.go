package cli

import (
	"strings"
	"testing"
)

// TestEveryToolNamesTheNearestName gives each tool that takes a name one with a slip of the finger.
func TestEveryToolNamesTheNearestName(t *testing.T) {
	s := newStage(t, "orders", "payments")
	s.expect("kafka-consumer-groups --bootstrap-server $B --reset-offsets --group billing --topic orders --to-earliest --execute", "",
		"\nGROUP           TOPIC           PARTITION  NEW-OFFSET\nbilling         orders          0          0\nbilling         orders          1          0\n", 0)
	s.file("cut.json", `{"partitions":[{"topic":"ordrs","partition":0,"offset":1}],"version":1}`)
	s.file("move.json", `{"topics":[{"topic":"ordrs"}],"version":1}`)
	s.file("plan.json", `{"partitions":[{"topic":"ordrs","partition":0,"replicas":[0]}],"version":1}`)
	s.file("elect.json", `{"partitions":[{"topic":"ordrs","partition":0}]}`)
	s.file("short.properties", "default.api.timeout.ms=400\nrequest.timeout.ms=300\n")
	for line, want := range map[string]string{
		"kafka-topics --bootstrap-server $B --describe --topic ordrs":                                                                                                "topic ordrs; did you mean orders?",
		"kafka-topics --bootstrap-server $B --delete --topic ordrs":                                                                                                  "topic ordrs; did you mean orders?",
		"kafka-topics --bootstrap-server $B --alter --topic ordrs --partitions 5":                                                                                    "topic ordrs; did you mean orders?",
		"kafka-configs --bootstrap-server $B --describe --topic ordrs":                                                                                               "topic ordrs; did you mean orders?",
		"kafka-configs --bootstrap-server $B --alter --topic orders --delete-config retention.mss":                                                                   "config retention.mss; did you mean retention.ms?",
		"kafka-configs --bootstrap-server $B --alter --broker 0 --add-config log.cleaner.thread=5":                                                                   "config log.cleaner.thread; did you mean log.cleaner.threads?",
		"kafka-configs --bootstrap-server $B --alter --user u --add-config producer_byte_rat=5":                                                                      "config producer_byte_rat; did you mean producer_byte_rate?",
		"kafka-configs --bootstrap-server $B --describe --entity-type topic --entity-name orders":                                                                    "entity type topic; did you mean topics?",
		"kafka-consumer-groups --bootstrap-server $B --describe --group biling":                                                                                      "group biling; did you mean billing?",
		"kafka-consumer-groups --bootstrap-server $B --delete --group biling":                                                                                        "group biling; did you mean billing?",
		"kafka-consumer-groups --bootstrap-server $B --delete-offsets --group biling --topic orders":                                                                 "group biling; did you mean billing?",
		"kafka-consumer-groups --bootstrap-server $B --delete-offsets --group billing --topic ordrs":                                                                 "topic ordrs; did you mean orders?",
		"kafka-consumer-groups --bootstrap-server $B --reset-offsets --group billing --topic ordrs --to-earliest --dry-run":                                          "topic ordrs; did you mean orders?",
		"kafka-consumer-groups --bootstrap-server $B --list --state Stabel":                                                                                          "state Stabel; did you mean Stable?",
		"kafka-consumer-groups --bootstrap-server $B --list --type clasic":                                                                                           "group type clasic; did you mean classic?",
		"kafka-groups --bootstrap-server $B --list --group-type clasic":                                                                                              "group type clasic; did you mean classic?",
		"kafka-get-offsets --bootstrap-server $B --topic ordrs":                                                                                                      "topic ordrs; did you mean orders?",
		"kafka-get-offsets --bootstrap-server $B --topic-partitions ordrs:0":                                                                                         "topic ordrs; did you mean orders?",
		"kafka-get-offsets --bootstrap-server $B --topic orders --time lates":                                                                                        "time lates; did you mean latest?",
		"kafka-log-dirs --bootstrap-server $B --describe --topic-list ordrs":                                                                                         "topic ordrs; did you mean orders?",
		"kafka-delete-records --bootstrap-server $B --offset-json-file $W/cut.json --command-config $W/short.properties":                                             "topic ordrs; did you mean orders?",
		"kafka-reassign-partitions --bootstrap-server $B --generate --topics-to-move-json-file $W/move.json --broker-list 0":                                         "topic ordrs; did you mean orders?",
		"kafka-reassign-partitions --bootstrap-server $B --execute --reassignment-json-file $W/plan.json":                                                            "topic ordrs; did you mean orders?",
		"kafka-leader-election --bootstrap-server $B --election-type preferred --topic ordrs --partition 0":                                                          "topic ordrs; did you mean orders?",
		"kafka-leader-election --bootstrap-server $B --election-type preferred --path-to-json-file $W/elect.json":                                                    "topic ordrs; did you mean orders?",
		"kafka-leader-election --bootstrap-server $B --election-type prefered --all-topic-partitions":                                                                "election type prefered; did you mean preferred?",
		"kafka-transactions --bootstrap-server $B --command-config $W/short.properties describe-producers --topic ordrs --partition 0":                               "topic ordrs; did you mean orders?",
		"kafka-transactions --bootstrap-server $B find-hanging --topic ordrs":                                                                                        "topic ordrs; did you mean orders?",
		"kafka-streams-application-reset --bootstrap-server $B --application-id a --input-topics ordrs":                                                              "topic ordrs; did you mean orders?",
		"kafka-replica-verification --broker-list $B --topics-include ordrs":                                                                                         "topic ordrs; did you mean orders?",
		"kafka-console-consumer --bootstrap-server $B --topic orders --formatter org.apache.kafka.tools.consumer.DefaultMesageFormatter":                             "formatter org.apache.kafka.tools.consumer.DefaultMesageFormatter; did you mean org.apache.kafka.tools.consumer.DefaultMessageFormatter?",
		"kafka-console-consumer --bootstrap-server $B --topic orders --max-messages 0 --formatter-property print.keys=true":                                          "the formatter property print.keys is not known; did you mean print.key?",
		"kafka-console-consumer --bootstrap-server $B --topic orders --max-messages 0 --value-deserializer org.apache.kafka.common.serialization.StringDeserialiser": "deserializer org.apache.kafka.common.serialization.StringDeserialiser; did you mean org.apache.kafka.common.serialization.StringDeserializer?",
		"kafka-console-consumer --bootstrap-server $B --topic orders --max-messages 0 --command-property group.idd=x":                                                "group.idd is not known; did you mean group.id?",
		"kafka-console-producer --bootstrap-server $B --topic orders --line-reader org.apache.kafka.tools.LineMesageReader":                                          "line reader org.apache.kafka.tools.LineMesageReader; did you mean org.apache.kafka.tools.LineMessageReader?",
		"kafka-console-producer --bootstrap-server $B --topic orders --reader-property parse.keys=true":                                                              "the reader property parse.keys is not known; did you mean parse.key?",
		"kafka-console-producer --bootstrap-server $B --topic orders --compression-codec snapy":                                                                      "compression codec snapy; did you mean snappy?",
		"kafka-acls --bootstrap-server $B --add --allow-principal User:u --operation Reed --topic orders":                                                            "operation Reed; did you mean Read?",
		"kafka-acls --bootstrap-server $B --list --topic orders --resource-pattern-type prefixd":                                                                     "pattern type prefixd; did you mean prefixed?",
		"kafka-storage fromat":                                                   "Did you mean:\n\tformat",
		"kafka-transactions lits":                                                "Did you mean:\n\tlist",
		"kafka-features --bootstrap-server $B upgrate":                           "command upgrate; did you mean upgrade?",
		"kafka-features --bootstrap-server $B upgrade --feature group.versoin=1": "feature group.versoin; did you mean group.version?",
		"moldau topcs":                                 "did you mean topics?",
		"moldau kafka-consumer-group":                  "did you mean consumer-groups?",
		"kafka-topics --bootstrap-server $B --descibe": "option --descibe; did you mean --describe?",
	} {
		if o := s.run(line, ""); !strings.Contains(o.stderr, want) {
			t.Errorf("$ %s\nexit %d, standard error lacks %q:\n%s", line, o.code, want, o.stderr)
		}
	}
}

// TestARecordOfTheSizeThatIsAllowedGetsThrough: more than the client underneath puts into a batch by itself.
func TestARecordOfTheSizeThatIsAllowedGetsThrough(t *testing.T) {
	s := newStage(t, "large")
	o := s.run("kafka-configs --bootstrap-server $B --alter --topic large --add-config max.message.bytes=5000000", "")
	if o.code != 0 {
		t.Fatalf("%s%s", o.stdout, o.stderr)
	}
	o = s.run("kafka-producer-perf-test --bootstrap-server $B --topic large --num-records 2 --record-size 3000000 --throughput -1 --command-property max.request.size=4000000", "")
	if !strings.HasPrefix(o.stdout, "2 records sent") {
		t.Errorf("%s%s", o.stdout, o.stderr)
	}
	o = s.run("kafka-producer-perf-test --bootstrap-server $B --topic large --num-records 2 --record-size 3000000 --throughput -1", "")
	if !strings.HasPrefix(o.stdout, "0 records sent") || !strings.Contains(o.stderr, "which is the value of the max.request.size configuration") {
		t.Errorf("%s%s", o.stdout, o.stderr)
	}
}
