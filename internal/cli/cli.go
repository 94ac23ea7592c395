package cli

import (
	"context"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// tool is one of Kafka's programs: what runs it, and what it is for.
type tool struct {
	run     func(*run, []string) int
	purpose string
}

// tools are Kafka's names without the kafka- prefix.
func tools() map[string]tool {
	return map[string]tool{
		"topics":                    {runTopics, "create, list, describe, alter and delete topics"},
		"console-producer":          {runConsoleProducer, "send lines of standard input to a topic"},
		"console-consumer":          {runConsoleConsumer, "print the records of a topic"},
		"consumer-groups":           {runConsumerGroups, "list, describe, reset and delete consumer groups"},
		"configs":                   {runConfigs, "show and change configs of topics, brokers, groups, users, ..."},
		"get-offsets":               {runGetOffsets, "print offsets of partitions"},
		"delete-records":            {runDeleteRecords, "cut the head of partitions"},
		"dump-log":                  {runDumpLog, "print the files of a log"},
		"log-dirs":                  {runLogDirs, "show the sizes of replicas on disk"},
		"broker-api-versions":       {runAPIVersions, "show the APIs and versions of each broker"},
		"cluster":                   {runCluster, "show the cluster id and its nodes, unregister brokers"},
		"groups":                    {runGroups, "list groups of every kind"},
		"features":                  {runFeatures, "show and change the feature levels of the cluster"},
		"metadata-quorum":           {runMetadataQuorum, "show and change the metadata quorum"},
		"transactions":              {runTransactions, "show and repair transactions"},
		"leader-election":           {runLeaderElection, "elect leaders of partitions"},
		"client-metrics":            {runClientMetrics, "show and change which metrics clients push"},
		"acls":                      {runACLs, "list, add and remove access control lists"},
		"delegation-tokens":         {runDelegationTokens, "make, renew, end and show delegation tokens"},
		"producer-perf-test":        {runProducerPerf, "measure how fast a producer can send"},
		"consumer-perf-test":        {runConsumerPerf, "measure how fast a consumer can read"},
		"e2e-latency":               {runE2ELatency, "measure the time from sending to receiving"},
		"verifiable-producer":       {runVerifiableProducer, "send numbers and print what became of each as JSON"},
		"verifiable-consumer":       {runVerifiableConsumer, "read in a group and print what happens as JSON"},
		"reassign-partitions":       {runReassign, "move replicas between brokers and directories"},
		"share-groups":              {runShareGroups, "list, describe, reset and delete share groups"},
		"streams-groups":            {runStreamsGroups, "list, describe, reset and delete groups of Kafka Streams"},
		"console-share-consumer":    {runConsoleShareConsumer, "print the records of a topic, as a member of a share group"},
		"share-consumer-perf-test":  {runSharePerf, "measure how fast a share group can read"},
		"verifiable-share-consumer": {runVerifiableShare, "read in a share group and print what happens as JSON"},
		"replica-verification":      {runReplicaVerification, "compare the replicas of topics"},
		"streams-application-reset": {runStreamsReset, "reset an application of Kafka Streams"},
		"metadata-shell":            {runMetadataShell, "show the metadata in a snapshot or log file"},
		"jmx":                       {runJmx, "read the metrics of a node"},
		"storage":                   {runStorage, "format and inspect log directories"},
		"server-start":              {runServerStart, "start a node from a properties file"},
		"server-stop":               {runServerStop, "stop the nodes on this machine"},

		// Kafka has no script for it: those who test clusters run the class.
		"transactional-message-copier": {runTransactionalCopier, "copy records in transactions and print how far it is as JSON"},
	}
}

// commands are what moldau does besides Kafka's tools. The one without a name is a node with its defaults.
func commands() map[string]func(*run, []string) int {
	return map[string]func(*run, []string) int{
		"":           runServer,
		"server":     runServer,
		"dev":        runDev,
		"top":        func(r *run, args []string) int { return r.runOne(tool{run: runTop}, args) },
		"status":     runStatus,
		"drain":      runDrain,
		"verify":     runVerify,
		"tuning-lab": runTuningLab,
		"log":        runLog,
		"completion": runCompletion,
		"complete":   runComplete, // for the shells' scripts
		"help":       func(r *run, _ []string) int { return runHelp(r) },
		"version":    func(r *run, _ []string) int { r.println(strings.TrimSpace(r.Version + " " + r.Build)); return 0 },
		// For the build, which links the binary under each.
		"tool-names": func(r *run, _ []string) int { r.println(strings.Join(ToolNames(), "\n")); return 0 },
	}
}

// ToolNames are Kafka's names of the tools (kafka-topics, ...), sorted; the
// build links the binary under each, with and without ".sh".
func ToolNames() []string {
	var names []string
	for n := range tools() {
		names = append(names, "kafka-"+n)
	}
	sort.Strings(names)
	return names
}

// Run runs what Env.Args asks for and returns the exit code.
func Run(env Env) int {
	fillDefaults(&env)
	name, args, found := dispatch(env.Args)
	if !found {
		return runUnknown(&env, name)
	}
	return runTool(&env, name, args)
}

func fillDefaults(env *Env) {
	if env.Getenv == nil {
		env.Getenv = os.Getenv
	}
	if env.Now == nil {
		env.Now = time.Now
	}
	if env.Version == "" {
		env.Version = "4.3.1-moldau"
	}
	if env.Exit == nil {
		env.Exit = os.Exit
	}
	if env.Processes == nil {
		env.Processes = listProcesses
	}
	if env.Kill == nil {
		env.Kill = killProcess
	}
	if env.Detach == nil {
		env.Detach = detach
	}
}

func runTool(env *Env, name string, args []string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := newRun(env, name, ctx)
	var code int
	if own, ok := commands()[name]; ok {
		code = own(r, args)
	} else {
		code = r.runOne(tools()[name], args)
		if s := slip(name, args); code == 1 && s != "" {
			r.advice = append(r.advice, s)
		}
	}
	r.closeRows()
	for _, s := range r.advice {
		r.out.Flush()
		r.hint(s)
	}
	if err := r.out.Flush(); err != nil && !readerGone(err) {
		r.hint("cannot write to standard output: " + rootCause(err).Error())
		return max(code, 1)
	}
	if r.failed && code == 0 && r.strict() {
		return 1
	}
	return code
}

// runOne runs one of Kafka's tools. A signal decides the exit code, as it does of a JVM.
func (r *run) runOne(t tool, args []string) int {
	if r.tool == "server-start" {
		return t.run(r, args) // a node has its own way to stop
	}
	caught := r.attend()
	code := t.run(r, args)
	if s := caught(); s != nil {
		return signalExit(s)
	}
	return code
}

// dispatch finds the tool: by the program's own name, else by the first
// argument. No tool and no arguments is a node with its defaults.
func dispatch(args []string) (name string, rest []string, found bool) {
	if len(args) == 0 {
		return "", nil, true
	}
	known := tools()
	base := toolName(filepath.Base(args[0]))
	if _, ok := known[base]; ok && strings.HasPrefix(filepath.Base(args[0]), "kafka-") {
		return base, args[1:], true
	}
	if len(args) == 1 {
		return "", nil, true
	}
	first := args[1]
	if _, ok := commands()[first]; ok && first != "" {
		return first, args[2:], true
	}
	switch first {
	case "-h", "-help", "--help":
		return "help", args[2:], true
	case "--version":
		return "version", args[2:], true
	}
	if strings.HasPrefix(first, "-") {
		return "server", args[1:], true
	}
	n := toolName(first)
	_, ok := known[n]
	return n, args[2:], ok
}

// toolName strips what may surround a tool's name.
func toolName(s string) string {
	s = strings.TrimSuffix(strings.TrimSuffix(s, ".exe"), ".bat")
	return strings.TrimPrefix(strings.TrimSuffix(s, ".sh"), "kafka-")
}

func runUnknown(env *Env, name string) int {
	r := newRun(env, name, context.Background())
	r.errorf("moldau: there is no command %q%s\n", name, nearestCommand(name))
	r.errorln("Run \"moldau help\" for the list.")
	return 1
}

// nearestCommand asks whether the command was meant whose name is nearly this one, or has this one in it.
func nearestCommand(name string) string {
	names := commandNames()
	near := nearest(name, names)
	for _, n := range names {
		if near == "" && len(name) > 1 && (strings.Contains(n, name) || strings.Contains(name, n)) {
			near = n
		}
	}
	if near == "" {
		return ""
	}
	return "; did you mean " + near + "?"
}

func runHelp(r *run) int {
	r.println("Moldau is a Kafka-compatible event streaming platform in one binary.")
	r.println("")
	r.println("  moldau                             start a node on localhost:9092, data in ./moldau-data")
	r.println("  moldau server FILE [--override k=v] start a node from a Kafka properties file")
	r.println("  moldau dev [--nodes N]             start a cluster on this machine, for trying things out")
	r.println("  moldau server --check-config FILE  say what a properties file means, start nothing")
	r.println("  moldau top                         watch topics, groups and partitions of a cluster")
	r.println("  moldau status [NODE]               say how a cluster is, and whether it is safe to restart a node")
	r.println("  moldau drain NODE                  move leaderships away from a node, with --replicas all that it holds")
	r.println("  moldau verify                      examine a Kafka-compatible cluster: every API, Kafka's rules, a short history")
	r.println("  moldau tuning-lab                  measure on your own cluster what settings do, with plots")
	r.println("  moldau completion bash|zsh|fish    print the shell's completion, with live topic and group names")
	r.println("  moldau log check DIR               verify a log directory that no node is running on")
	r.println("  moldau TOOL ...                    run one of Kafka's tools:")
	r.println("")
	all := tools()
	for _, n := range ToolNames() {
		short := strings.TrimPrefix(n, "kafka-")
		r.printf("    %-20s %s\n", short, all[short].purpose)
	}
	r.println("")
	r.println("Each tool also runs under Kafka's own name (kafka-topics, kafka-topics.sh) and takes Kafka's options; --help lists them.")
	r.println("Listing tools take --format json. MOLDAU_STRICT=1 makes every failure exit with 1, where Kafka's tools exit with 0.")
	return 0
}
