package replica

import "github.com/moldau-stream/moldau/internal/storage"

// StartVerification says whether records of a transaction may be appended to a partition that this
// broker leads at once, or only when the transaction's coordinator has consented; see storage.Log.
func (m *Manager) StartVerification(tp storage.TopicPartition, producerID int64, epoch int16, sequence int32, bumps bool) (storage.VerificationGuard, error) {
	p, err := m.Partition(tp)
	if err != nil {
		return storage.NoVerification, err
	}
	p.lead.RLock()
	defer p.lead.RUnlock()
	if err := p.checkLeader(anyEpoch); err != nil {
		return storage.NoVerification, err
	}
	return p.log.StartVerification(producerID, epoch, sequence, bumps)
}
