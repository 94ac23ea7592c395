// Package cli holds the tests that compare Moldau's command-line tools with
// what Apache Kafka's print. They need a real Kafka and hide behind the build
// tag realkafka:
//
//	make build
//	MOLDAU_REALKAFKA=/path/to/realkafka MOLDAU_GOLDEN_CLI=/path/to/golden-cli \
//	    go test -tags realkafka -timeout 30m ./tests/cli
//
// MOLDAU_REALKAFKA is a script with `start DIR NODES PORT`, `stop DIR` and
// `cp`. TestCLIDiff (make cli-diff) gives the command lines of
// testdata/lines.txt to Kafka's tools, in one JVM (driver/ToolDriver.java), and
// to ours, on Apache Kafka and on Moldau; MOLDAU_CLI_BROKER and
// MOLDAU_CLI_SECTION pick a broker and a section. TestGolden replays recorded
// sessions (MOLDAU_GOLDEN_CLI) with our tools alone. MOLDAU_TEST_BOOTSTRAP names a
// running one-node cluster to use instead of starting one: with it the tests
// run against Moldau itself.
package cli
