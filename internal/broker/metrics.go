package broker

import (
	"github.com/moldau-stream/moldau/internal/replica"
)

// Metrics counts what goes through the broker, by topic.
type Metrics struct{}

func (m *Metrics) produced(topic string, bytes int, a *replica.Append) {}
func (m *Metrics) fetched(p *replica.FetchPart)                        {}
