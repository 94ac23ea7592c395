package meta

// Record is one of Kafka's metadata records. The fields are Kafka's, in Kafka's order;
// lists whose comment says "nil = no change" tell nil from empty.
type Record interface {
	// Type is the record's number on disk.
	Type() Type
	// walk reads or writes the fields at a version.
	walk(c *codec, version int16)
}

// Endpoint is one listener of a broker or controller.
type Endpoint struct {
	Name             string
	Host             string
	Port             uint16
	SecurityProtocol int16
}

func (e *Endpoint) walk(c *codec) {
	c.string(&e.Name)
	c.string(&e.Host)
	c.uint16(&e.Port)
	c.int16(&e.SecurityProtocol)
	c.tags()
}

// FeatureRange is what one node supports of one feature.
type FeatureRange struct {
	Name                string
	MinSupportedVersion int16
	MaxSupportedVersion int16
}

func (f *FeatureRange) walk(c *codec) {
	c.string(&f.Name)
	c.int16(&f.MinSupportedVersion)
	c.int16(&f.MaxSupportedVersion)
	c.tags()
}

// RegisterBrokerRecord is a broker's start: who it is, where it listens, what it can do.
type RegisterBrokerRecord struct {
	BrokerID             int32
	IsMigratingZkBroker  bool // v2
	IncarnationID        UUID
	BrokerEpoch          int64
	EndPoints            []Endpoint
	Features             []FeatureRange
	Rack                 *string
	Fenced               bool
	InControlledShutdown bool   // v1
	LogDirs              []UUID // v3
	CordonedLogDirs      []UUID // v4, nil = not told
}

func (*RegisterBrokerRecord) Type() Type { return TypeRegisterBroker }

func (r *RegisterBrokerRecord) walk(c *codec, version int16) {
	c.int32(&r.BrokerID)
	if version >= 2 {
		c.bool(&r.IsMigratingZkBroker)
	}
	c.uuid(&r.IncarnationID)
	c.int64(&r.BrokerEpoch)
	array(c, &r.EndPoints, func(c *codec, e *Endpoint) { e.walk(c) })
	array(c, &r.Features, func(c *codec, f *FeatureRange) { f.walk(c) })
	c.nullableString(&r.Rack)
	c.bool(&r.Fenced)
	if version >= 1 {
		c.bool(&r.InControlledShutdown)
	}
	switch {
	case version >= 4:
		c.tags(
			tag{0, len(r.LogDirs) > 0, func(c *codec) { c.uuids(&r.LogDirs) }},
			tag{1, r.CordonedLogDirs != nil, func(c *codec) { c.nullableUUIDs(&r.CordonedLogDirs) }})
	case version == 3:
		c.tags(tag{0, len(r.LogDirs) > 0, func(c *codec) { c.uuids(&r.LogDirs) }})
	default:
		c.tags()
	}
}

// UnregisterBrokerRecord takes a broker out of the cluster.
type UnregisterBrokerRecord struct {
	BrokerID    int32
	BrokerEpoch int64
}

func (*UnregisterBrokerRecord) Type() Type { return TypeUnregisterBroker }

func (r *UnregisterBrokerRecord) walk(c *codec, _ int16) {
	c.int32(&r.BrokerID)
	c.int64(&r.BrokerEpoch)
	c.tags()
}

// TopicRecord creates a topic, without partitions yet.
type TopicRecord struct {
	Name    string
	TopicID UUID
}

func (*TopicRecord) Type() Type { return TypeTopic }

func (r *TopicRecord) walk(c *codec, _ int16) {
	c.string(&r.Name)
	c.uuid(&r.TopicID)
	c.tags()
}

// PartitionRecord states a partition whole: at its creation and in snapshots.
type PartitionRecord struct {
	PartitionID            int32
	TopicID                UUID
	Replicas               []int32
	ISR                    []int32
	RemovingReplicas       []int32
	AddingReplicas         []int32
	Leader                 int32
	LeaderEpoch            int32
	PartitionEpoch         int32
	Directories            []UUID // v1
	LeaderRecoveryState    int8
	EligibleLeaderReplicas []int32 // v2, nil = none
	LastKnownELR           []int32 // v2, nil = none
}

func (*PartitionRecord) Type() Type { return TypePartition }

func (r *PartitionRecord) walk(c *codec, version int16) {
	c.int32(&r.PartitionID)
	c.uuid(&r.TopicID)
	c.int32s(&r.Replicas)
	c.int32s(&r.ISR)
	c.int32s(&r.RemovingReplicas)
	c.int32s(&r.AddingReplicas)
	c.int32(&r.Leader)
	c.int32(&r.LeaderEpoch)
	c.int32(&r.PartitionEpoch)
	if version >= 1 {
		c.uuids(&r.Directories)
	}
	recovery := tag{0, r.LeaderRecoveryState != 0, func(c *codec) { c.int8(&r.LeaderRecoveryState) }}
	if version < 2 {
		c.tags(recovery)
		return
	}
	c.tags(recovery,
		tag{1, r.EligibleLeaderReplicas != nil, func(c *codec) { c.nullableInt32s(&r.EligibleLeaderReplicas) }},
		tag{2, r.LastKnownELR != nil, func(c *codec) { c.nullableInt32s(&r.LastKnownELR) }})
}

// ConfigRecord sets one key of one resource; a nil value takes the key away.
type ConfigRecord struct {
	ResourceType int8
	ResourceName string
	Name         string
	Value        *string
}

func (*ConfigRecord) Type() Type { return TypeConfig }

func (r *ConfigRecord) walk(c *codec, _ int16) {
	c.int8(&r.ResourceType)
	c.string(&r.ResourceName)
	c.string(&r.Name)
	c.nullableString(&r.Value)
	c.tags()
}

// Values with which a PartitionChangeRecord says that a number does not change.
const (
	LeaderNoChange        int32 = -2
	RecoveryStateNoChange int8  = -1
	// NoLeader is the leader of a partition that has none.
	NoLeader int32 = -1
)

// PartitionChangeRecord changes a partition. Make one with NewPartitionChange, which changes nothing yet.
// Setting Leader, to the same broker too, raises the leader epoch; every change raises the partition epoch.
type PartitionChangeRecord struct {
	PartitionID            int32
	TopicID                UUID
	ISR                    []int32 // nil = no change, as all lists here
	Leader                 int32
	Replicas               []int32
	RemovingReplicas       []int32
	AddingReplicas         []int32
	LeaderRecoveryState    int8
	EligibleLeaderReplicas []int32 // v2
	LastKnownELR           []int32 // v2
	Directories            []UUID  // v1
}

// NewPartitionChange is a change of one partition that says nothing yet.
func NewPartitionChange(topicID UUID, partition int32) *PartitionChangeRecord {
	return &PartitionChangeRecord{TopicID: topicID, PartitionID: partition, Leader: LeaderNoChange, LeaderRecoveryState: RecoveryStateNoChange}
}

func (*PartitionChangeRecord) Type() Type { return TypePartitionChange }

func (r *PartitionChangeRecord) walk(c *codec, version int16) {
	c.int32(&r.PartitionID)
	c.uuid(&r.TopicID)
	list := func(id uint64, p *[]int32) tag {
		return tag{id, *p != nil, func(c *codec) { c.nullableInt32s(p) }}
	}
	known := []tag{
		list(0, &r.ISR),
		{1, r.Leader != LeaderNoChange, func(c *codec) { c.int32(&r.Leader) }},
		list(2, &r.Replicas),
		list(3, &r.RemovingReplicas),
		list(4, &r.AddingReplicas),
		{5, r.LeaderRecoveryState != RecoveryStateNoChange, func(c *codec) { c.int8(&r.LeaderRecoveryState) }},
	}
	if version >= 2 {
		known = append(known, list(6, &r.EligibleLeaderReplicas), list(7, &r.LastKnownELR))
	}
	if version >= 1 {
		known = append(known, tag{8, r.Directories != nil, func(c *codec) { c.nullableUUIDs(&r.Directories) }})
	}
	c.tags(known...)
}

// Unchanged says that the record, as it stands, would change nothing.
func (r *PartitionChangeRecord) Unchanged() bool {
	return r.ISR == nil && r.Leader == LeaderNoChange && r.Replicas == nil && r.RemovingReplicas == nil && r.AddingReplicas == nil &&
		r.LeaderRecoveryState == RecoveryStateNoChange && r.EligibleLeaderReplicas == nil && r.LastKnownELR == nil && r.Directories == nil
}

// FenceBrokerRecord is the older way to fence a broker.
type FenceBrokerRecord struct {
	ID    int32
	Epoch int64
}

func (*FenceBrokerRecord) Type() Type { return TypeFenceBroker }

func (r *FenceBrokerRecord) walk(c *codec, _ int16) {
	c.int32(&r.ID)
	c.int64(&r.Epoch)
	c.tags()
}

// UnfenceBrokerRecord is the older way to unfence a broker.
type UnfenceBrokerRecord struct {
	ID    int32
	Epoch int64
}

func (*UnfenceBrokerRecord) Type() Type { return TypeUnfenceBroker }

func (r *UnfenceBrokerRecord) walk(c *codec, _ int16) {
	c.int32(&r.ID)
	c.int64(&r.Epoch)
	c.tags()
}

// RemoveTopicRecord deletes a topic, its partitions and its configs.
type RemoveTopicRecord struct{ TopicID UUID }

func (*RemoveTopicRecord) Type() Type { return TypeRemoveTopic }

func (r *RemoveTopicRecord) walk(c *codec, _ int16) {
	c.uuid(&r.TopicID)
	c.tags()
}

// DelegationTokenRecord creates or renews a delegation token.
type DelegationTokenRecord struct {
	Owner               string
	Requester           string
	Renewers            []string
	IssueTimestamp      int64
	MaxTimestamp        int64
	ExpirationTimestamp int64
	TokenID             string
}

func (*DelegationTokenRecord) Type() Type { return TypeDelegationToken }

func (r *DelegationTokenRecord) walk(c *codec, _ int16) {
	c.string(&r.Owner)
	c.string(&r.Requester)
	array(c, &r.Renewers, (*codec).string)
	c.int64(&r.IssueTimestamp)
	c.int64(&r.MaxTimestamp)
	c.int64(&r.ExpirationTimestamp)
	c.string(&r.TokenID)
	c.tags()
}

// UserScramCredentialRecord sets a user's salted password for one mechanism.
type UserScramCredentialRecord struct {
	Name       string
	Mechanism  int8
	Salt       []byte
	StoredKey  []byte
	ServerKey  []byte
	Iterations int32
}

func (*UserScramCredentialRecord) Type() Type { return TypeUserScramCredential }

func (r *UserScramCredentialRecord) walk(c *codec, _ int16) {
	c.string(&r.Name)
	c.int8(&r.Mechanism)
	c.bytes(&r.Salt)
	c.bytes(&r.StoredKey)
	c.bytes(&r.ServerKey)
	c.int32(&r.Iterations)
	c.tags()
}

// FeatureLevelRecord finalizes a feature at a level; level 0 takes it away.
type FeatureLevelRecord struct {
	Name         string
	FeatureLevel int16
}

func (*FeatureLevelRecord) Type() Type { return TypeFeatureLevel }

func (r *FeatureLevelRecord) walk(c *codec, _ int16) {
	c.string(&r.Name)
	c.int16(&r.FeatureLevel)
	c.tags()
}

// QuotaEntity is one part of what a quota is for: a user, a client id or an address; a nil name means the default one.
type QuotaEntity struct {
	EntityType string
	EntityName *string
}

// ClientQuotaRecord sets or removes one quota of one entity.
type ClientQuotaRecord struct {
	Entity []QuotaEntity
	Key    string
	Value  float64
	Remove bool
}

func (*ClientQuotaRecord) Type() Type { return TypeClientQuota }

func (r *ClientQuotaRecord) walk(c *codec, _ int16) {
	array(c, &r.Entity, func(c *codec, e *QuotaEntity) {
		c.string(&e.EntityType)
		c.nullableString(&e.EntityName)
		c.tags()
	})
	c.string(&r.Key)
	c.float64(&r.Value)
	c.bool(&r.Remove)
	c.tags()
}

// ProducerIDsRecord gives a block of producer ids away: NextProducerID is the first that is still free.
type ProducerIDsRecord struct {
	BrokerID       int32
	BrokerEpoch    int64
	NextProducerID int64
}

func (*ProducerIDsRecord) Type() Type { return TypeProducerIDs }

func (r *ProducerIDsRecord) walk(c *codec, _ int16) {
	c.int32(&r.BrokerID)
	c.int64(&r.BrokerEpoch)
	c.int64(&r.NextProducerID)
	c.tags()
}

// BrokerRegistrationChangeRecord changes a broker's registration. Fenced and InControlledShutdown
// are 1 for true, -1 for false, 0 for no change.
type BrokerRegistrationChangeRecord struct {
	BrokerID             int32
	BrokerEpoch          int64
	Fenced               int8
	InControlledShutdown int8   // v1
	LogDirs              []UUID // v2, empty = no change
	CordonedLogDirs      []UUID // v3, nil = no change
}

func (*BrokerRegistrationChangeRecord) Type() Type { return TypeBrokerRegistrationChange }

func (r *BrokerRegistrationChangeRecord) walk(c *codec, version int16) {
	c.int32(&r.BrokerID)
	c.int64(&r.BrokerEpoch)
	known := []tag{{0, r.Fenced != 0, func(c *codec) { c.int8(&r.Fenced) }}}
	if version >= 1 {
		known = append(known, tag{1, r.InControlledShutdown != 0, func(c *codec) { c.int8(&r.InControlledShutdown) }})
	}
	if version >= 2 {
		known = append(known, tag{2, len(r.LogDirs) > 0, func(c *codec) { c.uuids(&r.LogDirs) }})
	}
	if version >= 3 {
		known = append(known, tag{3, r.CordonedLogDirs != nil, func(c *codec) { c.nullableUUIDs(&r.CordonedLogDirs) }})
	}
	c.tags(known...)
}

// needs is the oldest version that can hold what is set.
func (r *BrokerRegistrationChangeRecord) needs() int16 {
	switch {
	case r.CordonedLogDirs != nil:
		return 3
	case len(r.LogDirs) > 0:
		return 2
	case r.InControlledShutdown != 0:
		return 1
	}
	return 0
}

// AccessControlEntryRecord adds one rule of the authorizer.
type AccessControlEntryRecord struct {
	ID             UUID
	ResourceType   int8
	ResourceName   string
	PatternType    int8
	Principal      string
	Host           string
	Operation      int8
	PermissionType int8
}

func (*AccessControlEntryRecord) Type() Type { return TypeAccessControlEntry }

func (r *AccessControlEntryRecord) walk(c *codec, _ int16) {
	c.uuid(&r.ID)
	c.int8(&r.ResourceType)
	c.string(&r.ResourceName)
	c.int8(&r.PatternType)
	c.string(&r.Principal)
	c.string(&r.Host)
	c.int8(&r.Operation)
	c.int8(&r.PermissionType)
	c.tags()
}

// RemoveAccessControlEntryRecord removes one rule.
type RemoveAccessControlEntryRecord struct{ ID UUID }

func (*RemoveAccessControlEntryRecord) Type() Type { return TypeRemoveAccessControlEntry }

func (r *RemoveAccessControlEntryRecord) walk(c *codec, _ int16) {
	c.uuid(&r.ID)
	c.tags()
}

// NoOpRecord moves the log's end and nothing else.
type NoOpRecord struct{}

func (*NoOpRecord) Type() Type             { return TypeNoOp }
func (*NoOpRecord) walk(c *codec, _ int16) { c.tags() }

// ZkMigrationStateRecord is left over from the move away from ZooKeeper; it changes nothing any more.
type ZkMigrationStateRecord struct{ ZkMigrationState int8 }

func (*ZkMigrationStateRecord) Type() Type { return TypeZkMigrationState }

func (r *ZkMigrationStateRecord) walk(c *codec, _ int16) {
	c.int8(&r.ZkMigrationState)
	c.tags()
}

// RemoveUserScramCredentialRecord takes a user's password for one mechanism away.
type RemoveUserScramCredentialRecord struct {
	Name      string
	Mechanism int8
}

func (*RemoveUserScramCredentialRecord) Type() Type { return TypeRemoveUserScramCredential }

func (r *RemoveUserScramCredentialRecord) walk(c *codec, _ int16) {
	c.string(&r.Name)
	c.int8(&r.Mechanism)
	c.tags()
}

// BeginTransactionRecord opens a run of records that take effect together, at its EndTransactionRecord.
type BeginTransactionRecord struct{ Name *string }

func (*BeginTransactionRecord) Type() Type { return TypeBeginTransaction }

func (r *BeginTransactionRecord) walk(c *codec, _ int16) {
	c.tags(tag{0, r.Name != nil, func(c *codec) { c.nullableString(&r.Name) }})
}

// EndTransactionRecord makes the records since BeginTransactionRecord count.
type EndTransactionRecord struct{}

func (*EndTransactionRecord) Type() Type             { return TypeEndTransaction }
func (*EndTransactionRecord) walk(c *codec, _ int16) { c.tags() }

// AbortTransactionRecord drops the records since BeginTransactionRecord.
type AbortTransactionRecord struct{ Reason *string }

func (*AbortTransactionRecord) Type() Type { return TypeAbortTransaction }

func (r *AbortTransactionRecord) walk(c *codec, _ int16) {
	c.tags(tag{0, r.Reason != nil, func(c *codec) { c.nullableString(&r.Reason) }})
}

// RemoveDelegationTokenRecord takes a token away.
type RemoveDelegationTokenRecord struct{ TokenID string }

func (*RemoveDelegationTokenRecord) Type() Type { return TypeRemoveDelegationToken }

func (r *RemoveDelegationTokenRecord) walk(c *codec, _ int16) {
	c.string(&r.TokenID)
	c.tags()
}

// RegisterControllerRecord is a controller's start.
type RegisterControllerRecord struct {
	ControllerID     int32
	IncarnationID    UUID
	ZkMigrationReady bool
	EndPoints        []Endpoint
	Features         []FeatureRange
}

func (*RegisterControllerRecord) Type() Type { return TypeRegisterController }

func (r *RegisterControllerRecord) walk(c *codec, _ int16) {
	c.int32(&r.ControllerID)
	c.uuid(&r.IncarnationID)
	c.bool(&r.ZkMigrationReady)
	array(c, &r.EndPoints, func(c *codec, e *Endpoint) { e.walk(c) })
	array(c, &r.Features, func(c *codec, f *FeatureRange) { f.walk(c) })
	c.tags()
}

// ClearELRRecord empties the eligible and last known leaders of one topic, or of all when the name is empty.
type ClearELRRecord struct{ TopicName string }

func (*ClearELRRecord) Type() Type { return TypeClearELR }

func (r *ClearELRRecord) walk(c *codec, _ int16) {
	c.string(&r.TopicName)
	c.tags()
}
