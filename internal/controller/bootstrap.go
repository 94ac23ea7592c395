package controller

import (
	"strconv"

	"github.com/moldau-stream/moldau/internal/meta"
)

// Bootstrap is what the first leader of a cluster writes: the records that format left, inside a transaction as
// Kafka has it, and the cluster-wide min.insync.replicas that eligible leader replicas need to be counted by.
// A cluster that has metadata gets nothing.
func (s *State) Bootstrap(formatted []meta.Record) []meta.Record {
	if len(s.img.Features()) > 0 {
		return nil
	}
	name := "Bootstrap records"
	out := []meta.Record{&meta.BeginTransactionRecord{Name: &name}}
	elr := false
	for _, r := range formatted {
		if f, ok := r.(*meta.FeatureLevelRecord); ok && f.Name == meta.FeatureELR && f.FeatureLevel > 0 {
			elr = true
		}
		out = append(out, r)
	}
	if elr {
		v := strconv.Itoa(s.cfg.MinInsyncReplicas)
		out = append(out, &meta.ConfigRecord{ResourceType: meta.ResourceBroker, Name: minInsyncReplicas, Value: &v})
	}
	return append(out, &meta.EndTransactionRecord{})
}
