package client

// irregularTexts are Kafka's sentences for error codes where the client library has others.
func irregularTexts() map[int16]string {
	return map[int16]string{
		6:   "For requests intended only for the leader, this error indicates that the broker is not the current leader. For requests intended for any replica, this error indicates that the broker is not a replica of the topic partition.",
		9:   "The replica is not available for the requested topic-partition. Produce/Fetch requests and other requests intended only for the leader or follower return NOT_LEADER_OR_FOLLOWER if the broker is not a replica of the topic-partition.",
		10:  "The request included a message larger than the max message size the server will accept.",
		24:  "The group id is invalid.",
		29:  "Topic authorization failed.",
		30:  "Group authorization failed.",
		47:  "Producer attempted to produce with an old epoch.",
		53:  "Transactional Id authorization failed.",
		59:  "This exception is raised by the broker if it could not locate the producer metadata associated with the producerId in question. This could happen if, for instance, the producer's records were deleted because their retention time had elapsed. Once the last records of the producerId are removed, the producer's metadata is removed from the broker, and future appends by the producer will return this exception.",
		74:  "The leader epoch in the request is older than the epoch on the broker.",
		75:  "The leader epoch in the request is newer than the epoch on the broker.",
		77:  "Broker epoch has changed.",
		78:  "The leader high watermark has not caught up from a recent leader election so the offsets cannot be guaranteed to be monotonically increasing.",
		79:  "The group member needs to have a valid member id before actually entering a consumer group.",
		80:  "The preferred leader was not available.",
		81:  "The group has reached its maximum size.",
		83:  "Eligible topic partition leaders are not available.",
		84:  "Leader election not needed for topic partition.",
		87:  "This record has failed the validation on broker and hence will be rejected.",
		94:  "Indicates that the either the sender or recipient of a voter-only request is not one of the expected voters.",
		116: "This controller ID is not known.",
		124: "The share coordinator rejected the request because the share-group state epoch did not match.",
	}
}
