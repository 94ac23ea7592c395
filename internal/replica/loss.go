package replica

import (
	"fmt"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/storage"
)

// meetLoss decides how a partition goes on that this broker is to lead and whose log has lost records here. Where no other
// replica can have them, the log goes on behind them. Where another may, this broker does not lead: followers cut their logs to
// their leader's, or begin anew where its begins, and the records would be lost for good. lead must be held alone.
func (p *Partition) meetLoss(want *meta.Partition) error {
	upTo := p.log.LostUpTo()
	if upTo == 0 {
		return nil
	}
	alone := len(want.Replicas) == 1
	// The others lag behind what was committed, and do not cut what is left here; without anything left they would.
	last := len(want.ISR) == 1 && p.log.LogEndOffset() > p.log.LogStartOffset()
	if alone || last {
		if err := p.m.logs.PassLoss(p.log); err != nil {
			return fmt.Errorf("records up to offset %d are lost, and the log cannot go on behind them: %w", upTo, err)
		}
		return nil
	}
	return fmt.Errorf("%w: records up to offset %d are lost here, and other replicas may have them: this broker does not lead the partition. Have another one lead it (kafka-leader-election, kafka-reassign-partitions, or stop this broker); its records are copied from there",
		ErrOffline, upTo)
}

// LogDiffers looks again at a partition whose log was found to end elsewhere than was known when it took its role.
func (m *Manager) LogDiffers(tp storage.TopicPartition) {
	if p, err := m.Partition(tp); err == nil {
		m.recovered(p)
		p.holdWhatIsThere() // what is there beyond what was known is not known to be synced
	}
}
