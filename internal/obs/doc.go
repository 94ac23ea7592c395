// Package obs is what a node shows of itself: its log, its metrics and its state.
//
// Every package may log through the slog.Logger that New makes, and may count
// through a Registry: single counters, gauges and histograms come from its
// constructors; whatever there is one of for each topic or partition is written at
// the moment of the scrape by a Collector. The metric names are those that Kafka's
// dashboards query (names.go). Only this package imports the metrics library.
//
// Counters are atomic and belong to whoever counts; the Registry owns the list of
// them. Nothing is kept across a restart. If it is wrong an operator is misled, but
// no record is lost: so a scrape must never hold up those who count.
package obs
