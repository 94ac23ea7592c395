package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func quorumTool() *subTool {
	head := "usage: kafka-metadata-quorum (--bootstrap-server BOOTSTRAP_SERVER |\n                             --bootstrap-controller BOOTSTRAP_CONTROLLER)\n                             "
	dryRun := subOption{long: "dry-run", doc: "Print what would be done."}
	return &subTool{
		name: "kafka-metadata-quorum", helpCode: 0, oneOf: "bootstrap", purpose: "Shows and changes the metadata quorum.",
		usage:   "usage: kafka-metadata-quorum [-h] [--command-config COMMAND_CONFIG]\n                             (--bootstrap-server BOOTSTRAP_SERVER |\n                             --bootstrap-controller BOOTSTRAP_CONTROLLER)\n                             {describe,add-controller,remove-controller}\n                             ...",
		options: bootstrapSubOptions(),
		commands: []subcommand{
			{name: "describe", run: runQuorumDescribe, doc: "Show the state of the quorum.",
				usage: head + "describe [-h] [--status] [--replication]\n                             [--human-readable]",
				options: listing([]subOption{
					{long: "status", doc: "A summary."},
					{long: "replication", doc: "Where each replica of the metadata log is."},
					{long: "human-readable", doc: "With --replication: times as how long ago."}}...)},
			{name: "add-controller", run: runAddController, doc: "Make a controller a voter; --command-config is its properties file.",
				usage: head + "add-controller [-h] [--dry-run]", options: []subOption{dryRun}},
			{name: "remove-controller", run: runRemoveController, doc: "Take a controller out of the voters.",
				usage: head + "remove-controller [-h]\n                             --controller-id CONTROLLER_ID\n                             --controller-directory-id CONTROLLER_DIRECTORY_ID\n                             [--dry-run]",
				options: []subOption{
					{long: "controller-id", short: "i", metavar: "CONTROLLER_ID", kind: "Integer", required: true, doc: "The controller's node id."},
					{long: "controller-directory-id", short: "d", metavar: "CONTROLLER_DIRECTORY_ID", required: true, doc: "The id of its metadata directory."},
					dryRun}},
		},
	}
}

func runMetadataQuorum(r *run, args []string) int { return r.runSubTool(quorumTool(), args) }

func (r *run) onQuorum(a *subArgs, fn func(*client.Client) error) int {
	c, err := r.openSub(a)
	return r.onSub(c, noSuchProperties(err), fn)
}

// noSuchProperties is Kafka's sentence about a file of properties that is not there.
func noSuchProperties(err error) error {
	if fe := new(client.FileError); errors.As(err, &fe) && errors.Is(fe.Cause, fs.ErrNotExist) {
		return fmt.Errorf("Properties file %s does not exists!", fe.Path)
	}
	return err
}

func runQuorumDescribe(r *run, a *subArgs) int {
	switch {
	case a.has("status") && a.has("replication"):
		return r.failln("Only one of --status or --replication should be specified with describe sub-command", 1)
	case a.has("status") && a.has("human-readable"):
		return r.failln("The option --human-readable is only supported along with --replication", 1)
	case !a.has("status") && !a.has("replication"):
		return r.failln("One of --status or --replication must be specified with describe sub-command", 1)
	}
	return r.onQuorum(a, func(c *client.Client) error {
		if a.has("status") {
			return r.quorumStatus(c)
		}
		return r.quorumReplication(c, a.has("human-readable"))
	})
}

// quorumInfo is the metadata partition, and the nodes where they are known.
type quorumInfo struct {
	kmsg.DescribeQuorumResponseTopicPartition
	nodes map[int32]kmsg.DescribeQuorumResponseNode
}

func (r *run) describeQuorum(ctx context.Context, c *client.Client) (*quorumInfo, error) {
	req := kmsg.NewPtrDescribeQuorumRequest()
	topic := kmsg.NewDescribeQuorumRequestTopic()
	topic.Topic = "__cluster_metadata"
	topic.Partitions = append(topic.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	req.Topics = append(req.Topics, topic)
	resp, err := c.Any(ctx, "describeMetadataQuorum", req)
	if err != nil {
		return nil, err
	}
	qr := resp.(*kmsg.DescribeQuorumResponse)
	if err := client.CodeError(qr.ErrorCode, qr.ErrorMessage); err != nil {
		return nil, err
	}
	if len(qr.Topics) != 1 || len(qr.Topics[0].Partitions) != 1 {
		return nil, errors.New("The answer does not hold exactly one metadata partition")
	}
	info := &quorumInfo{qr.Topics[0].Partitions[0], map[int32]kmsg.DescribeQuorumResponseNode{}}
	for _, n := range qr.Nodes {
		info.nodes[n.NodeID] = n
	}
	return info, client.CodeError(info.ErrorCode, info.ErrorMessage)
}

type quorumReplica = kmsg.DescribeQuorumResponseTopicPartitionReplicaState

func (q *quorumInfo) leader() *quorumReplica {
	for i := range q.CurrentVoters {
		if q.CurrentVoters[i].ReplicaID == q.LeaderID {
			return &q.CurrentVoters[i]
		}
	}
	return nil
}

func (r *run) quorumStatus(c *client.Client) error {
	cluster, err := r.describeCluster(c, false)
	if err != nil {
		return err
	}
	q, err := r.describeQuorum(r.ctx, c)
	if err != nil {
		return err
	}
	leader := q.leader()
	if leader == nil {
		return errors.New("No value present")
	}
	maxLag, lagTime := int64(0), int64(0)
	var slowest *quorumReplica
	for i := range q.CurrentVoters {
		v := &q.CurrentVoters[i]
		if slowest == nil || v.LogEndOffset < slowest.LogEndOffset {
			slowest = v
		}
	}
	if slowest != nil {
		maxLag = leader.LogEndOffset - slowest.LogEndOffset
		switch {
		case slowest.ReplicaID == leader.ReplicaID:
		case slowest.LastCaughtUpTimestamp < 0 || leader.LastCaughtUpTimestamp < 0:
			lagTime = -1
		default:
			lagTime = leader.LastCaughtUpTimestamp - slowest.LastCaughtUpTimestamp
		}
	}
	if r.json {
		r.row("clusterId", cluster.ClusterID, "leaderId", q.LeaderID, "leaderEpoch", q.LeaderEpoch, "highWatermark", q.HighWatermark, "maxFollowerLag", maxLag, "maxFollowerLagTimeMs", lagTime,
			"currentVoters", replicaIDs(q.CurrentVoters), "currentObservers", replicaIDs(q.Observers))
		return nil
	}
	r.printf("ClusterId:              %s\nLeaderId:               %d\nLeaderEpoch:            %d\nHighWatermark:          %d\nMaxFollowerLag:         %d\nMaxFollowerLagTimeMs:   %d\nCurrentVoters:          %s\nCurrentObservers:       %s\n",
		cluster.ClusterID, q.LeaderID, q.LeaderEpoch, q.HighWatermark, maxLag, lagTime, q.members(q.CurrentVoters), q.members(q.Observers))
	return nil
}

func replicaIDs(replicas []quorumReplica) []int32 {
	var out []int32
	for _, v := range replicas {
		out = append(out, v.ReplicaID)
	}
	return out
}

// members prints replicas as a list that looks like JSON.
func (q *quorumInfo) members(replicas []quorumReplica) string {
	var out []string
	for _, v := range replicas {
		parts := []string{fmt.Sprintf(`"id": %d`, v.ReplicaID)}
		if v.ReplicaDirectoryID != [16]byte{} {
			parts = append(parts, `"directoryId": "`+uuidString(v.ReplicaDirectoryID)+`"`)
		}
		if n, ok := q.nodes[v.ReplicaID]; ok && len(n.Listeners) > 0 {
			var eps []string
			for _, l := range n.Listeners {
				host := l.Host
				if strings.Contains(host, ":") {
					host = "[" + host + "]"
				}
				eps = append(eps, fmt.Sprintf(`"%s://%s:%d"`, l.Name, host, l.Port))
			}
			parts = append(parts, `"endpoints": [`+strings.Join(eps, ", ")+"]")
		}
		out = append(out, "{"+strings.Join(parts, ", ")+"}")
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func (r *run) quorumReplication(c *client.Client, human bool) error {
	q, err := r.describeQuorum(r.ctx, c)
	if err != nil {
		return err
	}
	leader := q.leader()
	if leader == nil {
		return errors.New("No value present")
	}
	now := r.Now()
	at := func(ms int64) string {
		switch {
		case ms < 0 || !human:
			return strconv.FormatInt(ms, 10)
		}
		return fmt.Sprintf("%d ms ago", now.Sub(time.UnixMilli(ms)).Milliseconds())
	}
	var rows [][]string
	add := func(replicas []quorumReplica, status string) {
		replicas = append([]quorumReplica(nil), replicas...)
		sort.SliceStable(replicas, func(i, j int) bool { return replicas[i].ReplicaID < replicas[j].ReplicaID })
		for _, v := range replicas {
			rows = append(rows, []string{strconv.Itoa(int(v.ReplicaID)), uuidString(v.ReplicaDirectoryID), strconv.FormatInt(v.LogEndOffset, 10),
				strconv.FormatInt(leader.LogEndOffset-v.LogEndOffset, 10), at(v.LastFetchTimestamp), at(v.LastCaughtUpTimestamp), status})
		}
	}
	var followers []quorumReplica
	for _, v := range q.CurrentVoters {
		if v.ReplicaID != q.LeaderID {
			followers = append(followers, v)
		}
	}
	add([]quorumReplica{*leader}, "Leader")
	add(followers, "Follower")
	add(q.Observers, "Observer")
	r.tabTable([]string{"NodeId", "DirectoryId", "LogEndOffset", "Lag", "LastFetchTimestamp", "LastCaughtUpTimestamp", "Status"}, rows, "DirectoryId", "Status")
	return nil
}

func runAddController(r *run, a *subArgs) int {
	if a.value("command-config") == "" {
		return r.failln("You must supply the configuration file of the controller you are adding when using add-controller.", 1)
	}
	node, err := readControllerToAdd(a.value("command-config"))
	if err != nil {
		return r.failln(noSuchProperties(err).Error(), 1)
	}
	return r.onQuorum(a, func(c *client.Client) error {
		intro := "Added "
		if a.has("dry-run") {
			intro = "DRY RUN of adding "
		} else if err := r.sendAddVoter(c, node); err != nil {
			return err
		}
		var eps []string
		for _, l := range node.listeners {
			eps = append(eps, fmt.Sprintf("%s://%s:%d", l.Name, l.Host, l.Port))
		}
		r.printf("%scontroller %d with directory id %s and endpoints: %s\n", intro, node.id, uuidString(node.directory), strings.Join(eps, ", "))
		return nil
	})
}

func (r *run) sendAddVoter(c *client.Client, node *newController) error {
	req := kmsg.NewPtrAddRaftVoterRequest()
	req.VoterID, req.VoterDirectoryID, req.Listeners = node.id, node.directory, node.listeners
	req.TimeoutMillis = int32(c.Settings.APITimeout.Milliseconds())
	resp, err := c.Any(r.ctx, "addRaftVoter", req)
	if err != nil {
		return err
	}
	ar := resp.(*kmsg.AddRaftVoterResponse)
	err = client.CodeError(ar.ErrorCode, ar.ErrorMessage)
	r.adviseStaticVoters(err)
	return withClassError(err)
}

// adviseStaticVoters says where the voters are that no request changes.
func (r *run) adviseStaticVoters(err error) {
	if client.IsCode(err, client.CodeUnsupportedVersion) {
		r.advice = append(r.advice, "the voters of this quorum are those of controller.quorum.voters, in the properties of each node: they change with it, at a restart")
	}
}

// withClassError words an error with its Java class in front.
func withClassError(err error) error {
	if err == nil {
		return nil
	}
	return &javaError{text: withClass(err), plain: withClass(err), cause: err}
}

func runRemoveController(r *run, a *subArgs) int {
	id := a.number("controller-id")
	if id < 0 {
		return r.failln(fmt.Sprintf("Invalid negative --controller-id: %d", id), 1)
	}
	dir, err := parseUUID(a.value("controller-directory-id"))
	if err != nil {
		return r.failln("Failed to parse --controller-directory-id: "+err.Error(), 1)
	}
	return r.onQuorum(a, func(c *client.Client) error {
		intro := "Removed "
		if a.has("dry-run") {
			intro = "DRY RUN of removing "
		} else {
			req := kmsg.NewPtrRemoveRaftVoterRequest()
			req.VoterID, req.VoterDirectoryID = int32(id), dir
			resp, err := c.Any(r.ctx, "removeRaftVoter", req)
			if err != nil {
				return err
			}
			rr := resp.(*kmsg.RemoveRaftVoterResponse)
			if err := client.CodeError(rr.ErrorCode, rr.ErrorMessage); err != nil {
				r.adviseStaticVoters(err)
				return err
			}
		}
		r.printf("%s KRaft controller %d with directory id %s\n", intro, id, uuidString(dir))
		return nil
	})
}
