package config

// The keys of a client metrics subscription, in the order of their names; never written.
var clientMetricsKeys = [...]Key{
	{
		Name: "interval.ms", Type: Int, Default: "300000", Importance: Medium, NoEffect: noTelemetry,
		Doc: "Time between two pushes of metrics by a client.",
	},
	{
		Name: "match", Type: List, Default: "", Importance: Medium, NoEffect: noTelemetry,
		Doc: "Which clients the subscription is for, as name=pattern pairs; empty is all.",
	},
	{
		Name: "metrics", Type: List, Default: "", Importance: Medium, NoEffect: noTelemetry,
		Doc: "Prefixes of the metrics to push; * is all.",
	},
}
