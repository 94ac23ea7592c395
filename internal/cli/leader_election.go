package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func leaderElectionOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "host:port", "The brokers to connect to, as host:port, several with commas.")
	s.arg("admin.config", "config file", "DEPRECATED: the old name of --command-config.")
	s.arg("command-config", "Config file", "A properties file for the admin client.")
	s.arg("path-to-json-file", "Path to JSON file", `The partitions: {"partitions":[{"topic":"t","partition":0}]}.`)
	s.arg("topic", "topic name", "The topic of --partition.")
	s.arg("partition", "partition id", "The partition of --topic.").ofKind(intValue)
	s.flag("all-topic-partitions", "All partitions of all topics.")
	s.arg("election-type", "election type", "preferred: the first replica of the assignment, where it is in sync. unclean: any replica, which may lose records.").typeLabel = "[PREFERRED,UNCLEAN]"
	return s
}

func runLeaderElection(r *run, args []string) int {
	p, err := leaderElectionOptions().parse(args)
	if err == nil {
		err = r.leaderElection(p)
	}
	return r.outcome(err)
}

func (r *run) leaderElection(p *parsed) error {
	if err := r.helpOrVersion(p, nil, "This tool attempts to elect a new leader for a set of topic partitions. The type of elections supported are preferred replicas and unclean replicas."); err != nil {
		return err
	}
	election, err := checkElection(p)
	if err != nil {
		if p.has("election-type") {
			r.hintNearestWord("election type", p.value("election-type"), []string{"preferred", "unclean"})
		}
		return err
	}
	if p.has("admin.config") {
		r.println("Option --admin.config has been deprecated and will be removed in a future version. Use --command-config instead.")
	}
	var tps []topicPartition
	switch {
	case p.has("path-to-json-file"):
		if tps, err = readElectionFile(p.value("path-to-json-file")); err != nil {
			return err
		}
	case p.has("topic"):
		n, _ := p.number("partition")
		tps = []topicPartition{{p.value("topic"), int32(n)}}
	}
	if p.err != nil {
		return p.err
	}
	bootstrap, config := p.value("bootstrap-server"), p.value("command-config")+p.value("admin.config")
	if p.err != nil {
		return p.err
	}
	c, err := r.open(client.Admin, bootstrap, config)
	if err != nil {
		return err
	}
	defer c.Close()
	return r.electLeaders(c, election, tps)
}

// Kinds of election in the protocol, and their names.
const (
	preferredElection = 0
	uncleanElection   = 1
)

func electionName(t int8) string { return [...]string{"PREFERRED", "UNCLEAN"}[t] }

func checkElection(p *parsed) (int8, error) {
	var missing []string
	for _, o := range []string{"bootstrap-server", "election-type"} {
		if !p.has(o) {
			missing = append(missing, o)
		}
	}
	if len(missing) > 0 {
		return 0, fmt.Errorf("Missing required option(s): %s", strings.Join(missing, ", "))
	}
	if countGiven(p, "topic", "all-topic-partitions", "path-to-json-file") != 1 {
		return 0, errors.New("One and only one of the following options is required: topic, all-topic-partitions, path-to-json-file")
	}
	if p.has("admin.config") && p.has("command-config") {
		return 0, errors.New(`Option "[admin.config]" can't be used with option "[command-config]"`)
	}
	if p.has("topic") && !p.has("partition") {
		return 0, errors.New("Missing required option(s): partition")
	}
	if !p.has("topic") && p.has("partition") {
		return 0, errors.New("Option partition is only allowed if topic is used")
	}
	switch v := p.value("election-type"); strings.ToLower(v) {
	case "preferred":
		return preferredElection, nil
	case "unclean":
		return uncleanElection, nil
	default:
		return 0, fmt.Errorf("Cannot parse argument '%s' of option election-type", v)
	}
}

func readElectionFile(path string) ([]topicPartition, error) {
	b, err := readInput(path)
	if err != nil {
		return nil, fmt.Errorf("Unable to read file %s", path)
	}
	first, ok := firstJSON(b)
	if !ok {
		return nil, errors.New("Replica election data is empty")
	}
	file, err := first.fields()
	if err != nil {
		return nil, err
	}
	list, ok := file.optional("partitions")
	if !ok {
		return nil, errors.New("Replica election data is missing \"partitions\" field")
	}
	elements, err := list.elements()
	if err != nil {
		return nil, err
	}
	seen := map[topicPartition]bool{}
	var out []topicPartition
	var twice []string
	for _, e := range elements {
		fields, err := e.fields()
		if err != nil {
			return nil, err
		}
		tp, err := fields.partition()
		if err != nil {
			return nil, err
		}
		if seen[tp] {
			twice = append(twice, tp.String())
			continue
		}
		seen[tp] = true
		out = append(out, tp)
	}
	if len(twice) > 0 {
		return nil, fmt.Errorf("Replica election data contains duplicate partitions: [%s]", strings.Join(twice, ", "))
	}
	if out == nil {
		out = []topicPartition{}
	}
	return out, nil
}

// electLeaders asks for elections, of every partition when tps is nil, and
// tells what became of each.
func (r *run) electLeaders(c *client.Client, election int8, tps []topicPartition) error {
	req := kmsg.NewPtrElectLeadersRequest()
	req.ElectionType = election
	req.TimeoutMillis = int32(c.Settings.RequestTimeout.Milliseconds())
	if tps != nil {
		req.Topics = []kmsg.ElectLeadersRequestTopic{}
	}
	byTopic := map[string][]int32{}
	for _, tp := range tps {
		byTopic[tp.topic] = append(byTopic[tp.topic], tp.partition)
	}
	for _, t := range sortedKeys(byTopic) {
		rt := kmsg.NewElectLeadersRequestTopic()
		rt.Topic, rt.Partitions = t, byTopic[t]
		req.Topics = append(req.Topics, rt)
	}
	resp, err := c.Any(r.ctx, "electLeaders", req)
	if err == nil {
		er := resp.(*kmsg.ElectLeadersResponse)
		if err = client.CodeError(er.ErrorCode, nil); err == nil {
			for _, t := range er.Topics {
				for _, p := range t.Partitions {
					if p.ErrorCode == client.CodeUnknownTopicOrPartition {
						r.hintNearestTopics(c, t.Topic)
					}
				}
			}
			return r.electionResults(election, er)
		}
	}
	var text string
	var te *client.TimeoutError
	switch {
	case client.IsCode(err, client.CodeClusterAuthFailed):
		text = "Not authorized to perform leader election"
	case errors.As(err, &te):
		text = "Timeout waiting for election results"
	default:
		return err
	}
	r.println(text)
	return errors.New(text)
}

func (r *run) electionResults(election int8, er *kmsg.ElectLeadersResponse) error {
	const electionNotNeeded = 84
	var elected, needless []string
	type failure struct {
		tp  topicPartition
		err error
	}
	var failed []failure
	for _, t := range er.Topics {
		for _, p := range t.Partitions {
			tp := topicPartition{t.Topic, p.Partition}
			switch p.ErrorCode {
			case 0:
				elected = append(elected, tp.String())
			case electionNotNeeded:
				needless = append(needless, tp.String())
			default:
				failed = append(failed, failure{tp, client.CodeError(p.ErrorCode, p.ErrorMessage)})
			}
		}
	}
	if len(elected) > 0 {
		r.printf("Successfully completed leader election (%s) for partitions %s\n", electionName(election), strings.Join(elected, ", "))
	}
	if len(needless) > 0 {
		r.printf("Valid replica already elected for partitions %s\n", strings.Join(needless, ", "))
	}
	for _, f := range failed {
		r.printf("Error completing leader election (%s) for partition: %s: %s\n", electionName(election), f.tp, withClass(f.err))
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d replica(s) could not be elected", len(failed))
	}
	return nil
}
