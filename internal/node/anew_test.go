package node

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
)

// After an orderly stop a topic is deleted and made anew; a kill later it has all that was acknowledged.
func TestATopicMadeAnewSurvivesAKill(t *testing.T) {
	c := combined(t, 1)
	c.startAll()
	c.create("t", 1, 1)
	c.fill("t", 10)
	c.stop(1)
	c.startAll()
	client := c.client()
	if _, err := kadm.NewClient(client).DeleteTopics(context.Background(), "t"); err != nil {
		t.Fatal(err)
	}
	c.until("the topic to go", func() bool { return c.image(1).Topic("t") == nil })
	c.create("t", 1, 1)
	c.fill("t", 100)
	client.Close()
	c.kill(1)
	c.startAll()
	if at := c.put("t", "after the kill"); at != 100 {
		t.Errorf("the next record is at offset %d after 100 records", at)
	}
}
