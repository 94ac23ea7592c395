package node

import (
	"testing"

	"github.com/moldau-stream/moldau/internal/config"
)

// The largest interval that the configuration allows is one that never ends, not one of the past.
func TestTheLargestImbalanceIntervalIsForever(t *testing.T) {
	for value, want := range map[string]int64{"9223372036854775807": int64(config.Forever), "9223372037": int64(config.Forever), "300": 300_000_000_000} {
		n := &Node{o: Options{Settings: settings(t, "leader.imbalance.check.interval.seconds="+value)}}
		if got := int64(n.controllerConfig().LeaderImbalanceCheckInterval); got != want {
			t.Errorf("%s s are %d ns, not %d", value, got, want)
		}
	}
}
