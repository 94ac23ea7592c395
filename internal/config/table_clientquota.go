package config

// The quotas of users and clients, in the order of their names; never written.
var clientQuotaKeys = [...]Key{
	{
		Name: "consumer_byte_rate", Type: Long, Default: "9223372036854775807", Importance: Medium, NoEffect: noQuotas,
		Doc: "Most bytes in a second that the client may fetch from one broker.",
	},
	{
		Name: "controller_mutation_rate", Type: Double, Default: "2.147483647E9", Importance: Medium, NoEffect: noQuotas,
		Doc: "Most partitions in a second that the client may create or delete.",
	},
	{
		Name: "producer_byte_rate", Type: Long, Default: "9223372036854775807", Importance: Medium, NoEffect: noQuotas,
		Doc: "Most bytes in a second that the client may produce to one broker.",
	},
	{
		Name: "request_percentage", Type: Double, Default: "2.147483647E9", Importance: Medium, NoEffect: noQuotas,
		Doc: "Share of one processor's time that the client's requests may take on one broker.",
	},
}
