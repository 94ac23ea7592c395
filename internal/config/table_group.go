package config

// The group keys, in the order of their names; never written.
var groupKeys = [...]Key{
	{
		Name: "consumer.assignment.interval.ms", Type: Int, Default: "1000", Check: atLeast{0}, Importance: Medium, Synonyms: []string{"group.consumer.assignment.interval.ms"},
		Doc: "Shortest time between two assignments of the group.",
	},
	{
		Name: "consumer.heartbeat.interval.ms", Type: Int, Default: "5000", Check: atLeast{1}, Importance: Medium, Synonyms: []string{"group.consumer.heartbeat.interval.ms"},
		Doc: "Time between two heartbeats of a member.",
	},
	{
		Name: "consumer.session.timeout.ms", Type: Int, Default: "45000", Check: atLeast{1}, Importance: Medium, Synonyms: []string{"group.consumer.session.timeout.ms"},
		Doc: "Silence after which a member is put out of the group.",
	},
	{
		Name: "share.assignment.interval.ms", Type: Int, Default: "1000", Check: atLeast{0}, Importance: Medium, Synonyms: []string{"group.share.assignment.interval.ms"}, NoEffect: noShareGroups,
		Doc: "Shortest time between two assignments of the group.",
	},
	{
		Name: "share.auto.offset.reset", Type: String, Default: "latest", Check: offsetReset{}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Where the group begins on a new partition: latest, earliest, or by_duration: and an ISO duration.",
	},
	{
		Name: "share.delivery.count.limit", Type: Int, Default: "5", Check: atLeast{2}, Importance: Medium, Synonyms: []string{"group.share.delivery.count.limit"}, NoEffect: noShareGroups,
		Doc: "How often a record is delivered before it is given up.",
	},
	{
		Name: "share.heartbeat.interval.ms", Type: Int, Default: "5000", Check: atLeast{1}, Importance: Medium, Synonyms: []string{"group.share.heartbeat.interval.ms"}, NoEffect: noShareGroups,
		Doc: "Time between two heartbeats of a member.",
	},
	{
		Name: "share.isolation.level", Type: String, Default: "read_uncommitted", Check: oneOf{"read_committed", "read_uncommitted"}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Whether the group sees records of transactions that are not committed.",
	},
	{
		Name: "share.partition.max.record.locks", Type: Int, Default: "2000", Check: atLeast{100}, Importance: Medium, Synonyms: []string{"group.share.partition.max.record.locks"}, NoEffect: noShareGroups,
		Doc: "Most records of one partition that may be out for delivery.",
	},
	{
		Name: "share.record.lock.duration.ms", Type: Int, Default: "30000", Check: atLeast{1000}, Importance: Medium, Synonyms: []string{"group.share.record.lock.duration.ms"}, NoEffect: noShareGroups,
		Doc: "Time that a member has a record for itself.",
	},
	{
		Name: "share.renew.acknowledge.enable", Type: Boolean, Default: "true", Importance: Medium, NoEffect: noShareGroups,
		Doc: "Let a member ask for more time with a record.",
	},
	{
		Name: "share.session.timeout.ms", Type: Int, Default: "45000", Check: atLeast{1}, Importance: Medium, Synonyms: []string{"group.share.session.timeout.ms"}, NoEffect: noShareGroups,
		Doc: "Silence after which a member is put out of the group.",
	},
	{
		Name: "streams.assignment.interval.ms", Type: Int, Default: "1000", Check: atLeast{0}, Importance: Medium, Synonyms: []string{"group.streams.assignment.interval.ms"}, NoEffect: noStreamsGroups,
		Doc: "Shortest time between two assignments of the group.",
	},
	{
		Name: "streams.heartbeat.interval.ms", Type: Int, Default: "5000", Check: atLeast{1}, Importance: Medium, Synonyms: []string{"group.streams.heartbeat.interval.ms"}, NoEffect: noStreamsGroups,
		Doc: "Time between two heartbeats of a member.",
	},
	{
		Name: "streams.initial.rebalance.delay.ms", Type: Int, Default: "3000", Check: atLeast{0}, Importance: Medium, Synonyms: []string{"group.streams.initial.rebalance.delay.ms"}, NoEffect: noStreamsGroups,
		Doc: "How long the new group waits for more members before its first assignment.",
	},
	{
		Name: "streams.num.standby.replicas", Type: Int, Default: "0", Check: atLeast{0}, Importance: Medium, Synonyms: []string{"group.streams.num.standby.replicas"}, NoEffect: noStreamsGroups,
		Doc: "Standby copies of each stateful task.",
	},
	{
		Name: "streams.session.timeout.ms", Type: Int, Default: "45000", Check: atLeast{1}, Importance: Medium, Synonyms: []string{"group.streams.session.timeout.ms"}, NoEffect: noStreamsGroups,
		Doc: "Silence after which a member is put out of the group.",
	},
}
