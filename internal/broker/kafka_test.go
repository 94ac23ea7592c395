//go:build kafka

package broker

import (
	"net"
	"os"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Apache Kafka itself plays the same scenes: MOLDAU_TEST_KAFKA is the address of a fresh broker that
// runs without an authorizer and with auto.create.topics.enable=false.
func TestApacheKafkaPlaysTheSameScenes(t *testing.T) {
	address := os.Getenv("MOLDAU_TEST_KAFKA")
	if address == "" {
		t.Skip("MOLDAU_TEST_KAFKA names no broker")
	}
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c := &caller{t: t, nc: nc, id: "test"}
	create := kmsg.NewPtrCreateTopicsRequest()
	create.TimeoutMillis = 5000
	for _, name := range []string{"one", "two"} {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 2, 1
		create.Topics = append(create.Topics, topic)
	}
	made := c.call(7, create).(*kmsg.CreateTopicsResponse)
	for tell(c.call(4, groupScenes()[1].req)) != "g=ok h=ok" { // until there is a coordinator
	}
	for tell(c.call(3, kmsg.NewPtrInitProducerIDRequest())) != "ok" { // until there are producer ids
	}
	setScene(t, c)
	play(t, c, scenes(made.Topics[0].TopicID))
}
