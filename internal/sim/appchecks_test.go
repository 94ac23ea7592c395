package sim

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// verify lets the copies come to the end of what was written, ends everything, and looks whether transactions were what they promise.
func (a *apps) verify(adm *kgo.Client) {
	a.calm.Store(true)
	for _, g := range a.groups {
		if err := g.untilCopied(adm); err != nil {
			a.mu.Lock()
			a.w.broke("the group %s does not come to the end within %s: %v; its members: %s; %s", g.name, healTime, err, strings.Join(g.troubles, "\n\t"), g.describe(adm))
			a.mu.Unlock()
			return
		}
	}
	a.close()
	if a.w.broken() != "" || !a.w.untilWhole() {
		return
	}
	isolation := kgo.ReadCommitted()
	if a.w.flaws.readsOpen {
		isolation = kgo.ReadUncommitted()
	}
	read := func(topic string) map[int32][]*kgo.Record {
		return a.w.read(topic, partitions, kgo.FetchIsolationLevel(isolation))
	}
	a.checkTransactions(read(txnTopic))
	in := a.w.readAll()
	for _, g := range a.groups {
		g.checkCopies(in, read(g.out))
	}
	a.checkCommits()
}

// untilCopied waits until the group has committed the end of every partition.
func (g *copyGroup) untilCopied(adm *kgo.Client) error {
	var err error
	for end := time.Now().Add(healTime); time.Now().Before(end); {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		var at map[int32]int64
		at, err = g.offsets(ctx, adm, allPartitions())
		cancel()
		if err == nil {
			if err = reached(at, g.w.ends(topicName, partitions)); err == nil {
				return nil
			}
		}
		g.w.arrivals()
		time.Sleep(10 * step)
	}
	return err
}

// describe is what the coordinator says of the group, for whoever has to find out why it stands still.
func (g *copyGroup) describe(cl *kgo.Client) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if g.protocol == "classic" {
		groups, err := kadm.NewClient(cl).DescribeGroups(ctx, g.name)
		return fmt.Sprintf("%+v %v", groups, err)
	}
	groups, err := kadm.NewClient(cl).DescribeConsumerGroups(ctx, g.name)
	return fmt.Sprintf("%+v %v", groups, err)
}

func allPartitions() (out []int32) {
	for p := range int32(partitions) {
		out = append(out, p)
	}
	return out
}

func reached(at, ends map[int32]int64) error {
	for p, end := range ends {
		if at[p] < end && end > 0 {
			return fmt.Errorf("partition %d is committed up to %d of %d", p, at[p], end)
		}
	}
	return nil
}

// checkTransactions: a committed transaction is there whole and once, an aborted one is not there, and one of which nobody was
// told is either.
func (a *apps) checkTransactions(read map[int32][]*kgo.Record) {
	there := map[string]map[string]int{}
	for _, records := range read {
		for _, r := range records {
			name, _, _ := strings.Cut(string(r.Value), ".")
			if there[name] == nil {
				there[name] = map[string]int{}
			}
			there[name][string(r.Value)]++
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, o := range a.told {
		is, total := there[name], 0
		for _, n := range is {
			total += n
		}
		delete(there, name)
		whole := len(is) == txnRecords && total == txnRecords
		switch {
		case o == committed && !whole, o == unknown && total > 0 && !whole:
			a.w.broke("transaction %s of %d records has %d, %d of them different (its writer was told %d)", name, txnRecords, total, len(is), o)
		case o == aborted && total > 0:
			a.w.broke("transaction %s was aborted and %d of its records are there", name, total)
		}
	}
	for name := range there {
		a.w.broke("nobody knows of transaction %s", name)
	}
}

// checkCopies: the copy of a partition is the partition, record for record.
func (g *copyGroup) checkCopies(in, out map[int32][]*kgo.Record) {
	for p := range int32(partitions) {
		for i, r := range in[p] {
			if i >= len(out[p]) {
				g.w.broke("group %s has copied %d of %d records of partition %d", g.name, len(out[p]), len(in[p]), p)
				break
			}
			if string(out[p][i].Value) != string(r.Value) {
				g.w.broke("group %s: copy %d of partition %d, at offset %d, is %s and should be %s", g.name, i, p, out[p][i].Offset, out[p][i].Value, r.Value)
				break
			}
		}
		if len(out[p]) > len(in[p]) {
			g.w.broke("group %s has made %d copies of %d records of partition %d", g.name, len(out[p]), len(in[p]), p)
		}
	}
}

// checkCommits reads what groups have committed, as it became visible, from the log itself: no offset lies before an earlier one.
func (a *apps) checkCommits() {
	last := map[string]int64{}
	for _, records := range a.w.read("__consumer_offsets", 1, kgo.FetchIsolationLevel(kgo.ReadCommitted())) {
		for _, r := range records {
			var k kmsg.OffsetCommitKey
			if k.ReadFrom(r.Key) != nil || k.Version > 1 || r.Value == nil {
				continue
			}
			var v kmsg.OffsetCommitValue
			if err := v.ReadFrom(r.Value); err != nil {
				a.w.broke("the commit at offset %d cannot be read: %v", r.Offset, err)
				continue
			}
			key := fmt.Sprintf("%s %s-%d", k.Group, k.Topic, k.Partition)
			if before, ok := last[key]; ok && v.Offset < before {
				a.w.broke("%s is committed at %d after %d", key, v.Offset, before)
			}
			last[key] = v.Offset
		}
	}
	if len(last) != len(a.groups)*partitions {
		a.w.broke("the log of commits has offsets of %d partitions, not of %d", len(last), len(a.groups)*partitions)
	}
}
