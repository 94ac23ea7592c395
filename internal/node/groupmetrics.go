package node

import (
	"github.com/moldau-stream/moldau/internal/group"
	"github.com/moldau-stream/moldau/internal/obs"
)

// writeGroupEvents writes what has happened to groups, and in which state the partitions are that hold them.
func writeGroupEvents(w *obs.Writer, m group.Metrics) {
	for _, c := range []struct {
		name, help string
		value      int64
	}{
		{obs.OffsetCommits, "Offsets that were committed.", m.OffsetCommits},
		{obs.OffsetExpirations, "Committed offsets that nobody used for offsets.retention.minutes.", m.OffsetExpirations},
		{obs.OffsetDeletions, "Committed offsets that were deleted by request.", m.OffsetDeletions},
		{obs.CompletedRebalances, "Generations that classic groups have completed.", m.CompletedRebalances},
	} {
		w.Family(c.name, c.help, obs.KindCounter).Int(c.value)
	}
	parts := w.Family(obs.GroupPartitionCount, "Partitions of __consumer_offsets that this broker leads, by how far their groups are loaded.", obs.KindGauge)
	parts.Int(int64(m.Partitions.Loading), "state", "loading")
	parts.Int(int64(m.Partitions.Active), "state", "active")
	parts.Int(int64(m.Partitions.Failed), "state", "failed")
	w.Family(obs.GroupLoadTimeAvg, "Average time in ms of the loads of group partitions in the last 30 s.", obs.KindGauge).Float(m.LoadAvgMs)
	w.Family(obs.GroupLoadTimeMax, "Longest time in ms of the loads of group partitions in the last 30 s.", obs.KindGauge).Float(m.LoadMaxMs)
}
