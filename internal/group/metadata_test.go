package group

// fakeMetadata is topics of fakeTopics by how many partitions they have.
type fakeMetadata map[string]int32

func (m fakeMetadata) Version() int64 {
	v := int64(1)
	for name, n := range m {
		v = v*31 + int64(n)*7 + int64(name[1])
	}
	return v
}

func (m fakeMetadata) Topic(name string) (TopicInfo, bool) {
	n, ok := m[name]
	id, known := fakeTopics{}.TopicID(name)
	return TopicInfo{Name: name, ID: id, Partitions: n}, ok && known
}

func (m fakeMetadata) TopicByID(id [16]byte) (TopicInfo, bool) {
	name, _ := fakeTopics{}.TopicName(id)
	return m.Topic(name)
}

func (m fakeMetadata) TopicHash(name string) uint64 { return uint64(m[name]) }

func (m fakeMetadata) EachTopic(fn func(string)) {
	for name := range m {
		fn(name)
	}
}
