package meta

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moldau-stream/moldau/internal/record"
	"pgregory.net/rapid"
)

// realBatch is one batch of a log or snapshot that Apache Kafka wrote.
type realBatch struct {
	batch   record.Batch
	values  [][]byte
	records []Record
}

func readBatches(t *testing.T, name string) []realBatch {
	t.Helper()
	rest := []byte(readFixture(t, name))
	var out []realBatch
	for len(rest) > 0 {
		b, tail, err := record.Next(rest)
		if err != nil {
			t.Fatal(err)
		}
		rest = tail
		rb := realBatch{batch: b}
		if !b.IsControl() {
			if err := b.ForEach(func(r record.Record) error {
				m, err := Parse(r.Value)
				rb.records = append(rb.records, m)
				rb.values = append(rb.values, bytes.Clone(r.Value))
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		out = append(out, rb)
	}
	return out
}

func TestARealLogAndItsSnapshotMakeTheSameImage(t *testing.T) {
	fromLog := NewReplay(NewImage())
	const snapshotEnd = 166
	for _, b := range readBatches(t, "apache-4.3.1.log") {
		if b.batch.LastOffset() >= snapshotEnd {
			break
		}
		if _, _, err := fromLog.Batch(b.records, b.batch.LastOffset(), b.batch.PartitionLeaderEpoch(), b.batch.MaxTimestamp()); err != nil {
			t.Fatal(err)
		}
	}
	loader := NewLoader(NewImage())
	var inSnapshot [][]byte
	for _, b := range readBatches(t, "apache-4.3.1-166.checkpoint") {
		for i, r := range b.records {
			if err := loader.Add(r); err != nil {
				t.Fatal(err)
			}
			inSnapshot = append(inSnapshot, b.values[i])
		}
	}
	fromSnapshot, delta, err := loader.Finish(snapshotEnd-1, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(delta.ChangedTopics) != 1 || len(delta.ChangedBrokers) != 1 {
		t.Errorf("the delta of a whole snapshot: %+v", delta)
	}
	ours := encodeAll(fromSnapshot)
	if diff := cmp.Diff(canonical(fromLog.Image()), canonical(fromSnapshot)); diff != "" {
		t.Errorf("log and snapshot differ:\n%s", diff)
	}
	// The bytes of each record are Kafka's own; the order within one kind is a hash map's there and sorted here.
	if diff := cmp.Diff(sorted(inSnapshot), sorted(ours)); diff != "" {
		t.Errorf("our snapshot is not Kafka's:\n%s", diff)
	}
	topic := fromSnapshot.Topic("alpha")
	if topic == nil || len(topic.Partitions) != 5 || fromSnapshot.TopicByID(topic.ID) != topic || fromSnapshot.NumPartitions() != 5 {
		t.Errorf("topic alpha: %+v", topic)
	}
	if fromSnapshot.Config(ResourceTopic, "alpha")["cleanup.policy"] != "compact" || fromSnapshot.NextProducerID() != 1000 || fromSnapshot.MetadataVersion() != 30 {
		t.Error("configs, producer ids or level are not Kafka's")
	}
}

func TestABrokerThatShutDownCleanlyIsTheOnlyEligibleLeader(t *testing.T) {
	r := NewReplay(NewImage())
	for _, b := range readBatches(t, "apache-4.3.1.log") {
		if _, _, err := r.Batch(b.records, b.batch.LastOffset(), b.batch.PartitionLeaderEpoch(), b.batch.MaxTimestamp()); err != nil {
			t.Fatal(err)
		}
	}
	p := r.Image().Partition("alpha", 0)
	if p.Leader != NoLeader || len(p.ISR) != 0 || !slices.Equal(p.ELR, []int32{1}) || p.LeaderEpoch != 1 || p.PartitionEpoch != 1 {
		t.Errorf("partition after the shutdown: %+v", p)
	}
	if b := r.Image().Broker(1); !b.Fenced || !b.InControlledShutdown {
		t.Errorf("broker after the shutdown: %+v", b)
	}
}

func TestARealBootstrapFile(t *testing.T) {
	var levels []string
	for _, b := range readBatches(t, "apache-4.3.1-bootstrap.checkpoint") {
		for _, r := range b.records {
			levels = append(levels, r.(*FeatureLevelRecord).Name)
		}
	}
	if len(levels) != 6 || levels[0] != FeatureMetadataVersion || !slices.IsSorted(levels[1:]) {
		t.Errorf("Kafka's order of bootstrap records: %v", levels)
	}
}

func encodeAll(img *Image) [][]byte {
	var out [][]byte
	for r := range img.Records() {
		out = append(out, AppendAt(nil, r, img.MetadataVersion()))
	}
	return out
}

// canonical is all records of an image without the order that a hash map gave a broker's features.
func canonical(img *Image) [][]byte {
	var out [][]byte
	byName := func(a, b FeatureRange) int { return strings.Compare(a.Name, b.Name) }
	for r := range img.Records() {
		switch r := r.(type) {
		case *RegisterBrokerRecord:
			r.Features = slices.SortedFunc(slices.Values(r.Features), byName)
		case *RegisterControllerRecord:
			r.Features = slices.SortedFunc(slices.Values(r.Features), byName)
		}
		out = append(out, Append(nil, r))
	}
	return sorted(out)
}

func sorted(s [][]byte) [][]byte {
	s = slices.Clone(s)
	slices.SortFunc(s, bytes.Compare)
	return s
}

func mustApply(t testing.TB, img *Image, records ...Record) (*Image, *Delta) {
	t.Helper()
	next, d, err := img.Apply(records, img.Offset()+int64(len(records)), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	return next, d
}

func testPartition(id UUID, p int32) *PartitionRecord {
	return &PartitionRecord{TopicID: id, PartitionID: p, Replicas: []int32{1, 2}, ISR: []int32{1, 2}, Leader: 1, Directories: []UUID{{1}, {2}}}
}

func TestAnImageStaysAsItIsWhenTheNextOneIsMade(t *testing.T) {
	id := UUID{9}
	one, _ := mustApply(t, NewImage(), &TopicRecord{Name: "a", TopicID: id}, testPartition(id, 0), testPartition(id, 1))
	change := NewPartitionChange(id, 1)
	change.ISR, change.Leader = []int32{2}, 2
	two, d := mustApply(t, one, change)
	if one.Topic("a").Partitions[1].Leader != 1 || two.Topic("a").Partitions[1].Leader != 2 {
		t.Error("the change shows in the wrong image")
	}
	if one.Topic("a").Partitions[0] != two.Topic("a").Partitions[0] {
		t.Error("what did not change was copied")
	}
	if p := two.Topic("a").Partitions[1]; p.LeaderEpoch != 1 || p.PartitionEpoch != 1 {
		t.Errorf("epochs after a new leader: %d, %d", p.LeaderEpoch, p.PartitionEpoch)
	}
	td := d.ChangedTopics[id]
	if td == nil || td.Topic != two.Topic("a") || td.Old != one.Topic("a") || !slices.Equal(td.Partitions, []int32{1}) {
		t.Errorf("delta: %+v", td)
	}
	v := "1"
	three, _ := mustApply(t, two, &ConfigRecord{ResourceType: ResourceTopic, ResourceName: "a", Name: "k", Value: &v})
	four, d := mustApply(t, three, &RemoveTopicRecord{TopicID: id})
	if four.Topic("a") != nil || four.Config(ResourceTopic, "a") != nil || four.NumPartitions() != 0 || three.Topic("a") == nil || three.Config(ResourceTopic, "a")["k"] != "1" {
		t.Error("deleting the topic left something, or took it from the image before")
	}
	if len(d.DeletedTopics) != 1 || d.DeletedTopics[0] != three.Topic("a") {
		t.Errorf("delta of a deletion: %+v", d)
	}
}

func TestATopicDeletedAndCreatedAgainInOneStepIsTwoTopics(t *testing.T) {
	img, _ := mustApply(t, NewImage(), &TopicRecord{Name: "a", TopicID: UUID{1}}, testPartition(UUID{1}, 0))
	now, d := mustApply(t, img, &RemoveTopicRecord{TopicID: UUID{1}}, &TopicRecord{Name: "a", TopicID: UUID{2}}, testPartition(UUID{2}, 0))
	if now.Topic("a").ID != (UUID{2}) || len(d.DeletedTopics) != 1 || d.ChangedTopics[UUID{2}] == nil || d.ChangedTopics[UUID{2}].Old != nil {
		t.Errorf("image %+v, delta %+v", now.Topic("a"), d)
	}
	_, d = mustApply(t, img, &TopicRecord{Name: "b", TopicID: UUID{3}}, &RemoveTopicRecord{TopicID: UUID{3}})
	if !d.Empty() {
		t.Errorf("a topic that came and went in one step shows: %+v", d)
	}
}

func TestRecordsThatDoNotFitChangeNothing(t *testing.T) {
	img, _ := mustApply(t, NewImage(), &TopicRecord{Name: "a", TopicID: UUID{1}}, testPartition(UUID{1}, 0))
	for name, bad := range map[string]Record{
		"name taken":          &TopicRecord{Name: "a", TopicID: UUID{2}},
		"id taken":            &TopicRecord{Name: "b", TopicID: UUID{1}},
		"no topic":            testPartition(UUID{5}, 0),
		"gap":                 testPartition(UUID{1}, 5),
		"no partition":        NewPartitionChange(UUID{1}, 7),
		"negative partition":  NewPartitionChange(UUID{1}, -1),
		"no broker":           &UnfenceBrokerRecord{ID: 4},
		"remove no topic":     &RemoveTopicRecord{TopicID: UUID{5}},
		"unregister nobody":   &UnregisterBrokerRecord{BrokerID: 3},
		"clear elr no topic":  &ClearELRRecord{TopicName: "zz"},
		"absurd partition id": testPartition(UUID{1}, 1<<30),
	} {
		if _, _, err := img.Apply([]Record{bad}, 10, 1, 0); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestATransactionTakesEffectAtItsEndOrNever(t *testing.T) {
	r := NewReplay(NewImage())
	step := func(offset int64, records ...Record) *Image {
		img, _, err := r.Batch(records, offset, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	step(0, &TopicRecord{Name: "before", TopicID: UUID{1}}, &BeginTransactionRecord{}, &TopicRecord{Name: "held", TopicID: UUID{2}})
	if img := step(1, testPartition(UUID{2}, 0)); img.Topic("before") == nil || img.Topic("held") != nil || !r.InTransaction() {
		t.Error("a transaction shows before its end")
	}
	if img := step(2, &EndTransactionRecord{}); img.Topic("held") == nil || img.Offset() != 2 {
		t.Error("an ended transaction does not show")
	}
	step(3, &BeginTransactionRecord{}, &TopicRecord{Name: "dropped", TopicID: UUID{3}})
	if img := step(5, &AbortTransactionRecord{}, &TopicRecord{Name: "after", TopicID: UUID{4}}); img.Topic("dropped") != nil || img.Topic("after") == nil {
		t.Error("an aborted transaction shows")
	}
	for _, bad := range []Record{&EndTransactionRecord{}, &AbortTransactionRecord{}} {
		if _, _, err := r.Batch([]Record{bad}, 6, 1, 0); err == nil {
			t.Errorf("%s without a begin is accepted", bad.Type())
		}
	}
}

// Whatever happened to an image, the records that it writes build an equal one, and Diff finds nothing between them.
func TestAnImageWritesItselfWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		img := NewImage()
		text := rapid.SampledFrom([]string{"a", "b", "c"})
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			r := drawRecord(t, text)
			if next, d, err := img.Apply([]Record{r}, img.Offset()+1, 1, 0); err == nil {
				full := Diff(img, next)
				if len(full.ChangedTopics) != len(d.ChangedTopics) || len(full.DeletedTopics) != len(d.DeletedTopics) || len(full.ChangedBrokers) > len(d.ChangedBrokers) {
					t.Fatalf("%T: delta %+v, difference %+v", r, d, full)
				}
				img = next
			}
		}
		loader := NewLoader(NewImage())
		for r := range img.Records() {
			parsed, err := Parse(Append(nil, r))
			if err != nil {
				t.Fatal(err)
			}
			if err := loader.Add(parsed); err != nil {
				t.Fatal(err)
			}
		}
		again, _, err := loader.Finish(img.Offset(), img.Epoch(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(encodeAll(img), encodeAll(again)); diff != "" {
			t.Fatal(diff)
		}
		if again.NumPartitions() != img.NumPartitions() {
			t.Fatalf("%d partitions, then %d", img.NumPartitions(), again.NumPartitions())
		}
	})
}

func drawRecord(t *rapid.T, text *rapid.Generator[string]) Record {
	id := UUID{byte(rapid.IntRange(1, 4).Draw(t, "id"))}
	name := text.Draw(t, "name")
	part := int32(rapid.IntRange(0, 3).Draw(t, "partition"))
	broker := int32(rapid.IntRange(1, 3).Draw(t, "broker"))
	switch rapid.IntRange(0, 14).Draw(t, "kind") {
	case 0:
		return &TopicRecord{Name: name, TopicID: id}
	case 1, 2:
		return testPartition(id, part)
	case 3, 4:
		c := NewPartitionChange(id, part)
		c.ISR, c.Leader, c.EligibleLeaderReplicas = []int32{broker}, broker, []int32{3 - broker%2}
		return c
	case 5:
		return &RemoveTopicRecord{TopicID: id}
	case 6:
		v := name
		return &ConfigRecord{ResourceType: ResourceTopic, ResourceName: name, Name: text.Draw(t, "key"), Value: &v}
	case 7:
		return &ConfigRecord{ResourceType: ResourceTopic, ResourceName: name, Name: text.Draw(t, "key")}
	case 8:
		return &RegisterBrokerRecord{BrokerID: broker, BrokerEpoch: 5, IncarnationID: id, Fenced: true, LogDirs: []UUID{id}, EndPoints: []Endpoint{{Name: name}}}
	case 9:
		return &BrokerRegistrationChangeRecord{BrokerID: broker, BrokerEpoch: 5, Fenced: -1, InControlledShutdown: 1, CordonedLogDirs: []UUID{}}
	case 10:
		return &ClientQuotaRecord{Entity: []QuotaEntity{{"user", &name}, {"client-id", nil}}, Key: name, Value: 2, Remove: part == 0}
	case 11:
		return &FeatureLevelRecord{Name: "f" + name, FeatureLevel: int16(part)}
	case 12:
		return &AccessControlEntryRecord{ID: id, Principal: name}
	case 13:
		return &UserScramCredentialRecord{Name: name, Mechanism: 1, Salt: []byte{1}, StoredKey: []byte{2}, ServerKey: []byte{3}, Iterations: 4096}
	default:
		return &ClearELRRecord{}
	}
}

func BenchmarkApplyOneChangeAmongAMillionPartitions(b *testing.B) {
	loader := NewLoader(NewImage())
	const topics, each = 10_000, 100
	for t := range topics {
		id := UUID{byte(t), byte(t >> 8), 7}
		if err := loader.Add(&TopicRecord{Name: FormatUUID(id), TopicID: id}); err != nil {
			b.Fatal(err)
		}
		for p := range each {
			if err := loader.Add(testPartition(id, int32(p))); err != nil {
				b.Fatal(err)
			}
		}
	}
	img, _, err := loader.Finish(0, 1, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		t := i % topics
		c := NewPartitionChange(UUID{byte(t), byte(t >> 8), 7}, int32(i%each))
		c.Leader = 2
		if img, _, err = img.Apply([]Record{c}, img.Offset()+1, 1, 0); err != nil {
			b.Fatal(err)
		}
	}
}
