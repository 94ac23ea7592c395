package replica

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// throttledReplicas is a topic's list of throttled replicas for one partition.
type throttledReplicas struct {
	all     bool
	brokers []int32
}

func (t throttledReplicas) has(id int32) bool { return t.all || slices.Contains(t.brokers, id) }

// ThrottledReplicas is the value of leader.replication.throttled.replicas or follower.replication.throttled.replicas
// of a topic: "*", or pairs PARTITION:BROKER.
type ThrottledReplicas struct {
	All   bool
	Pairs map[int32][]int32 // brokers by partition
}

// ParseThrottledReplicas reads such a value, which the table of settings has checked.
func ParseThrottledReplicas(value string) ThrottledReplicas {
	t := ThrottledReplicas{}
	for item := range strings.SplitSeq(value, ",") {
		item = strings.TrimSpace(item)
		if item == "*" {
			t.All = true
			continue
		}
		a, b, _ := strings.Cut(item, ":")
		partition, err1 := strconv.ParseInt(a, 10, 32)
		broker, err2 := strconv.ParseInt(b, 10, 32)
		if err1 != nil || err2 != nil {
			continue
		}
		if t.Pairs == nil {
			t.Pairs = make(map[int32][]int32)
		}
		t.Pairs[int32(partition)] = append(t.Pairs[int32(partition)], int32(broker))
	}
	return t
}

func (t ThrottledReplicas) of(partition int32) throttledReplicas {
	return throttledReplicas{all: t.All, brokers: t.Pairs[partition]}
}

// throttles measures what throttled replicas have moved, as leader and as follower.
type throttles struct {
	m                *Manager
	leader, follower rate
}

// holdsBack says that a replica which is out of sync gets nothing from p for now. lead must be held.
func (t *throttles) holdsBack(p *Partition, replica int32) bool {
	limit := t.m.conf().LeaderThrottle
	if limit.BytesPerSecond <= 0 || !p.leaderThrottled.has(p.m.nodeID) || slices.Contains(p.isr, replica) {
		return false
	}
	return t.leader.exceeds(limit, t.m.clock.Now())
}

// sent counts what a replica got.
func (t *throttles) sent(p *Partition, replica int32, bytes int64) {
	t.m.counts.bytesOut.Add(bytes)
	limit := t.m.conf().LeaderThrottle
	if limit.BytesPerSecond <= 0 {
		return
	}
	p.mu.Lock()
	throttled := p.leaderThrottled.has(p.m.nodeID) && !slices.Contains(p.isr, replica)
	p.mu.Unlock()
	if throttled {
		t.leader.add(limit, t.m.clock.Now(), bytes)
	}
}

// copied counts what a throttled follower here has copied.
func (t *throttles) copied(bytes int64) {
	if limit := t.m.conf().FollowerThrottle; limit.BytesPerSecond > 0 {
		t.follower.add(limit, t.m.clock.Now(), bytes)
	}
}

// followerExceeds says that throttled followers here must pause.
func (t *throttles) followerExceeds() bool {
	limit := t.m.conf().FollowerThrottle
	return limit.BytesPerSecond > 0 && t.follower.exceeds(limit, t.m.clock.Now())
}

// rate measures bytes over the last windows.
type rate struct {
	mu      sync.Mutex
	windows []int64 // bytes by window, a ring
	at      int64   // number of the newest window since the epoch
}

// roll moves the ring to the window of now. mu must be held.
func (r *rate) roll(limit Throttle, now time.Time) {
	n := max(limit.Windows, 1)
	if len(r.windows) != n {
		r.windows = make([]int64, n)
	}
	at := now.UnixNano() / int64(max(limit.Window, time.Millisecond))
	if gap := at - r.at; gap >= int64(n) || gap < 0 {
		clear(r.windows)
	} else {
		for w := r.at + 1; w <= at; w++ {
			r.windows[w%int64(n)] = 0
		}
	}
	r.at = at
}

func (r *rate) add(limit Throttle, now time.Time, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roll(limit, now)
	r.windows[r.at%int64(len(r.windows))] += bytes
}

// exceeds says that over the windows more has been moved than the limit allows.
func (r *rate) exceeds(limit Throttle, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roll(limit, now)
	var sum int64
	for _, b := range r.windows {
		sum += b
	}
	seconds := (time.Duration(len(r.windows)) * limit.Window).Seconds()
	return float64(sum) > float64(limit.BytesPerSecond)*max(seconds, 1)
}
