package broker

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/storage"
)

// A damaged segment once made consumers wait for ever, with no word in the log.
func TestTroubleWithALogIsToldOnceAMinute(t *testing.T) {
	var out bytes.Buffer
	clk := clock.NewFake(time.UnixMilli(1_700_000_000_000))
	b := &Broker{clock: clk, logger: slog.New(slog.NewTextHandler(&out, nil))}
	tp := storage.TopicPartition{Topic: "t", Partition: 3}
	corrupt := fmt.Errorf("%w: /d/t-3/00000000000000000000.log at 17", storage.ErrCorruptRecord)
	lines := func() int { return strings.Count(out.String(), "\n") }

	for range 3 {
		b.tell("read", tp, corrupt, true)
	}
	if lines() != 1 || !strings.Contains(out.String(), "at 17") || !strings.Contains(out.String(), "partition=3") {
		t.Fatal(out.String())
	}
	clk.Advance(troubleEvery)
	b.tell("read", tp, corrupt, true)
	b.tell("write", storage.TopicPartition{Topic: "u"}, storage.ErrStorage, false)
	if lines() != 3 {
		t.Fatal(out.String())
	}
	b.tell("write", storage.TopicPartition{Topic: "v"}, corrupt, false) // the client's own
	b.tell("read", storage.TopicPartition{Topic: "v"}, storage.ErrOffsetOutOfRange, true)
	b.tell("read", storage.TopicPartition{Topic: "v"}, nil, true)
	if lines() != 3 {
		t.Fatal(out.String())
	}
}

func TestTroubleOfManyPartitionsIsBounded(t *testing.T) {
	var all troubles
	now := time.UnixMilli(0)
	for i := range int32(2 * maxTroubled) {
		all.due(storage.TopicPartition{Topic: "t", Partition: i}, now)
	}
	if len(all.told) != maxTroubled {
		t.Fatal(len(all.told))
	}
	if !all.due(storage.TopicPartition{Topic: "u"}, now.Add(troubleEvery)) {
		t.Fatal("old trouble keeps new trouble from being told")
	}
	if isOurs(errors.New("anything"), false) == false {
		t.Fatal("what nothing else explains is ours")
	}
}
