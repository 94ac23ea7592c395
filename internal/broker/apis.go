package broker

import (
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/wire"
)

// api is one row of the table of what this broker serves.
type api struct {
	key, min, max int16
	serve         func(*Broker, *server.Request)
}

// apis is the one list of served APIs: what is not here is not advertised.
// The floors are Kafka 4.1's, with JoinGroup from 0 (KAFKA-19444).
var apis = []api{
	{0, 3, 13, (*Broker).produce},
	{1, 4, 18, (*Broker).fetch},
	{2, 1, 11, (*Broker).listOffsets},
	{3, 0, 13, (*Broker).metadata},
	{8, 2, 10, (*Broker).offsetCommit},
	{9, 1, 10, (*Broker).offsetFetch},
	{10, 0, 6, (*Broker).findCoordinator},
	{11, 0, 9, (*Broker).joinGroup},
	{12, 0, 4, (*Broker).heartbeat},
	{13, 0, 5, (*Broker).leaveGroup},
	{14, 0, 5, (*Broker).syncGroup},
	{15, 0, 6, (*Broker).describeGroups},
	{16, 0, 5, (*Broker).listGroups},
	{17, 0, 1, nil}, // SaslHandshake: the connection's authenticator answers
	{18, 0, 4, (*Broker).apiVersions},
	{19, 2, 7, (*Broker).createTopics},
	{20, 1, 6, (*Broker).deleteTopics},
	{21, 0, 2, (*Broker).deleteRecords},
	{22, 0, 5, (*Broker).initProducerID},
	{23, 2, 4, (*Broker).offsetForLeaderEpoch},
	{24, 0, 5, (*Broker).addPartitionsToTxn},
	{25, 0, 4, (*Broker).addOffsetsToTxn},
	{26, 0, 5, (*Broker).endTxn},
	{27, 1, 2, (*Broker).writeTxnMarkers},
	{28, 0, 5, (*Broker).txnOffsetCommit},
	{29, 1, 3, (*Broker).acls},
	{30, 1, 3, (*Broker).acls},
	{31, 1, 3, (*Broker).acls},
	{32, 1, 4, (*Broker).describeConfigs},
	{33, 0, 2, (*Broker).alterConfigs},
	{34, 1, 2, (*Broker).alterReplicaLogDirs},
	{35, 1, 5, (*Broker).describeLogDirs},
	{36, 0, 2, nil}, // SaslAuthenticate: likewise
	{37, 0, 3, (*Broker).createPartitions},
	{42, 0, 2, (*Broker).deleteGroups},
	{43, 0, 2, (*Broker).electLeaders},
	{44, 0, 1, (*Broker).incrementalAlterConfigs},
	{45, 0, 1, (*Broker).alterPartitionReassignments},
	{46, 0, 0, (*Broker).listPartitionReassignments},
	{47, 0, 0, (*Broker).offsetDelete},
	{55, 0, 2, (*Broker).describeQuorum},
	{57, 0, 2, (*Broker).updateFeatures},
	{60, 0, 2, (*Broker).describeCluster},
	{61, 0, 0, (*Broker).describeProducers},
	{64, 0, 0, (*Broker).unregisterBroker},
	{65, 0, 0, (*Broker).describeTransactions},
	{66, 0, 2, (*Broker).listTransactions},
	{68, 0, 1, (*Broker).consumerGroupHeartbeat},
	{69, 0, 1, (*Broker).consumerGroupDescribe},
	{74, 0, 1, (*Broker).listConfigResources},
	{75, 0, 0, (*Broker).describeTopicPartitions},
	{80, 0, 1, (*Broker).addRaftVoter},
	{81, 0, 0, (*Broker).removeRaftVoter},
}

// What Apache advertises though it serves from 3: old
// librdkafka looks for version 0 to decide about compression (KAFKA-18659).
const (
	produceKey           = 0
	produceAdvertisedMin = 0
)

// Table is what a broker listener serves and advertises.
func Table() *wire.Table {
	ranges := make([]wire.Range, 0, len(apis))
	for _, a := range apis {
		r := wire.Range{Key: a.key, Min: a.min, Max: a.max, AdvertisedMin: a.min}
		if a.key == produceKey {
			r.AdvertisedMin = produceAdvertisedMin
		}
		ranges = append(ranges, r)
	}
	t, err := wire.NewTable(wire.Broker, ranges)
	if err != nil {
		panic(err) // the list above is a constant of this program, and a test builds it
	}
	return t
}

// handlers is apis by key.
func handlers() map[int16]func(*Broker, *server.Request) {
	m := make(map[int16]func(*Broker, *server.Request), len(apis))
	for _, a := range apis {
		m[a.key] = a.serve
	}
	return m
}
