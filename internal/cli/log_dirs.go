package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func logDirsOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "The server (s) to use for bootstrapping", "The brokers to connect to, as host:port, several with commas.")
	s.arg("command-config", "Admin client property file", "A properties file for the admin client.")
	s.flag("describe", "Show the log directories and the replicas in them.")
	s.arg("topic-list", "Topic list", "Only these topics, separated by commas; all if left out.").withDefault("")
	s.arg("broker-list", "Broker list", "Only these brokers, separated by commas; all if left out.").withDefault("")
	s.formatOption()
	return s
}

func runLogDirs(r *run, args []string) int {
	p, err := logDirsOptions().parse(args)
	if err == nil {
		err = r.logDirs(p)
	}
	return r.outcome(err)
}

func (r *run) logDirs(p *parsed) error {
	req := []string{"bootstrap-server", "describe"}
	if err := r.helpOrVersion(p, req[:1], "This tool helps to query log directory usage on the specified brokers."); err != nil {
		return err
	}
	if err := r.checkRequired(p, req[:1], req...); err != nil {
		return err
	}
	if err := r.readFormat(p); err != nil {
		return err
	}
	topics := filledParts(p.value("topic-list"))
	p.value("broker-list")
	if p.err != nil {
		return p.err
	}
	c, err := r.openServers(p, client.Properties{"client.id": "log-dirs-tool"})
	if err != nil {
		return err
	}
	defer c.Close()
	md, err := c.Metadata(r.ctx, "listNodes", nil, true)
	if err != nil {
		return err
	}
	asked, err := brokersAsked(p.value("broker-list"))
	if err != nil {
		return err
	}
	brokers, err := chooseBrokers(md, asked)
	if err != nil {
		return err
	}
	if !r.json {
		r.println("Querying brokers for log directories information")
	}
	answers, err := r.askLogDirs(c, md, brokers, topics)
	if err != nil {
		return err
	}
	if len(topics) > 0 {
		r.hintNearestTopics(c, topics...) // Kafka's answer to a slip is an empty list
	}
	if r.json {
		r.jsonLogDirs(brokers, answers)
		return nil
	}
	r.println("Received log directory information from brokers " + joinInts(brokers, ","))
	b, err := logDirsJSON(brokers, answers)
	if err != nil {
		return err
	}
	r.println(string(b))
	return nil
}

func brokersAsked(list string) ([]int32, error) {
	var out []int32
	for _, s := range filledParts(list) {
		id, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return nil, numberFormat(s)
		}
		out = append(out, int32(id))
	}
	return out, nil
}

// filledParts are those between commas, but for the empty ones; blanks belong to them.
func filledParts(list string) []string {
	return slices.DeleteFunc(strings.Split(list, ","), func(s string) bool { return s == "" })
}

func chooseBrokers(md *kmsg.MetadataResponse, asked []int32) ([]int32, error) {
	live := brokerSet(md)
	if len(asked) == 0 {
		return i32s(live), nil
	}
	var missing []int32
	chosen := map[int32]bool{}
	for _, id := range asked {
		if !live[id] {
			missing = append(missing, id)
		}
		chosen[id] = true
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("ERROR: The given brokers do not exist from --broker-list: %s. Current existent brokers: %s", joinInts(missing, ","), joinInts(i32s(live), ","))
	}
	return i32s(chosen), nil
}

// askLogDirs asks for everything, or for the partitions of the named topics.
func (r *run) askLogDirs(c *client.Client, md *kmsg.MetadataResponse, brokers []int32, topics []string) (map[int32]*kmsg.DescribeLogDirsResponse, error) {
	req := kmsg.NewPtrDescribeLogDirsRequest()
	for _, t := range md.Topics {
		if t.Topic == nil || !contains(topics, *t.Topic) {
			continue
		}
		rt := kmsg.NewDescribeLogDirsRequestTopic()
		rt.Topic = *t.Topic
		for _, p := range t.Partitions {
			rt.Partitions = append(rt.Partitions, p.Partition)
		}
		req.Topics = append(req.Topics, rt)
	}
	if len(topics) > 0 && req.Topics == nil {
		req.Topics = []kmsg.DescribeLogDirsRequestTopic{}
	}
	out := map[int32]*kmsg.DescribeLogDirsResponse{}
	for _, id := range brokers {
		resp, err := c.OnBroker(r.ctx, "describeLogDirs", id, req)
		if err != nil {
			return nil, err
		}
		lr := resp.(*kmsg.DescribeLogDirsResponse)
		if err := client.CodeError(lr.ErrorCode, nil); err != nil {
			return nil, err
		}
		if len(lr.Dirs) == 0 && lr.Version < 3 {
			return nil, &client.KafkaError{Code: client.CodeClusterAuthFailed, Message: client.CodeText(client.CodeClusterAuthFailed)}
		}
		out[id] = lr
	}
	return out, nil
}

// jsonLogDirs writes a row for each replica.
func (r *run) jsonLogDirs(brokers []int32, answers map[int32]*kmsg.DescribeLogDirsResponse) {
	for _, id := range brokers {
		for _, d := range answers[id].Dirs {
			for _, t := range d.Topics {
				for _, p := range t.Partitions {
					r.row("broker", id, "logDir", d.Dir, "topic", t.Topic, "partition", p.Partition, "sizeBytes", p.Size, "offsetLag", p.OffsetLag, "future", p.IsFuture)
				}
			}
		}
	}
}

type logDirReport struct {
	Partitions []replicaReport `json:"partitions"`
	Error      *string         `json:"error"`
	LogDir     string          `json:"logDir"`
}

type replicaReport struct {
	Partition string `json:"partition"`
	Size      int64  `json:"size"`
	OffsetLag int64  `json:"offsetLag"`
	IsFuture  bool   `json:"isFuture"`
}

type brokerReport struct {
	Broker  int32          `json:"broker"`
	LogDirs []logDirReport `json:"logDirs"`
}

func logDirsJSON(brokers []int32, answers map[int32]*kmsg.DescribeLogDirsResponse) ([]byte, error) {
	report := struct {
		Brokers []brokerReport `json:"brokers"`
		Version int            `json:"version"`
	}{Brokers: []brokerReport{}, Version: 1}
	for _, id := range brokers {
		br := brokerReport{Broker: id, LogDirs: []logDirReport{}}
		for _, d := range answers[id].Dirs {
			ld := logDirReport{Partitions: []replicaReport{}, LogDir: d.Dir}
			if err := client.CodeError(d.ErrorCode, nil); err != nil {
				name := client.ClassOf(err)
				ld.Error = &name
			}
			for _, t := range d.Topics {
				for _, p := range t.Partitions {
					ld.Partitions = append(ld.Partitions, replicaReport{topicPartition{t.Topic, p.Partition}.String(), p.Size, p.OffsetLag, p.IsFuture})
				}
			}
			sort.SliceStable(ld.Partitions, func(i, j int) bool { return ld.Partitions[i].Partition < ld.Partitions[j].Partition })
			br.LogDirs = append(br.LogDirs, ld)
		}
		report.Brokers = append(report.Brokers, br)
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(report); err != nil {
		return nil, fmt.Errorf("cannot write the report: %w", err)
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}
