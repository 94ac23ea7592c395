package config

// The quotas of addresses, in the order of their names; never written.
var ipQuotaKeys = [...]Key{
	{
		Name: "connection_creation_rate", Type: Int, Default: "2147483647", Check: atLeast{0}, Importance: Medium, NoEffect: noQuotas,
		Doc: "Most new connections in a second from the address.",
	},
}
