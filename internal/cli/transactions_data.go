package cli

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type listedTxn struct {
	coordinator int32
	kmsg.ListTransactionsResponseTransactionState
}

// listTransactions asks every broker for what it coordinates.
func (r *run) listTransactions(c *client.Client, pattern string, longerMs int64, producers []int64) ([]listedTxn, error) {
	md, err := c.Metadata(r.ctx, "listTransactions(api=METADATA)", nil, false)
	if err != nil {
		return nil, err
	}
	req := kmsg.NewPtrListTransactionsRequest()
	req.DurationFilterMillis, req.ProducerIDFilters = longerMs, producers
	if pattern != "" {
		req.TransactionalIDPattern = &pattern
	}
	var out []listedTxn
	for _, id := range i32s(brokerSet(md)) {
		resp, err := c.OnBroker(r.ctx, "listTransactions(api=LIST_TRANSACTIONS)", id, req)
		if err != nil {
			return nil, err
		}
		lr := resp.(*kmsg.ListTransactionsResponse)
		if lr.ErrorCode != 0 {
			r.logLine("ERROR", "org.apache.kafka.clients.admin.internals.ListTransactionsHandler",
				fmt.Sprintf("[AdminClient clientId=%s] The `ListTransactions` request sent to broker %d failed because of an unexpected error %s", c.Settings.Name(), id, client.CodeName(lr.ErrorCode)))
			return nil, &client.KafkaError{Code: lr.ErrorCode, Message: fmt.Sprintf("ListTransactions request sent to broker %d failed with an unexpected exception", id)}
		}
		for _, t := range lr.TransactionStates {
			out = append(out, listedTxn{id, t})
		}
	}
	return out, nil
}

func runTxnList(r *run, a *subArgs) int {
	return r.onTransactions(a, func(c *client.Client) error {
		longer := int64(-1)
		if a.has("duration-filter") {
			longer = a.number("duration-filter")
		}
		txns, err := r.listTransactions(c, a.value("transactional-id-pattern"), longer, nil)
		if err != nil {
			return cannot("Failed to list transactions", err)
		}
		var rows [][]string
		for _, t := range txns {
			rows = append(rows, []string{t.TransactionalID, strconv.Itoa(int(t.coordinator)), strconv.FormatInt(t.ProducerID, 10), t.TransactionState})
		}
		r.tabTable([]string{"TransactionalId", "Coordinator", "ProducerId", "TransactionState"}, rows, "TransactionalId", "TransactionState")
		return nil
	})
}

// describeTransaction asks the coordinator of a transactional id.
func (r *run) describeTransaction(c *client.Client, id string) (int32, *kmsg.DescribeTransactionsResponseTransactionState, error) {
	const call = "describeTransactions(api=DESCRIBE_TRANSACTIONS)"
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorType, find.CoordinatorKey, find.CoordinatorKeys = 1, id, []string{id}
	resp, err := c.Any(r.ctx, "describeTransactions(api=FIND_COORDINATOR)", find)
	if err != nil {
		return 0, nil, err
	}
	fr := resp.(*kmsg.FindCoordinatorResponse)
	node, code, msg := fr.NodeID, fr.ErrorCode, fr.ErrorMessage
	for _, f := range fr.Coordinators {
		node, code, msg = f.NodeID, f.ErrorCode, f.ErrorMessage
	}
	if err := client.CodeError(code, msg); err != nil {
		return 0, nil, err
	}
	if _, err := c.Metadata(r.ctx, call, nil, false); err != nil {
		return 0, nil, err
	}
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = []string{id}
	if resp, err = c.OnBroker(r.ctx, call, node, req); err != nil {
		return 0, nil, err
	}
	states := resp.(*kmsg.DescribeTransactionsResponse).TransactionStates
	if len(states) == 0 {
		return 0, nil, fmt.Errorf("broker %d answered without the transaction", node)
	}
	s := &states[0]
	if client.CodeName(s.ErrorCode) == "TRANSACTIONAL_ID_NOT_FOUND" {
		return node, s, &client.KafkaError{Code: s.ErrorCode, Message: "DescribeTransactions request for transactionalId `" + id + "` failed because the ID could not be found"}
	}
	if s.ErrorCode == kerr.InvalidRequest.Code {
		return node, s, &client.KafkaError{Code: s.ErrorCode, Message: "DescribeTransactions request for transactionalId `" + id + "` failed due to unexpected error"}
	}
	return node, s, client.CodeError(s.ErrorCode, nil)
}

func runTxnDescribe(r *run, a *subArgs) int {
	return r.onTransactions(a, func(c *client.Client) error {
		id := a.value("transactional-id")
		node, s, err := r.describeTransaction(c, id)
		if err != nil {
			return cannot("Failed to describe transaction state of transactional-id `"+id+"`", err)
		}
		start, duration := "None", "None"
		if s.StartTimestamp >= 0 {
			start = strconv.FormatInt(s.StartTimestamp, 10)
			duration = strconv.FormatInt(r.Now().UnixMilli()-s.StartTimestamp, 10)
		}
		var tps []string
		for _, t := range s.Topics {
			for _, p := range t.Partitions {
				tps = append(tps, topicPartition{t.Topic, p}.String())
			}
		}
		r.tabTable([]string{"CoordinatorId", "TransactionalId", "ProducerId", "ProducerEpoch", "TransactionState", "TransactionTimeoutMs", "CurrentTransactionStartTimeMs", "TransactionDurationMs", "TopicPartitions"},
			[][]string{{strconv.Itoa(int(node)), id, strconv.FormatInt(s.ProducerID, 10), strconv.Itoa(int(s.ProducerEpoch)), s.State,
				strconv.Itoa(int(s.TimeoutMillis)), start, duration, strings.Join(tps, ",")}}, "TransactionalId", "TransactionState", "TopicPartitions")
		return nil
	})
}

type activeProducer = kmsg.DescribeProducersResponseTopicPartitionActiveProducer

// describeProducers asks a broker, or with broker < 0 the leaders, for the
// producers of partitions.
func (r *run) describeProducers(c *client.Client, broker int32, tps []topicPartition) (map[topicPartition][]activeProducer, error) {
	const call = "describeProducers(api=DESCRIBE_PRODUCERS)"
	byNode := map[int32][]topicPartition{}
	if broker >= 0 {
		if _, err := c.Metadata(r.ctx, call, nil, false); err != nil {
			return nil, err
		}
		byNode[broker] = tps
	} else {
		var err error
		if byNode, err = r.byLeader(c, tps); err != nil {
			return nil, err
		}
	}
	out := map[topicPartition][]activeProducer{}
	for node, parts := range byNode {
		req := kmsg.NewPtrDescribeProducersRequest()
		byTopic := map[string][]int32{}
		for _, tp := range parts {
			byTopic[tp.topic] = append(byTopic[tp.topic], tp.partition)
		}
		for _, t := range sortedKeys(byTopic) {
			rt := kmsg.NewDescribeProducersRequestTopic()
			rt.Topic, rt.Partitions = t, byTopic[t]
			req.Topics = append(req.Topics, rt)
		}
		resp, err := c.OnBroker(r.ctx, call, node, req)
		if err != nil {
			return nil, err
		}
		for _, t := range resp.(*kmsg.DescribeProducersResponse).Topics {
			for _, p := range t.Partitions {
				tp := topicPartition{t.Topic, p.Partition}
				if err := describeProducersError(tp, node, p); err != nil {
					return nil, err
				}
				out[tp] = p.ActiveProducers
			}
		}
	}
	return out, nil
}

func describeProducersError(tp topicPartition, node int32, p kmsg.DescribeProducersResponseTopicPartition) error {
	if p.ErrorCode == client.CodeNotLeaderOrFollower {
		return &client.KafkaError{Code: p.ErrorCode, Message: fmt.Sprintf("Failed to describe active producers for partition %s on brokerId %d", tp, node)}
	}
	err := client.CodeError(p.ErrorCode, p.ErrorMessage)
	if p.ErrorCode == kerr.InvalidTopicException.Code {
		return &client.KafkaError{Code: p.ErrorCode, Message: fmt.Sprintf("Failed to fetch metadata for partition %s due to invalid topic error: %s", tp, err)}
	}
	return err
}

// firstOf names the first partition of a topic.
func firstOf(tps []topicPartition, topic string) string {
	for _, tp := range tps {
		if tp.topic == topic {
			return tp.String()
		}
	}
	return topic
}

// byLeader groups partitions by their leaders; it waits for those that have none.
func (r *run) byLeader(c *client.Client, tps []topicPartition) (map[int32][]topicPartition, error) {
	ctx, cancel := c.Deadline(r.ctx)
	defer cancel()
	var topics []string
	for _, tp := range tps {
		if !contains(topics, tp.topic) {
			topics = append(topics, tp.topic)
		}
	}
	for n := 1; ; n++ {
		md, err := c.Metadata(ctx, "describeProducers(api=METADATA)", topics, false)
		if err != nil {
			return nil, err
		}
		leaders := map[topicPartition]int32{}
		for _, t := range md.Topics {
			if t.ErrorCode == client.CodeTopicAuthFailed {
				return nil, &client.KafkaError{Code: t.ErrorCode, Message: "Failed to fetch metadata for partition " + firstOf(tps, *t.Topic) + " due to topic authorization failure"}
			}
			for _, p := range t.Partitions {
				if p.Leader >= 0 {
					leaders[topicPartition{*t.Topic, p.Partition}] = p.Leader
				}
			}
		}
		out := map[int32][]topicPartition{}
		missing := false
		for _, tp := range tps {
			l, ok := leaders[tp]
			missing = missing || !ok
			out[l] = append(out[l], tp)
		}
		if !missing {
			return out, nil
		}
		if n == 1 {
			for _, tp := range tps {
				if _, ok := leaders[tp]; !ok {
					r.hintNearestTopics(c, tp.topic)
				}
			}
		}
		if !sleepContext(ctx, c.Settings.Backoff(n)) {
			return nil, r.timedOutCall("describeProducers(api=METADATA)", n)
		}
	}
}

func runTxnProducers(r *run, a *subArgs) int {
	return r.onTransactions(a, func(c *client.Client) error {
		tp := topicPartition{a.value("topic"), int32(a.number("partition"))}
		broker, where := int32(-1), "leader"
		if a.has("broker-id") {
			broker = int32(a.number("broker-id"))
			where = fmt.Sprintf("broker %d", broker)
		}
		found, err := r.describeProducers(c, broker, []topicPartition{tp})
		if err != nil {
			return cannot(fmt.Sprintf("Failed to describe producers for partition %s on %s", tp, where), err)
		}
		producers := found[tp]
		sort.SliceStable(producers, func(i, j int) bool { return producers[i].ProducerID < producers[j].ProducerID })
		var rows [][]string
		for _, p := range producers {
			start := "None"
			if p.CurrentTxnStartOffset >= 0 {
				start = strconv.FormatInt(p.CurrentTxnStartOffset, 10)
			}
			rows = append(rows, []string{strconv.FormatInt(p.ProducerID, 10), strconv.Itoa(int(p.ProducerEpoch)), strconv.Itoa(int(p.CoordinatorEpoch)),
				strconv.Itoa(int(p.LastSequence)), strconv.FormatInt(p.LastTimestamp, 10), start})
		}
		r.tabTable([]string{"ProducerId", "ProducerEpoch", "LatestCoordinatorEpoch", "LastSequence", "LastTimestamp", "CurrentTransactionStartOffset"}, rows)
		return nil
	})
}
