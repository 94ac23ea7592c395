package group

// TopicInfo is what the coordinator must know of a topic to assign it.
type TopicInfo struct {
	Name       string
	ID         [16]byte
	Partitions int32
}

// Metadata is the cluster's topics at one moment.
type Metadata interface {
	// Version tells two moments apart between which something has changed. It is not 0.
	Version() int64
	Topic(name string) (TopicInfo, bool)
	TopicByID(id [16]byte) (TopicInfo, bool)
	// TopicHash changes with whatever should make groups assign a topic anew: its id, partitions and their racks.
	TopicHash(name string) uint64
	// EachTopic gives the names of all topics.
	EachTopic(fn func(name string))
}

// noMetadata is a cluster without topics.
type noMetadata struct{}

func (noMetadata) Version() int64                       { return 1 }
func (noMetadata) Topic(string) (TopicInfo, bool)       { return TopicInfo{}, false }
func (noMetadata) TopicByID([16]byte) (TopicInfo, bool) { return TopicInfo{}, false }
func (noMetadata) TopicHash(string) uint64              { return 0 }
func (noMetadata) EachTopic(func(string))               {}
