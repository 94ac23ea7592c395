package meta

import (
	"bytes"
	"iter"

	"github.com/tidwall/btree"
)

// UnassignedDir is the directory of a replica that its broker has not placed yet.
func UnassignedDir() UUID { return UUID{15: 1} }

// LostDir is the directory of a replica on a directory that has failed.
func LostDir() UUID { return UUID{15: 2} }

// Types of the resources that have configs; the numbers are the protocol's.
const (
	ResourceTopic         int8 = 2
	ResourceBroker        int8 = 4
	ResourceClientMetrics int8 = 16
	ResourceGroup         int8 = 32
)

// ConfigResource names what a set of configs belongs to. The default of all brokers has an empty name.
type ConfigResource struct {
	Type int8
	Name string
}

// Topic is a topic as an image holds it. Nothing reachable from it changes.
type Topic struct {
	Name       string
	ID         UUID
	Partitions []*Partition // index = partition id
}

// Values of Partition.RecoveryState.
const (
	RecoveryStateRecovered  int8 = 0
	RecoveryStateRecovering int8 = 1 // led by a replica that may have lost records
)

// Partition is the state of one partition. Nothing in it changes.
type Partition struct {
	Replicas       []int32
	ISR            []int32
	ELR            []int32 // eligible to lead although not in sync: they hold all committed records
	LastKnownELR   []int32
	Adding         []int32
	Removing       []int32
	Leader         int32 // NoLeader when none
	LeaderEpoch    int32 // rises with every election
	PartitionEpoch int32 // rises with every change
	Directories    []UUID
	RecoveryState  int8
}

// Directory is the log directory of replica broker, or UnassignedDir.
func (p *Partition) Directory(broker int32) UUID {
	for i, r := range p.Replicas {
		if r == broker && i < len(p.Directories) {
			return p.Directories[i]
		}
	}
	return UnassignedDir()
}

// Broker is a registered broker.
type Broker struct {
	ID                   int32
	Epoch                int64 // offset of the record that registered it
	IncarnationID        UUID
	Listeners            []Endpoint
	Features             []FeatureRange
	Rack                 *string
	Fenced               bool
	InControlledShutdown bool
	LogDirs              []UUID
	CordonedLogDirs      []UUID
	IsMigratingZkBroker  bool
}

// Active says that the broker may lead: neither fenced nor shutting down.
func (b *Broker) Active() bool { return !b.Fenced && !b.InControlledShutdown }

// Listener finds an endpoint by its name.
func (b *Broker) Listener(name string) (Endpoint, bool) {
	for _, l := range b.Listeners {
		if l.Name == name {
			return l, true
		}
	}
	return Endpoint{}, false
}

// Controller is a registered controller.
type Controller struct {
	ID               int32
	IncarnationID    UUID
	ZkMigrationReady bool
	Listeners        []Endpoint
	Features         []FeatureRange
}

// Quota is all quotas of one entity.
type Quota struct {
	Entity []QuotaEntity // sorted by type
	Values map[string]float64
}

// ScramCredential is a user's salted password for one mechanism.
type ScramCredential struct {
	User       string
	Mechanism  int8
	Salt       []byte
	StoredKey  []byte
	ServerKey  []byte
	Iterations int32
}

type configEntry struct {
	res    ConfigResource
	values map[string]string
}

// Image is the metadata at one offset of the log.
type Image struct {
	offset      int64 // of the last record in it, -1 when there is none
	epoch       int32
	timestampMs int64

	features       map[string]int16
	brokers        *btree.Map[int32, *Broker]
	controllers    *btree.Map[int32, *Controller]
	topics         *btree.Map[string, *Topic]
	topicIDs       *btree.BTreeG[topicByID]
	partitions     int // in all topics
	configs        *btree.BTreeG[configEntry]
	quotas         *btree.Map[string, *Quota]
	nextProducerID int64
	scram          *btree.Map[string, *ScramCredential]
	acls           *btree.BTreeG[*AccessControlEntryRecord]
	tokens         *btree.Map[string, *DelegationTokenRecord]
}

// NewImage is the image of an empty log.
func NewImage() *Image {
	opts := btree.Options{NoLocks: true} // images do not change, and one goroutine makes the next
	return &Image{
		offset:      -1,
		epoch:       -1,
		timestampMs: -1,
		features:    map[string]int16{},
		brokers:     new(btree.Map[int32, *Broker]),
		controllers: new(btree.Map[int32, *Controller]),
		topics:      new(btree.Map[string, *Topic]),
		topicIDs: btree.NewBTreeGOptions(func(a, b topicByID) bool {
			return bytes.Compare(a.id[:], b.id[:]) < 0
		}, opts),
		configs: btree.NewBTreeGOptions(func(a, b configEntry) bool {
			if a.res.Type != b.res.Type {
				return a.res.Type < b.res.Type
			}
			return a.res.Name < b.res.Name
		}, opts),
		quotas: new(btree.Map[string, *Quota]),
		scram:  new(btree.Map[string, *ScramCredential]),
		acls: btree.NewBTreeGOptions(func(a, b *AccessControlEntryRecord) bool {
			return bytes.Compare(a.ID[:], b.ID[:]) < 0
		}, opts),
		tokens: new(btree.Map[string, *DelegationTokenRecord]),
	}
}

// Offset is the offset of the last record in the image, -1 for the empty image.
func (img *Image) Offset() int64 { return img.offset }

// Epoch is the leader epoch of that record.
func (img *Image) Epoch() int32 { return img.epoch }

// TimestampMs is the time of that record.
func (img *Image) TimestampMs() int64 { return img.timestampMs }

// Topic finds a topic by name, nil when there is none.
func (img *Image) Topic(name string) *Topic {
	t, _ := img.topics.Get(name)
	return t
}

// TopicByID finds a topic by id, nil when there is none.
func (img *Image) TopicByID(id UUID) *Topic {
	t, _ := img.topicIDs.Get(topicByID{id: id})
	return t.topic
}

// topicByID is an entry of the tree of ids: a value, so that a look-up, which each request makes, allocates nothing.
type topicByID struct {
	id    UUID
	topic *Topic
}

// Partition finds a partition, nil when the topic or the partition does not exist.
func (img *Image) Partition(topic string, partition int32) *Partition {
	return img.Topic(topic).Partition(partition)
}

// Partition is nil where there is none, as it is where there is no topic.
func (t *Topic) Partition(partition int32) *Partition {
	if t == nil || partition < 0 || int(partition) >= len(t.Partitions) {
		return nil
	}
	return t.Partitions[partition]
}

// Topics visits the topics by name until fn returns false.
func (img *Image) Topics(fn func(*Topic) bool) {
	img.topics.Scan(func(_ string, t *Topic) bool { return fn(t) })
}

// TopicsFrom visits the topics whose name is at or after name, in order.
func (img *Image) TopicsFrom(name string, fn func(*Topic) bool) {
	img.topics.Ascend(name, func(_ string, t *Topic) bool { return fn(t) })
}

// NumTopics is the number of topics.
func (img *Image) NumTopics() int { return img.topics.Len() }

// NumPartitions is the number of partitions of all topics.
func (img *Image) NumPartitions() int { return img.partitions }

// Broker finds a registered broker, nil when there is none.
func (img *Image) Broker(id int32) *Broker {
	b, _ := img.brokers.Get(id)
	return b
}

// Brokers lists the registered brokers by id, fenced ones too.
func (img *Image) Brokers() []*Broker { return img.brokers.Values() }

// Controller finds a registered controller, nil when there is none.
func (img *Image) Controller(id int32) *Controller {
	c, _ := img.controllers.Get(id)
	return c
}

// Controllers lists the registered controllers by id.
func (img *Image) Controllers() []*Controller { return img.controllers.Values() }

// Config is the set of configs of a resource; nil when there are none. The map belongs to the image: read it only.
func (img *Image) Config(resourceType int8, name string) map[string]string {
	e, _ := img.configs.Get(configEntry{res: ConfigResource{resourceType, name}})
	return e.values
}

// Configs visits the resources that have configs, by type and name.
func (img *Image) Configs() iter.Seq2[ConfigResource, map[string]string] {
	return func(yield func(ConfigResource, map[string]string) bool) {
		img.configs.Scan(func(e configEntry) bool { return yield(e.res, e.values) })
	}
}

// FeatureLevel is the finalized level of a feature, 0 when it is not finalized.
func (img *Image) FeatureLevel(name string) int16 { return img.features[name] }

// Features is the finalized level of each feature. The map belongs to the image: read it only.
func (img *Image) Features() map[string]int16 { return img.features }

// MetadataVersion is the finalized level of metadata.version; before there is one, the lowest that may be.
func (img *Image) MetadataVersion() int16 {
	if l := img.features[FeatureMetadataVersion]; l > 0 {
		return l
	}
	return MinMetadataVersion
}

// ELREnabled says that eligible leader replicas are kept.
func (img *Image) ELREnabled() bool { return img.features[FeatureELR] >= 1 }

// Quotas lists the quotas, by entity.
func (img *Image) Quotas() []*Quota { return img.quotas.Values() }

// Quota is the quotas of one entity, nil when it has none.
func (img *Image) Quota(entity []QuotaEntity) *Quota {
	q, _ := img.quotas.Get(quotaKey(entity))
	return q
}

// NextProducerID is the first producer id that was not given away yet.
func (img *Image) NextProducerID() int64 { return img.nextProducerID }

// ScramCredential is a user's credential for a mechanism, nil when there is none.
func (img *Image) ScramCredential(mechanism int8, user string) *ScramCredential {
	s, _ := img.scram.Get(scramKey(mechanism, user))
	return s
}

// ScramCredentials lists all credentials, by mechanism and user.
func (img *Image) ScramCredentials() []*ScramCredential { return img.scram.Values() }

// ACLs lists the rules of the authorizer, by id.
func (img *Image) ACLs() []*AccessControlEntryRecord { return img.acls.Items() }

// ACL finds a rule by its id, nil when there is none.
func (img *Image) ACL(id UUID) *AccessControlEntryRecord {
	a, _ := img.acls.Get(&AccessControlEntryRecord{ID: id})
	return a
}

// DelegationTokens lists the tokens, by id.
func (img *Image) DelegationTokens() []*DelegationTokenRecord { return img.tokens.Values() }

func scramKey(mechanism int8, user string) string { return string([]byte{byte(mechanism)}) + user }
