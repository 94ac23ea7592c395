package cli

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// openTxn is a transaction that a partition still holds open.
type openTxn struct {
	tp topicPartition
	activeProducer
}

func runTxnHanging(r *run, a *subArgs) int {
	if !a.has("topic") && a.has("partition") {
		if a.has("broker-id") {
			return r.failln("The --partition argument requires --topic to be provided", 1)
		}
	}
	if !a.has("topic") && !a.has("broker-id") {
		return r.failln("The `find-hanging` command requires either --topic or --broker-id to limit the scope of the search", 1)
	}
	return r.onTransactions(a, func(c *client.Client) error {
		tps, err := r.hangingScope(c, a)
		if err != nil {
			return err
		}
		open, err := r.oldOpenTransactions(c, a, tps)
		if err != nil {
			return err
		}
		hanging, err := r.unknownToCoordinators(c, open)
		if err != nil {
			return err
		}
		r.printHanging(hanging)
		return nil
	})
}

// hangingScope lists the partitions to look at.
func (r *run) hangingScope(c *client.Client, a *subArgs) ([]topicPartition, error) {
	if a.has("topic") && a.has("partition") {
		return []topicPartition{{a.value("topic"), int32(a.number("partition"))}}, nil
	}
	var md *kmsg.MetadataResponse
	var err error
	if a.has("topic") {
		r.hintNearestTopics(c, a.value("topic"))
		md, err = c.Metadata(r.ctx, "describeTopics", []string{a.value("topic")}, false)
	} else {
		md, err = c.Metadata(r.ctx, "listTopics", nil, true)
	}
	if err != nil {
		return nil, cannot("Failed to list topics", err)
	}
	var out []topicPartition
	for _, t := range md.Topics {
		if t.ErrorCode != 0 && a.has("topic") {
			return nil, cannot("Failed to describe 1 topics", client.CodeError(t.ErrorCode, nil))
		}
		for _, p := range t.Partitions {
			if !a.has("broker-id") || containsID(p.Replicas, int32(a.number("broker-id"))) {
				out = append(out, topicPartition{*t.Topic, p.Partition})
			}
		}
	}
	sortPartitions(out)
	return out, nil
}

func containsID(ids []int32, id int32) bool {
	for _, x := range ids {
		if x == id {
			return true
		}
	}
	return false
}

// oldOpenTransactions are those open for longer than any coordinator allows.
func (r *run) oldOpenTransactions(c *client.Client, a *subArgs, tps []topicPartition) ([]openTxn, error) {
	broker := int32(-1)
	if a.has("broker-id") {
		broker = int32(a.number("broker-id"))
	}
	if len(tps) == 0 {
		return nil, nil
	}
	producers, err := r.describeProducers(c, broker, tps)
	if err != nil {
		where := ""
		if broker >= 0 {
			where = fmt.Sprintf(" on broker Optional[%d]", broker)
		}
		return nil, cannot(fmt.Sprintf("Failed to describe producers for %d partitions%s", len(tps), where), err)
	}
	// A little longer than the limit, for the coordinator to act.
	limit := time.Duration(a.number("max-transaction-timeout")+5) * time.Minute
	var out []openTxn
	for _, tp := range tps {
		for _, p := range producers[tp] {
			if p.CurrentTxnStartOffset >= 0 && r.Now().Sub(time.UnixMilli(p.LastTimestamp)) > limit {
				out = append(out, openTxn{tp, p})
			}
		}
	}
	return out, nil
}

// unknownToCoordinators keeps the transactions that no coordinator has open on
// that partition.
func (r *run) unknownToCoordinators(c *client.Client, open []openTxn) ([]openTxn, error) {
	if len(open) == 0 {
		return nil, nil
	}
	var ids []int64
	for _, t := range open {
		ids = append(ids, t.ProducerID)
	}
	txns, err := r.listTransactions(c, "", -1, ids)
	if err != nil {
		return nil, cannot("Failed to list transactions for "+strconv.Itoa(len(ids))+" producers", err)
	}
	held := map[int64]map[topicPartition]bool{}
	for _, t := range txns {
		_, s, err := r.describeTransaction(c, t.TransactionalID)
		if err != nil {
			return nil, cannot("Failed to describe 1 transactions", err)
		}
		tps := map[topicPartition]bool{}
		for _, topic := range s.Topics {
			for _, p := range topic.Partitions {
				tps[topicPartition{topic.Topic, p}] = true
			}
		}
		held[t.ProducerID] = tps
	}
	var out []openTxn
	for _, t := range open {
		if !held[t.ProducerID][t.tp] {
			out = append(out, t)
		}
	}
	return out, nil
}

func (r *run) printHanging(hanging []openTxn) {
	sort.SliceStable(hanging, func(i, j int) bool { return hanging[i].ProducerID < hanging[j].ProducerID })
	var rows [][]string
	for _, t := range hanging {
		minutes := r.Now().Sub(time.UnixMilli(t.LastTimestamp)) / time.Minute
		rows = append(rows, []string{t.tp.topic, strconv.Itoa(int(t.tp.partition)), strconv.FormatInt(t.ProducerID, 10), strconv.Itoa(int(t.ProducerEpoch)),
			strconv.Itoa(int(t.CoordinatorEpoch)), strconv.FormatInt(t.CurrentTxnStartOffset, 10), strconv.FormatInt(t.LastTimestamp, 10), strconv.FormatInt(int64(minutes), 10)})
	}
	r.tabTable([]string{"Topic", "Partition", "ProducerId", "ProducerEpoch", "CoordinatorEpoch", "StartOffset", "LastTimestamp", "Duration(min)"}, rows, "Topic")
}

func runTxnAbort(r *run, a *subArgs) int {
	byProducer := []string{"producer-id", "producer-epoch", "coordinator-epoch"}
	if !a.has("start-offset") {
		if !a.has("producer-id") {
			return r.failln("The transaction to abort must be identified either with --start-offset (for brokers on 3.0 or above) or with --producer-id, --producer-epoch, and --coordinator-epoch (for older brokers)", 1)
		}
		for _, o := range byProducer {
			if !a.has(o) {
				return r.failln("Missing required argument --"+o, 1)
			}
		}
	}
	return r.onTransactions(a, func(c *client.Client) error {
		tp := topicPartition{a.value("topic"), int32(a.number("partition"))}
		marker := kmsg.NewWriteTxnMarkersRequestMarker()
		marker.ProducerID, marker.ProducerEpoch, marker.CoordinatorEpoch = a.number("producer-id"), int16(a.number("producer-epoch")), int32(a.number("coordinator-epoch"))
		if a.has("start-offset") {
			if err := r.findByStart(c, tp, a.number("start-offset"), &marker); err != nil {
				return err
			}
		}
		if marker.CoordinatorEpoch < 0 {
			marker.CoordinatorEpoch = 0 // never written by a coordinator yet
		}
		if err := r.writeAbort(c, tp, marker); err != nil {
			return cannot(fmt.Sprintf("Failed to abort transaction AbortTransactionSpec(topicPartition=%s, producerId=%d, producerEpoch=%d, coordinatorEpoch=%d)", tp, marker.ProducerID, marker.ProducerEpoch, marker.CoordinatorEpoch), err)
		}
		return nil
	})
}

func (r *run) findByStart(c *client.Client, tp topicPartition, start int64, m *kmsg.WriteTxnMarkersRequestMarker) error {
	producers, err := r.describeProducers(c, -1, []topicPartition{tp})
	if err != nil {
		return cannot("Failed to validate producer state for partition "+tp.String(), err)
	}
	for _, p := range producers[tp] {
		if start >= 0 && p.CurrentTxnStartOffset == start { // a producer without a transaction has -1
			m.ProducerID, m.ProducerEpoch, m.CoordinatorEpoch = p.ProducerID, int16(p.ProducerEpoch), p.CoordinatorEpoch
			return nil
		}
	}
	return fmt.Errorf("Could not find any open transactions starting at offset %d on partition %s", start, tp)
}

func (r *run) writeAbort(c *client.Client, tp topicPartition, m kmsg.WriteTxnMarkersRequestMarker) error {
	nodes, err := r.byLeader(c, []topicPartition{tp})
	if err != nil {
		return err
	}
	topic := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
	topic.Topic, topic.Partitions = tp.topic, []int32{tp.partition}
	m.Topics = append(m.Topics, topic)
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	req.Markers = append(req.Markers, m)
	for node := range nodes {
		resp, err := c.OnBroker(r.ctx, "abortTransaction(api=WRITE_TXN_MARKERS)", node, req)
		if err != nil {
			return err
		}
		for _, rm := range resp.(*kmsg.WriteTxnMarkersResponse).Markers {
			for _, t := range rm.Topics {
				for _, p := range t.Partitions {
					if err := client.CodeError(p.ErrorCode, nil); err != nil {
						return err
					}
				}
			}
		}
		return nil
	}
	return errors.New("the partition has no leader")
}

// runTxnTerminate ends a transaction as a new producer of the same id would.
func runTxnTerminate(r *run, a *subArgs) int {
	return r.onTransactions(a, func(c *client.Client) error {
		id := a.value("transactionalId")
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis = &id, 1
		req.ProducerID, req.ProducerEpoch = -1, -1
		ctx, cancel := c.Deadline(r.ctx)
		defer cancel()
		for n := 1; ; n++ {
			resp, err := c.Client.Request(ctx, req)
			if err != nil {
				return cannot("Failed to terminate transaction "+id, c.Final(ctx, "fenceProducer(api=INIT_PRODUCER_ID)", err))
			}
			ir := resp.(*kmsg.InitProducerIDResponse)
			err = client.CodeError(ir.ErrorCode, nil)
			if err == nil {
				return nil
			}
			if !strings.Contains(client.CodeName(ir.ErrorCode), "CONCURRENT_TRANSACTIONS") || !sleepContext(ctx, c.Settings.Backoff(n)) {
				return cannot("Failed to terminate transaction "+id, err)
			}
		}
	})
}
