package quorum

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/controller"
	"github.com/moldau-stream/moldau/internal/vfs"
)

func benchConfig(b *testing.B) Config {
	return Config{
		FS: vfs.OS{}, Dir: b.TempDir(), NodeID: 1, Clock: clock.Real{},
		Controller: controller.Config{ClusterID: "C", LocalBroker: true, Random: newChance()},
	}
}

// BenchmarkStart is from nothing, or from a directory that was closed in order, to serving.
func BenchmarkStart(b *testing.B) {
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			n := startNode(b, benchConfig(b))
			b.StopTimer()
			closeNode(b, n)
			b.StartTimer()
		}
	})
	b.Run("again", func(b *testing.B) {
		cfg := benchConfig(b)
		closeNode(b, startNode(b, cfg))
		for b.Loop() {
			n := startNode(b, cfg)
			b.StopTimer()
			closeNode(b, n)
			b.StartTimer()
		}
	})
}

// BenchmarkCreateTopic is one synced change at a time, and many callers that share the syncs.
func BenchmarkCreateTopic(b *testing.B) {
	n := startNode(b, benchConfig(b))
	defer closeNode(b, n)
	registerBroker(b, n, 1)
	var i atomic.Int64
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			createTopic(b, n, fmt.Sprint("t", i.Add(1)))
		}
	})
	b.Run("many", func(b *testing.B) {
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				createTopic(b, n, fmt.Sprint("t", i.Add(1)))
			}
		})
	})
}
