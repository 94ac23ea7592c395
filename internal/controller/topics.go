package controller

import (
	"maps"
	"slices"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (b *batch) createTopics(req *kmsg.CreateTopicsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	count := map[string]int{}
	partitions := 0
	for _, t := range req.Topics {
		count[t.Topic]++
		partitions += max(int(t.NumPartitions), len(t.ReplicaAssignment), 1)
	}
	if len(req.Topics) > 0 && partitions > MaxPartitionsPerRequest {
		return refuseAllTopics(resp, req, refuse(kerr.PolicyViolation, "Excessively large number of partitions per request."))
	}
	done := map[string]bool{}
	for i := range req.Topics {
		t := &req.Topics[i]
		if done[t.Topic] {
			continue // one answer for a name that was given twice
		}
		done[t.Topic] = true
		out := kmsg.NewCreateTopicsResponseTopic()
		out.Topic = t.Topic
		var err *Error
		if count[t.Topic] > 1 {
			err = refuse(kerr.InvalidRequest, "Duplicate topic name.")
		} else {
			err = b.createTopic(t, &out)
		}
		if err != nil {
			out.ErrorCode, out.ErrorMessage = err.Code, err.text()
			out.NumPartitions, out.ReplicationFactor, out.Configs = -1, -1, nil
		}
		resp.Topics = append(resp.Topics, out)
	}
	if req.ValidateOnly {
		b.dry()
	}
	return resp
}

func refuseAllTopics(resp *kmsg.CreateTopicsResponse, req *kmsg.CreateTopicsRequest, err *Error) kmsg.Response {
	for _, t := range req.Topics {
		out := kmsg.NewCreateTopicsResponseTopic()
		out.Topic, out.ErrorCode, out.ErrorMessage = t.Topic, err.Code, err.text()
		out.NumPartitions, out.ReplicationFactor = -1, -1
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}

// createTopic decides one topic; refused, it leaves no record behind.
func (b *batch) createTopic(t *kmsg.CreateTopicsRequestTopic, out *kmsg.CreateTopicsResponseTopic) *Error {
	if there := b.img.Topic(t.Topic); there != nil && b.Try.made(there) {
		b.describeNew(out, there.ID, len(there.Partitions), len(there.Partitions[0].Replicas), b.img.Config(meta.ResourceTopic, t.Topic))
		return nil
	}
	if err := b.checkNewName(t.Topic); err != nil {
		return err
	}
	values, err := b.newTopicConfigs(t)
	if err != nil {
		return err
	}
	var assignments [][]int32
	if len(t.ReplicaAssignment) > 0 {
		assignments, err = b.manualAssignment(t)
	} else {
		assignments, err = b.autoAssignment(t.NumPartitions, t.ReplicationFactor)
	}
	if err != nil {
		return err
	}
	id := b.newTopicID(t.Topic)
	records := []meta.Record{&meta.TopicRecord{Name: t.Topic, TopicID: id}}
	for _, k := range slices.Sorted(maps.Keys(values)) {
		v := values[k]
		records = append(records, &meta.ConfigRecord{ResourceType: meta.ResourceTopic, ResourceName: t.Topic, Name: k, Value: &v})
	}
	for p, replicas := range assignments {
		records = append(records, b.newPartition(id, int32(p), replicas))
	}
	b.add(records...)
	b.describeNew(out, id, len(assignments), len(assignments[0]), values)
	return nil
}

// describeNew tells of a topic that the request has made.
func (b *batch) describeNew(out *kmsg.CreateTopicsResponseTopic, id meta.UUID, partitions, replicas int, values map[string]string) {
	out.TopicID = id
	out.NumPartitions, out.ReplicationFactor = int32(partitions), int16(replicas)
	out.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
	if b.cfg.Configs != nil {
		out.Configs = b.cfg.Configs.EffectiveTopic(values, b.img.Config(meta.ResourceBroker, ""))
	}
}

func (b *batch) checkNewName(name string) *Error {
	if err := checkTopicName(name); err != nil {
		return err
	}
	if name == metadataTopic {
		return refuse(kerr.InvalidRequest, "Creation of internal topic %s is prohibited.", name)
	}
	if b.img.Topic(name) != nil {
		return refuse(kerr.TopicAlreadyExists, "Topic '%s' already exists.", name)
	}
	if other, ok := collision(b.img, name); ok {
		return refuse(kerr.InvalidTopicException, "Topic '%s' collides with existing topic: %s", name, other)
	}
	return nil
}

func (b *batch) newTopicConfigs(t *kmsg.CreateTopicsRequestTopic) (map[string]string, *Error) {
	values := map[string]string{}
	for _, c := range t.Configs {
		if c.Value == nil {
			return nil, refuse(kerr.InvalidConfig, "Null value not supported for topic configs: %s", c.Name)
		}
		values[c.Name] = *c.Value
	}
	return values, b.validateConfigs(meta.ConfigResource{Type: meta.ResourceTopic, Name: t.Topic}, values)
}

// newPartition is the record of a partition whose first active replica leads. There must be one.
func (b *batch) newPartition(id meta.UUID, partition int32, replicas []int32) *meta.PartitionRecord {
	isr := b.activeOf(replicas)
	r := &meta.PartitionRecord{
		TopicID: id, PartitionID: partition, Replicas: replicas, ISR: isr, Leader: isr[0], LeaderRecoveryState: meta.RecoveryStateRecovered,
	}
	if meta.DirectoriesSupported(b.img.MetadataVersion()) {
		for _, broker := range replicas {
			r.Directories = append(r.Directories, startingDirectory(b.img, broker))
		}
	}
	return r
}

func (b *batch) activeOf(brokers []int32) []int32 {
	var out []int32
	for _, id := range brokers {
		if br := b.img.Broker(id); br != nil && br.Active() {
			out = append(out, id)
		}
	}
	return out
}

func (b *batch) autoAssignment(partitions int32, replicationFactor int16) ([][]int32, *Error) {
	if replicationFactor < -1 || replicationFactor == 0 {
		return nil, refuse(kerr.InvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.")
	}
	if partitions < -1 || partitions == 0 {
		return nil, refuse(kerr.InvalidPartitions, "Number of partitions was set to an invalid non-positive value.")
	}
	if replicationFactor == -1 {
		replicationFactor = b.cfg.DefaultReplicationFactor
	}
	if partitions == -1 {
		partitions = b.cfg.DefaultPartitions
	}
	return b.assign(partitions, replicationFactor)
}

func (b *batch) assign(partitions int32, replicationFactor int16) ([][]int32, *Error) {
	p := newPlacer(b.img, b.cfg.Random)
	if err := p.check(replicationFactor); err != nil {
		return nil, err
	}
	out := make([][]int32, partitions)
	for i := range out {
		out[i] = p.place(replicationFactor)
	}
	return out, nil
}

func (b *batch) manualAssignment(t *kmsg.CreateTopicsRequestTopic) ([][]int32, *Error) {
	if t.ReplicationFactor != -1 {
		return nil, refuse(kerr.InvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.")
	}
	if t.NumPartitions != -1 {
		return nil, refuse(kerr.InvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.")
	}
	byIndex := map[int32][]int32{}
	want := -1
	for _, a := range t.ReplicaAssignment {
		if _, twice := byIndex[a.Partition]; twice {
			return nil, refuse(kerr.InvalidReplicaAssignment, "Found multiple manual partition assignments for partition %d", a.Partition)
		}
		if err := b.checkAssignment(a.Partition, a.Replicas, want); err != nil {
			return nil, err
		}
		want = len(a.Replicas)
		byIndex[a.Partition] = slices.Clone(a.Replicas)
	}
	out := make([][]int32, len(byIndex))
	for i := range out {
		replicas, ok := byIndex[int32(i)]
		if !ok {
			return nil, refuse(kerr.InvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence")
		}
		out[i] = replicas
	}
	return out, nil
}

// checkAssignment checks the replicas that a user gave one partition; want is how many they must be, -1 for any number.
func (b *batch) checkAssignment(partition int32, replicas []int32, want int) *Error {
	bad := func(format string, args ...any) *Error { return refuse(kerr.InvalidReplicaAssignment, format, args...) }
	if err := b.checkReplicas(replicas); err != nil {
		return err
	}
	if want >= 0 && len(replicas) != want {
		return bad("The manual partition assignment includes a partition with %d replica(s), but this is not consistent with previous partitions, which have %d replica(s).", len(replicas), want)
	}
	if len(b.activeOf(replicas)) == 0 {
		return bad("All brokers specified in the manual partition assignment for partition %d are fenced or in controlled shutdown.", partition)
	}
	return nil
}

func (b *batch) createPartitions(req *kmsg.CreatePartitionsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	count := map[string]int{}
	for _, t := range req.Topics {
		count[t.Topic]++
	}
	done := map[string]bool{}
	for i := range req.Topics {
		t := &req.Topics[i]
		if done[t.Topic] {
			continue
		}
		done[t.Topic] = true
		out := kmsg.NewCreatePartitionsResponseTopic()
		out.Topic = t.Topic
		var err *Error
		if count[t.Topic] > 1 {
			err = refuse(kerr.InvalidRequest, "Duplicate topic name.")
		} else {
			err = b.growTopic(t)
		}
		out.ErrorCode, out.ErrorMessage = err.outcome()
		resp.Topics = append(resp.Topics, out)
	}
	if req.ValidateOnly {
		b.dry()
	}
	return resp
}

func (b *batch) growTopic(t *kmsg.CreatePartitionsRequestTopic) *Error {
	topic := b.img.Topic(t.Topic)
	if topic == nil {
		return &Error{Code: kerr.UnknownTopicOrPartition.Code}
	}
	have := int32(len(topic.Partitions))
	switch {
	case t.Count == have && b.Try.again():
		return nil
	case t.Count == have:
		return refuse(kerr.InvalidPartitions, "Topic already has %d partition(s).", have)
	case t.Count < have:
		return refuse(kerr.InvalidPartitions, "The topic %s currently has %d partition(s); %d would not be an increase.", t.Topic, have, t.Count)
	case int(t.Count-have)+len(b.records) > MaxPartitionsPerRequest:
		return refuse(kerr.PolicyViolation, "Excessively large number of partitions per request.")
	}
	added := t.Count - have
	replicationFactor := len(topic.Partitions[0].Replicas)
	var assignments [][]int32
	if t.Assignment != nil {
		if len(t.Assignment) != int(added) {
			return refuse(kerr.InvalidReplicaAssignment, "Attempted to add %d additional partition(s), but only %d assignment(s) were specified.", added, len(t.Assignment))
		}
		for i, a := range t.Assignment {
			if err := b.checkAssignment(have+int32(i), a.Replicas, replicationFactor); err != nil {
				return err
			}
			assignments = append(assignments, slices.Clone(a.Replicas))
		}
	} else {
		var err *Error
		if assignments, err = b.assign(added, int16(replicationFactor)); err != nil {
			return err
		}
	}
	var records []meta.Record
	for i, replicas := range assignments {
		records = append(records, b.newPartition(topic.ID, have+int32(i), replicas))
	}
	b.add(records...)
	return nil
}

func (b *batch) deleteTopics(req *kmsg.DeleteTopicsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	asked := slices.Clone(req.Topics)
	for _, name := range req.TopicNames {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = &name
		asked = append(asked, t)
	}
	names, ids := map[string]int{}, map[meta.UUID]int{}
	for _, t := range asked {
		if t.Topic != nil {
			names[*t.Topic]++
		} else {
			ids[t.TopicID]++
		}
	}
	for _, t := range asked {
		out := kmsg.NewDeleteTopicsResponseTopic()
		out.Topic, out.TopicID = t.Topic, t.TopicID
		var err *Error
		switch {
		case !b.cfg.DeleteTopicEnable && req.Version < 3:
			err = refuse(kerr.InvalidRequest, "Topic deletion is disabled.")
		case !b.cfg.DeleteTopicEnable:
			err = refusePlain(kerr.TopicDeletionDisabled)
		case t.Topic != nil && t.TopicID != (meta.UUID{}):
			err = refuse(kerr.InvalidRequest, "You may not specify both topic name and topic id.")
		case t.Topic == nil && t.TopicID == (meta.UUID{}):
			err = refuse(kerr.InvalidRequest, "Neither topic name nor id were specified.")
		case t.Topic != nil && names[*t.Topic] > 1:
			err = refuse(kerr.InvalidRequest, "Duplicate topic name.")
		case t.Topic == nil && ids[t.TopicID] > 1:
			err = refuse(kerr.InvalidRequest, "Duplicate topic id.")
		default:
			err = b.deleteTopic(&t, &out)
		}
		out.ErrorCode, out.ErrorMessage = err.outcome()
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}

func (b *batch) deleteTopic(asked *kmsg.DeleteTopicsRequestTopic, out *kmsg.DeleteTopicsResponseTopic) *Error {
	missing, t := kerr.UnknownTopicID, b.img.TopicByID(asked.TopicID)
	if asked.Topic != nil {
		missing, t = kerr.UnknownTopicOrPartition, b.img.Topic(*asked.Topic)
	}
	switch {
	case t == nil && b.Try.again():
		return nil
	case t == nil:
		return refusePlain(missing)
	case asked.Topic != nil && b.Try.another(asked, t.ID):
		return refuse(kerr.InconsistentTopicID, "The topic %s was created anew while its deletion was under way: the new one is not deleted.", t.Name)
	}
	b.add(&meta.RemoveTopicRecord{TopicID: t.ID})
	out.Topic, out.TopicID = &t.Name, t.ID
	return nil
}
