package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"
)

func statusOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "server to connect to", "The brokers to connect to, as host:port, several with commas.").withDefault("localhost:9092")
	s.arg("command-config", "config file", "A properties file for the admin client.")
	s.formatOption()
	return s
}

// runStatus is `moldau status [NODE]`: how the cluster is, and whether a node may be restarted. With a node that may not, it
// exits with 1, for scripts that restart one node after the other.
func runStatus(r *run, args []string) int {
	node, given, rest, err := nodeArgument(args)
	if err != nil {
		return r.outcome(err)
	}
	p, err := statusOptions().parse(rest)
	if err == nil {
		err = r.status(p, node, given)
	}
	return r.outcome(err)
}

func (r *run) status(p *parsed, node int32, given bool) error {
	if p.has("help") {
		return r.usage(p.set, nil, "moldau status [NODE]: says how the cluster is, and for each node, or for NODE, whether it is safe to restart it, and if not, why.")
	}
	asJSON, err := p.wantsJSON()
	if err != nil {
		return err
	}
	c, err := r.open(client.Admin, p.value("bootstrap-server"), p.value("command-config"))
	if err != nil {
		return err
	}
	defer c.Close()
	v, err := r.viewCluster(c)
	if err != nil {
		return err
	}
	nodes := v.nodes()
	if given {
		if err := v.mustKnow(node); err != nil {
			return err
		}
		nodes = []int32{node}
	}
	var all []verdict
	for _, n := range nodes {
		all = append(all, v.judge(n))
	}
	if asJSON {
		err = r.statusJSON(v, all)
	} else {
		r.statusText(v, all, given)
	}
	if err == nil && given && !all[0].Safe {
		return &exitError{1}
	}
	return err
}

// health is the cluster in numbers.
type health struct {
	Brokers         int   `json:"brokers"`
	Fenced          int   `json:"fencedBrokers"`
	Controllers     int   `json:"controllers"`
	Leader          int32 `json:"activeController"`
	Partitions      int   `json:"partitions"`
	Leaderless      int   `json:"partitionsWithoutLeader"`
	UnderReplicated int   `json:"underReplicatedPartitions"`
	UnderMinISR     int   `json:"underMinIsrPartitions"`
}

func (v *clusterView) health() health {
	h := health{Brokers: len(v.brokers), Fenced: len(v.fenced), Controllers: len(v.quorum.CurrentVoters), Leader: v.quorum.LeaderID, Partitions: len(v.partitions)}
	for _, p := range v.partitions {
		h.Leaderless += boolInt(p.leader < 0)
		h.UnderReplicated += boolInt(len(p.isr) < len(p.replicas))
		h.UnderMinISR += boolInt(len(p.isr) < p.minISR)
	}
	return h
}

func (r *run) statusJSON(v *clusterView, all []verdict) error {
	b, err := json.MarshalIndent(struct {
		Cluster health    `json:"cluster"`
		Nodes   []verdict `json:"nodes"`
	}{v.health(), all}, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot write the status as JSON: %w", err)
	}
	r.println(string(b))
	return nil
}

func (r *run) statusText(v *clusterView, all []verdict, one bool) {
	if !one {
		h := v.health()
		r.printf("%s, %s; controller %d leads the quorum. %s, %d without a leader, %d under-replicated, %d under min.insync.replicas.\n",
			counted(h.Brokers, "broker serves", "brokers serve"), counted(h.Controllers, "controller votes", "controllers vote"), h.Leader,
			counted(h.Partitions, "partition", "partitions"), h.Leaderless, h.UnderReplicated, h.UnderMinISR)
		if len(v.fenced) > 0 {
			slices.Sort(v.fenced)
			r.printf("Not serving: %s.\n", idList(v.fenced))
		}
		rows := make([][]string, len(all))
		for i, d := range all {
			rows[i] = []string{strconv.Itoa(int(d.Node)), strings.Join(d.Roles, "+"), d.State, strconv.Itoa(d.Leads), fmt.Sprintf("%d/%d", d.InSync, d.Replicas)}
		}
		r.tabTable([]string{"Node", "Roles", "State", "Leads", "InSync/Replicas"}, rows)
	}
	for _, d := range all {
		r.println(d.Sentence)
	}
}
