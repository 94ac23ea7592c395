package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"
)

func transactionsTool() *subTool {
	head := "usage: kafka-transactions.sh --bootstrap-server host:port "
	pad := "                             "
	str := func(long, doc string) subOption { return subOption{long: long, metavar: subMetavar(long), doc: doc} }
	num := func(long, kind, doc string) subOption {
		return subOption{long: long, metavar: subMetavar(long), kind: kind, doc: doc}
	}
	must := func(o subOption) subOption { o.required = true; return o }
	topic, partition := str("topic", "The topic."), num("partition", "Integer", "The partition.")
	broker := num("broker-id", "Integer", "The broker to ask; the leader if left out.")
	return &subTool{
		name: "kafka-transactions.sh", helpCode: 1, version: true, heading: "commands:\n  COMMAND",
		usage:   "usage: kafka-transactions.sh [-h] [-v] [--command-config FILE]\n                             --bootstrap-server host:port COMMAND ...",
		purpose: "Shows and repairs the state of transactions.",
		options: []subOption{
			{long: "command-config", metavar: "FILE", doc: "A properties file for the admin client."},
			{long: "bootstrap-server", metavar: "host:port", required: true, doc: "The brokers to connect to, as host:port, several with commas."},
		},
		commands: []subcommand{
			{name: "list", run: runTxnList, doc: "List transactions.",
				usage: head + "list [-h]\n" + pad + "[--duration-filter DURATION_FILTER]\n" + pad + "[--transactional-id-pattern TRANSACTIONAL_ID_PATTERN]",
				options: listing(num("duration-filter", "Long", "Only those that run longer than this, in ms; -1 for all."),
					str("transactional-id-pattern", "Only those whose id matches this regular expression."))},
			{name: "describe", run: runTxnDescribe, doc: "Show a transaction.",
				usage:   head + "describe [-h]\n" + pad + "--transactional-id TRANSACTIONAL_ID",
				options: listing(must(str("transactional-id", "The transactional id.")))},
			{name: "describe-producers", run: runTxnProducers, doc: "Show the producers of a partition.",
				usage:   strings.TrimRight(head, " ") + "\n" + pad + "describe-producers [-h]\n" + pad + "[--broker-id BROKER_ID] --topic TOPIC\n" + pad + "--partition PARTITION",
				options: listing(broker, must(topic), must(partition))},
			{name: "abort", run: runTxnAbort, doc: "Abort a transaction that hangs.",
				usage: head + "abort [-h]\n" + pad + "--topic TOPIC --partition PARTITION\n" + pad + "[--start-offset START_OFFSET]\n" + pad + "[--producer-id PRODUCER_ID]\n" + pad + "[--producer-epoch PRODUCER_EPOCH]\n" + pad + "[--coordinator-epoch COORDINATOR_EPOCH]",
				options: []subOption{must(topic), must(partition), num("start-offset", "Long", "Where the transaction begins."),
					num("producer-id", "Long", "The producer's id."), num("producer-epoch", "Short", "The producer's epoch."), num("coordinator-epoch", "Integer", "The coordinator's epoch.")}},
			{name: "find-hanging", run: runTxnHanging, doc: "Find transactions that no coordinator knows any more.",
				usage: head + "find-hanging [-h]\n" + pad + "[--broker-id BROKER_ID]\n" + pad + "[--max-transaction-timeout MAX_TRANSACTION_TIMEOUT]\n" + pad + "[--topic TOPIC] [--partition PARTITION]",
				options: listing(broker, subOption{long: "max-transaction-timeout", metavar: "MAX_TRANSACTION_TIMEOUT", kind: "Integer", defs: "15", unsaid: true, doc: "The brokers' transaction.max.timeout.ms, in minutes."},
					topic, partition)},
			{name: "forceTerminateTransaction", run: runTxnTerminate, doc: "End a transaction by fencing its producer.",
				usage:   strings.TrimRight(head, " ") + "\n" + pad + "forceTerminateTransaction [-h]\n" + pad + "--transactionalId TRANSACTIONALID",
				options: []subOption{must(str("transactionalId", "The transactional id."))}},
		},
	}
}

func runTransactions(r *run, args []string) int { return r.runSubTool(transactionsTool(), args) }

// onTransactions runs fn with a client. What fails is printed under the words
// of what was tried.
func (r *run) onTransactions(a *subArgs, fn func(*client.Client) error) int {
	c, err := r.openSub(a)
	if fe := new(client.FileError); errors.As(err, &fe) {
		err = cannot("Failed to load admin client properties", fe)
	}
	return r.onSub(c, err, fn)
}

// cannot is an error in the words of this tool.
func cannot(what string, cause error) error {
	return fmt.Errorf("%s: %s. Enable debug logging for additional detail.", what, cause.Error())
}
