// Autocommit shows how a record comes to be processed twice: offsets are committed by the clock, and who crashes between two
// commits has processed records that are not committed.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/examples/go/internal/tutorial"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	ctx, cancel := tutorial.Context()
	defer cancel()
	if len(os.Args) > 2 { // this is the process that crashes
		for _, r := range tutorial.Poll(ctx, member(os.Args[2]), 4) {
			fmt.Println(string(r.Value))
		}
		os.Exit(0) // at once: nothing is committed, and the group is not told
	}

	topic := tutorial.Topic(ctx, "autocommit", 1, 10)
	times := map[string]int{}
	for _, value := range processAndCrash(ctx, topic) {
		times[value]++
	}
	fmt.Println("a consumer has processed", len(times), "records and crashed before the commit")

	second := member(topic)
	defer second.Close()
	for len(times) < 10 {
		for _, r := range tutorial.Poll(ctx, second, 10) { // waits until the session of the crashed member has ended
			times[string(r.Value)]++
		}
	}
	for i := range 10 {
		fmt.Printf("record %d was processed %d time(s)\n", i, times[fmt.Sprintf("record %d", i)])
	}
	tutorial.Expect(times["record 0"] == 2 && times["record 3"] == 2, "the records before the crash should be there twice")
	tutorial.Expect(times["record 4"] == 1 && times["record 9"] == 1, "the records after the crash should be there once")
	fmt.Println("at least once: what follows must bear a record that comes twice, or keep offset and result together (see database)")
}

// member commits every second what its last poll returned.
func member(topic string) *kgo.Client {
	return tutorial.Client(kgo.ConsumerGroup(topic+"-group"), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(6*time.Second), kgo.AutoCommitInterval(time.Second))
}

// processAndCrash runs a consumer as a process of its own and returns what it has processed.
func processAndCrash(ctx context.Context, topic string) []string {
	out, err := exec.CommandContext(ctx, os.Args[0], tutorial.Bootstrap(), topic).Output()
	tutorial.Must(err)
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
