package meta

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Type is the number of a record's kind on disk.
type Type int16

// The kinds of Kafka's metadata records. 6, 13 and 16 were never released.
const (
	TypeRegisterBroker            Type = 0
	TypeUnregisterBroker          Type = 1
	TypeTopic                     Type = 2
	TypePartition                 Type = 3
	TypeConfig                    Type = 4
	TypePartitionChange           Type = 5
	TypeFenceBroker               Type = 7
	TypeUnfenceBroker             Type = 8
	TypeRemoveTopic               Type = 9
	TypeDelegationToken           Type = 10
	TypeUserScramCredential       Type = 11
	TypeFeatureLevel              Type = 12
	TypeClientQuota               Type = 14
	TypeProducerIDs               Type = 15
	TypeBrokerRegistrationChange  Type = 17
	TypeAccessControlEntry        Type = 18
	TypeRemoveAccessControlEntry  Type = 19
	TypeNoOp                      Type = 20
	TypeZkMigrationState          Type = 21
	TypeRemoveUserScramCredential Type = 22
	TypeBeginTransaction          Type = 23
	TypeEndTransaction            Type = 24
	TypeAbortTransaction          Type = 25
	TypeRemoveDelegationToken     Type = 26
	TypeRegisterController        Type = 27
	TypeClearELR                  Type = 28
)

// frameVersion is the first varint of every metadata record.
const frameVersion = 1

// kind is what the codec must know of a type besides its fields.
type kind struct {
	name       string
	maxVersion int16
	make       func() Record
}

// kindOf is the table of all types; a switch, so that nothing can change it.
func kindOf(t Type) (kind, bool) {
	switch t {
	case TypeRegisterBroker:
		return kind{"REGISTER_BROKER_RECORD", 4, func() Record { return &RegisterBrokerRecord{} }}, true
	case TypeUnregisterBroker:
		return kind{"UNREGISTER_BROKER_RECORD", 0, func() Record { return &UnregisterBrokerRecord{} }}, true
	case TypeTopic:
		return kind{"TOPIC_RECORD", 0, func() Record { return &TopicRecord{} }}, true
	case TypePartition:
		return kind{"PARTITION_RECORD", 2, func() Record { return &PartitionRecord{} }}, true
	case TypeConfig:
		return kind{"CONFIG_RECORD", 0, func() Record { return &ConfigRecord{} }}, true
	case TypePartitionChange:
		return kind{"PARTITION_CHANGE_RECORD", 2, func() Record { return NewPartitionChange(UUID{}, 0) }}, true
	case TypeFenceBroker:
		return kind{"FENCE_BROKER_RECORD", 0, func() Record { return &FenceBrokerRecord{} }}, true
	case TypeUnfenceBroker:
		return kind{"UNFENCE_BROKER_RECORD", 0, func() Record { return &UnfenceBrokerRecord{} }}, true
	case TypeRemoveTopic:
		return kind{"REMOVE_TOPIC_RECORD", 0, func() Record { return &RemoveTopicRecord{} }}, true
	case TypeDelegationToken:
		return kind{"DELEGATION_TOKEN_RECORD", 0, func() Record { return &DelegationTokenRecord{} }}, true
	case TypeUserScramCredential:
		return kind{"USER_SCRAM_CREDENTIAL_RECORD", 0, func() Record { return &UserScramCredentialRecord{} }}, true
	case TypeFeatureLevel:
		return kind{"FEATURE_LEVEL_RECORD", 0, func() Record { return &FeatureLevelRecord{} }}, true
	case TypeClientQuota:
		return kind{"CLIENT_QUOTA_RECORD", 0, func() Record { return &ClientQuotaRecord{} }}, true
	case TypeProducerIDs:
		return kind{"PRODUCER_IDS_RECORD", 0, func() Record { return &ProducerIDsRecord{} }}, true
	case TypeBrokerRegistrationChange:
		return kind{"BROKER_REGISTRATION_CHANGE_RECORD", 3, func() Record { return &BrokerRegistrationChangeRecord{} }}, true
	case TypeAccessControlEntry:
		return kind{"ACCESS_CONTROL_ENTRY_RECORD", 0, func() Record { return &AccessControlEntryRecord{} }}, true
	case TypeRemoveAccessControlEntry:
		return kind{"REMOVE_ACCESS_CONTROL_ENTRY_RECORD", 0, func() Record { return &RemoveAccessControlEntryRecord{} }}, true
	case TypeNoOp:
		return kind{"NO_OP_RECORD", 0, func() Record { return &NoOpRecord{} }}, true
	case TypeZkMigrationState:
		return kind{"ZK_MIGRATION_STATE_RECORD", 0, func() Record { return &ZkMigrationStateRecord{} }}, true
	case TypeRemoveUserScramCredential:
		return kind{"REMOVE_USER_SCRAM_CREDENTIAL_RECORD", 0, func() Record { return &RemoveUserScramCredentialRecord{} }}, true
	case TypeBeginTransaction:
		return kind{"BEGIN_TRANSACTION_RECORD", 0, func() Record { return &BeginTransactionRecord{} }}, true
	case TypeEndTransaction:
		return kind{"END_TRANSACTION_RECORD", 0, func() Record { return &EndTransactionRecord{} }}, true
	case TypeAbortTransaction:
		return kind{"ABORT_TRANSACTION_RECORD", 0, func() Record { return &AbortTransactionRecord{} }}, true
	case TypeRemoveDelegationToken:
		return kind{"REMOVE_DELEGATION_TOKEN_RECORD", 0, func() Record { return &RemoveDelegationTokenRecord{} }}, true
	case TypeRegisterController:
		return kind{"REGISTER_CONTROLLER_RECORD", 0, func() Record { return &RegisterControllerRecord{} }}, true
	case TypeClearELR:
		return kind{"CLEAR_ELR_RECORD", 0, func() Record { return &ClearELRRecord{} }}, true
	}
	return kind{}, false
}

// String is the name that Kafka's tools show.
func (t Type) String() string {
	if k, ok := kindOf(t); ok {
		return k.name
	}
	return fmt.Sprintf("UNKNOWN_RECORD_%d", int16(t))
}

// MaxVersion is the newest version of a type that this package knows; the oldest is always 0.
func (t Type) MaxVersion() int16 {
	k, _ := kindOf(t)
	return k.maxVersion
}

// VersionAt is the version in which a record of type t is written while metadata.version is at level:
// the newest that every node of that level can read.
func (t Type) VersionAt(level int16) int16 {
	step := func(levels ...int16) int16 { // levels[i] is the level that brought version i+1
		v := int16(0)
		for _, l := range levels {
			if level >= l {
				v++
			}
		}
		return v
	}
	switch t {
	case TypeRegisterBroker:
		return step(levelControlledShutdown, levelMigration, levelDirectories, levelCordonedDirs)
	case TypeBrokerRegistrationChange:
		return step(levelControlledShutdown, levelDirectories, levelCordonedDirs)
	case TypePartition, TypePartitionChange:
		return step(levelDirectories, levelELR)
	}
	return 0
}

// Append writes r to dst as it stands in a metadata log of the newest metadata.version.
func Append(dst []byte, r Record) []byte { return AppendAt(dst, r, LatestMetadataVersion) }

// AppendAt writes r as it stands while metadata.version is at level. Fields that are younger
// than the level are not written; at such a level the controller does not set them.
func AppendAt(dst []byte, r Record, level int16) []byte {
	version := r.Type().VersionAt(level)
	if c, ok := r.(*BrokerRegistrationChangeRecord); ok {
		version = min(version, c.needs()) // Kafka writes this one no newer than what it says
	}
	return appendVersion(dst, r, version)
}

func appendVersion(dst []byte, r Record, version int16) []byte {
	dst = binary.AppendUvarint(dst, frameVersion)
	dst = binary.AppendUvarint(dst, uint64(r.Type()))
	dst = binary.AppendUvarint(dst, uint64(version))
	c := codec{writing: true, b: dst}
	r.walk(&c, version)
	return c.b
}

// Parse reads one record. A record of a type or version that is not known is an error: the log was
// written by a newer Kafka, and passing over it would make another image than its other readers have.
func Parse(b []byte) (Record, error) {
	r, _, err := ParseVersioned(b)
	return r, err
}

// ParseVersioned is Parse, and tells the version that the record was written in.
func ParseVersioned(b []byte) (Record, int16, error) {
	frame, b, err := header(b)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read a metadata record: frame version: %w", err)
	}
	if frame != frameVersion {
		return nil, 0, fmt.Errorf("cannot read a metadata record: frame version %d is not known, only %d is", frame, frameVersion)
	}
	number, b, err := header(b)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read a metadata record: type: %w", err)
	}
	k, ok := kindOf(Type(number))
	if !ok {
		return nil, 0, fmt.Errorf("cannot read a metadata record: type %d is not known", number)
	}
	version, b, err := header(b)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read a %s: version: %w", k.name, err)
	}
	if version > uint64(k.maxVersion) {
		return nil, 0, fmt.Errorf("cannot read a %s: version %d is newer than the known %d", k.name, version, k.maxVersion)
	}
	r := k.make()
	c := codec{b: b}
	r.walk(&c, int16(version))
	if c.err == nil && len(c.b) > 0 {
		c.fail(fmt.Errorf("%d bytes follow its end", len(c.b)))
	}
	if c.err != nil {
		return nil, 0, fmt.Errorf("cannot read a %s of version %d: %w", k.name, version, c.err)
	}
	return r, int16(version), nil
}

func header(b []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 || v > 1<<15-1 {
		return 0, nil, errors.New("no varint of 15 bits")
	}
	return v, b[n:], nil
}
