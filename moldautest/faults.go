package moldautest

import (
	"sync/atomic"
	"syscall"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// CutOff lets nothing through between this broker and anybody else, brokers and clients, until Reconnect. Who sends to it waits.
func (b *Broker) CutOff() {
	b.cut = true
	b.e.net.Partition(clientHost, b.host())
	for _, other := range b.e.brokers {
		if other != b {
			b.e.net.Partition(b.host(), other.host())
		}
	}
}

// Reconnect ends CutOff. It returns when the broker takes part again, if it runs.
func (b *Broker) Reconnect() {
	b.e.t.Helper()
	b.cut = false
	b.e.net.Heal(clientHost, b.host())
	for _, other := range b.e.brokers {
		if other != b {
			b.e.net.Heal(b.host(), other.host())
		}
	}
	b.e.waitReady()
}

// Partition lets nothing through between two brokers, until Heal. Clients still reach both.
func (e *Engine) Partition(a, b *Broker) { e.net.Partition(a.host(), b.host()) }

// Heal ends Partition.
func (e *Engine) Heal(a, b *Broker) { e.net.Heal(a.host(), b.host()) }

// SlowDown makes every byte to and from this broker take d longer; zero ends it.
func (b *Broker) SlowDown(d time.Duration) {
	b.e.net.SetDelay(clientHost, b.host(), d)
	for _, other := range b.e.brokers {
		if other != b {
			b.e.net.SetDelay(b.host(), other.host(), d)
		}
	}
}

// FailDisk makes every write and sync of the broker's disk fail, with an input/output error, until RepairDisk. A broker whose only
// disk fails ends, as Kafka's does (see Ended); after RepairDisk it can be started again.
func (b *Broker) FailDisk() { b.faults.failing.Store(true) }

// RepairDisk ends FailDisk and FillDisk.
func (b *Broker) RepairDisk() {
	b.faults.failing.Store(false)
	b.disk.SetQuota(0)
}

// FillDisk leaves no space on the broker's disk, until RepairDisk. Produce requests are refused with a retriable error meanwhile.
func (b *Broker) FillDisk() { b.disk.SetQuota(1) }

// Ended is closed when the broker has ended by itself, as it does when its only disk fails. Start brings it back.
func (b *Broker) Ended() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended
}

// diskFaults are what a broker's disk does wrong.
type diskFaults struct{ failing atomic.Bool }

func (f *diskFaults) over(disk *vfs.Mem) vfs.FS {
	return vfs.NewFault(disk, func(op vfs.Op) error {
		if f.failing.Load() && op.Kind.Mutates() {
			return syscall.EIO
		}
		return nil
	})
}
