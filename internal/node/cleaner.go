package node

import (
	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/obs"
	"github.com/moldau-stream/moldau/internal/storage"
)

// cleanerConfig is what the settings say of the log cleaner.
func cleanerConfig(s *config.Config) storage.CleanerConfig {
	return storage.CleanerConfig{
		Enable:              s.Bool(config.LogCleanerEnable),
		Threads:             s.Int(config.LogCleanerThreads),
		DedupeBufferBytes:   s.Long(config.LogCleanerDedupeBufferSize),
		IOBufferBytes:       s.Int(config.LogCleanerIOBufferSize),
		IOBufferLoadFactor:  s.Double(config.LogCleanerIOBufferLoadFactor),
		IOMaxBytesPerSecond: s.Double(config.LogCleanerIOMaxBytesPerSecond),
		BackoffMs:           s.Long(config.LogCleanerBackoffMs),
	}
}

// writeCleaner writes how the log cleaner fares.
func (n *Node) writeCleaner(w *obs.Writer) {
	m := n.logs.CleanerMetrics()
	for _, g := range []struct {
		name, help string
		value      float64
	}{
		{obs.CleanerMaxCleanTimeSecs, "Seconds that the longest of the last cleanings took.", m.MaxCleanTimeSecs},
		{obs.CleanerRecopyPercent, "Part of the bytes read by the last cleanings that was written again.", m.RecopyPercent},
		{obs.CleanerMaxBufferUtilizationPercent, "How full the key map of a cleaning was.", m.MaxBufferUtilizationPercent},
		{obs.CleanerMaxCompactionDelaySecs, "By how much max.compaction.lag.ms is exceeded.", m.MaxCompactionDelaySecs},
		{obs.CleanerDeadThreadCount, "Cleaner threads that have ended by an error: none can, their errors mark partitions.", 0},
		{obs.CleanerMaxDirtyPercent, "Part of the dirtiest log that is not cleaned.", m.MaxDirtyPercent},
		{obs.CleanerTimeSinceLastRunMs, "Time since the cleaner looked for work.", float64(m.TimeSinceLastRunMs)},
	} {
		w.Family(g.name, g.help, obs.KindGauge).Float(g.value)
	}
	partitions := w.Family(obs.UncleanablePartitionsCount, "Partitions that the cleaner has given up on until the next start.", obs.KindGauge)
	bytes := w.Family(obs.UncleanableBytes, "Bytes of those that wait to be cleaned.", obs.KindGauge)
	for dir, u := range m.Uncleanable {
		partitions.Int(int64(u.Partitions), "logDirectory", dir)
		bytes.Int(u.Bytes, "logDirectory", dir)
	}
}
