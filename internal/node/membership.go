package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// membership keeps this broker a member of the cluster: it registers with the
// controller and sends heartbeats, at first in quick succession until it is unfenced.
type membership struct {
	n           *Node
	incarnation [16]byte
	interval    time.Duration
	stopped     chan struct{}
	running     context.Context // ends when the heartbeats stop: nothing is waited for any more
	end         context.CancelFunc
	stopOnce    sync.Once
	done        sync.WaitGroup

	mu       sync.Mutex
	epoch    int64
	leaving  bool
	answered time.Time     // when a controller answered a heartbeat last, or this broker began to leave
	alive    time.Time     // when a controller last said that this broker is not fenced
	mayGo    chan struct{} // closed when the controller says that the broker may shut down
	hurry    chan struct{} // holds one when the next heartbeat has something to tell
	unfenced chan struct{} // closed at the first heartbeat that finds the broker unfenced
}

const (
	// firstHeartbeats is the pause between heartbeats until the broker is unfenced.
	firstHeartbeats = 5 * time.Millisecond
	// registrationRetry is the pause before a refused or failed registration is tried again.
	registrationRetry = 100 * time.Millisecond
	// leavePatience is how long a broker that wants to leave waits for any answer of a controller. A quorum that is there finds
	// a new leader in that time; where there is none, nobody could take the leaderships over, and waiting helps nobody.
	leavePatience = 1500 * time.Millisecond
)

// self is the principal that a broker's own requests carry.
var self = security.Principal{Type: security.UserType, Name: "broker"}

func newMembership(n *Node) *membership {
	running, end := context.WithCancel(context.Background())
	return &membership{
		running: running, end: end,
		n: n, incarnation: n.incarnation, interval: n.o.Settings.Duration(config.BrokerHeartbeatIntervalMs),
		stopped: make(chan struct{}), mayGo: make(chan struct{}), hurry: make(chan struct{}, 1), unfenced: make(chan struct{}), epoch: -1,
	}
}

// join registers and returns when the broker is unfenced, or with what stands in the way.
func (m *membership) join(ctx context.Context) error {
	timeout := m.n.o.Settings.Duration(config.InitialBrokerRegistrationTimeoutMs)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := m.register(ctx); err != nil {
		return err
	}
	m.done.Add(2)
	go m.beat()
	go m.place()
	select {
	case <-m.unfenced:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the controller has not let broker %d serve within %s: %w", m.n.id, timeout, ctx.Err())
	}
}

// register announces the broker until the controller accepts it.
func (m *membership) register(ctx context.Context) error {
	var refusal error // the last one that a controller gave a reason for
	for {
		resp, err := m.call(ctx, m.registration())
		if err != nil && ctx.Err() != nil && refusal != nil {
			err = refusal // it says more than that the time is up
		}
		if err == nil {
			r := resp.(*kmsg.BrokerRegistrationResponse)
			switch e := kerr.ErrorForCode(r.ErrorCode); e {
			case nil:
				m.setEpoch(r.BrokerEpoch)
				return nil
			case kerr.InconsistentClusterID, kerr.InvalidRegistration, kerr.UnsupportedVersion:
				return m.refused(e)
			default:
				err, refusal = e, e // e.g. DUPLICATE_BROKER_REGISTRATION until an old session has timed out
			}
		}
		m.n.o.Logger.Warn("cannot register with the controller yet", "cause", err)
		select {
		case <-ctx.Done():
			if errors.Is(err, kerr.DuplicateBrokerRegistration) {
				err = fmt.Errorf("another process serves as broker %d: give this node a node.id of its own, or stop the other: %w", m.n.id, err)
			}
			return fmt.Errorf("cannot register with the controller: %w", err)
		case <-m.after(registrationRetry):
		}
	}
}

// refused says what to do about a registration that will never be accepted.
func (m *membership) refused(e error) error {
	hint := ""
	switch {
	case errors.Is(e, kerr.InconsistentClusterID):
		hint = fmt.Sprintf(": the controllers belong to another cluster than this node's directories (%s); correct controller.quorum.voters or controller.quorum.bootstrap.servers, or format the directories with the controllers' cluster id", m.n.clusterID)
	case errors.Is(e, kerr.UnsupportedVersion):
		hint = ": the cluster has finalized a feature at a level that this build does not know; run the build that the others run (kafka-features describe shows the levels)"
	}
	return fmt.Errorf("the controller refuses broker %d%s: %w", m.n.id, hint, e)
}

func (m *membership) setEpoch(epoch int64) {
	m.mu.Lock()
	m.epoch = epoch
	m.mu.Unlock()
	m.n.broker.SetEpoch(epoch)
}

// brokerEpoch is the epoch of the present registration, -1 before the first.
func (m *membership) brokerEpoch() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.epoch
}

func (m *membership) registration() *kmsg.BrokerRegistrationRequest {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.BrokerID, req.ClusterID, req.IncarnationID = m.n.id, m.n.clusterID, m.incarnation
	req.PreviousBrokerEpoch = m.n.logs.PreviousBrokerEpoch()
	if rack := m.n.o.Settings.String(config.BrokerRack); rack != "" {
		req.Rack = &rack
	}
	for _, d := range m.n.logs.Dirs() {
		if d.Err == nil {
			req.LogDirs = append(req.LogDirs, d.ID)
		}
	}
	for _, f := range meta.AdvertisedFeatures() {
		o := kmsg.NewBrokerRegistrationRequestFeature()
		o.Name, o.MinSupportedVersion, o.MaxSupportedVersion = f.Name, f.MinSupportedVersion, f.MaxSupportedVersion
		req.Features = append(req.Features, o)
	}
	for _, l := range m.n.advertised() {
		o := kmsg.NewBrokerRegistrationRequestListener()
		o.Name, o.Host, o.Port = l.Name, l.Host, uint16(l.Port)
		o.SecurityProtocol = securityProtocolID(l.SecurityProtocol)
		req.Listeners = append(req.Listeners, o)
	}
	return req
}

// beat sends heartbeats until the node stops.
func (m *membership) beat() {
	defer m.done.Done()
	for {
		pause := m.heartbeat()
		select {
		case <-m.stopped:
			return
		case <-m.hurry:
		case <-m.after(pause):
		}
	}
}

// hasten sends a heartbeat soon.
func (m *membership) hasten() {
	select {
	case m.hurry <- struct{}{}:
	default:
	}
}

// heartbeat sends one and returns the pause before the next.
func (m *membership) heartbeat() time.Duration {
	m.mu.Lock()
	patience := m.interval
	if m.leaving {
		patience = max(0, min(patience, leavePatience-m.n.o.Clock.Now().Sub(m.answered)))
	}
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(m.running, patience)
	defer cancel()
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	m.mu.Lock()
	req.BrokerID, req.BrokerEpoch, req.WantShutdown = m.n.id, m.epoch, m.leaving
	m.mu.Unlock()
	req.OfflineLogDirs = m.n.failedDirs.list()
	req.CordonedLogDirs = m.n.logs.Cordoned()
	req.CurrentMetadataOffset = m.n.broker.Image().Offset()
	resp, err := m.call(ctx, req)
	if err == nil {
		m.mu.Lock()
		m.answered = m.n.o.Clock.Now()
		m.mu.Unlock()
	}
	if err != nil {
		if m.running.Err() != nil {
			return m.interval
		}
		m.n.o.Logger.Warn("a heartbeat to the controller failed", "cause", err)
		return min(registrationRetry, m.interval)
	}
	r := resp.(*kmsg.BrokerHeartbeatResponse)
	switch e := kerr.ErrorForCode(r.ErrorCode); e {
	case nil:
	case kerr.StaleBrokerEpoch, kerr.BrokerIDNotRegistered:
		return m.registerAgain(e)
	default:
		m.n.o.Logger.Warn("the controller refused a heartbeat", "cause", e)
		return min(registrationRetry, m.interval)
	}
	m.note(r)
	if r.IsFenced {
		return firstHeartbeats
	}
	return m.interval
}

// registerAgain is for a broker that the controller has forgotten or replaced by a newer registration.
func (m *membership) registerAgain(cause error) time.Duration {
	m.n.o.Logger.Warn("the controller does not know this registration: registering again", "cause", cause)
	ctx, cancel := context.WithTimeout(m.running, m.interval)
	defer cancel()
	if err := m.register(ctx); err != nil {
		return registrationRetry
	}
	return firstHeartbeats
}

func (m *membership) note(r *kmsg.BrokerHeartbeatResponse) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.alive = (time.Time{}); !r.IsFenced {
		m.alive = m.n.o.Clock.Now()
	}
	if !r.IsFenced && !closed(m.unfenced) {
		close(m.unfenced)
	}
	if r.ShouldShutdown && m.leaving && !closed(m.mayGo) {
		close(m.mayGo)
	}
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// leave asks the controller for a controlled shutdown and waits for its consent: leaders move first. It returns false if there was none.
func (m *membership) leave(ctx context.Context) bool {
	m.mu.Lock()
	m.leaving, m.answered = true, m.n.o.Clock.Now()
	m.mu.Unlock()
	for ctx.Err() == nil && !m.alone() {
		m.heartbeat()
		select {
		case <-m.mayGo:
			m.stop()
			return true
		case <-m.after(firstHeartbeats):
		case <-ctx.Done():
		}
	}
	m.n.o.Logger.Warn("the controller has not consented to the shutdown in time: going all the same")
	m.stop()
	return false
}

// inTouch says that no more than two heartbeats are missing.
func (m *membership) inTouch() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.n.o.Clock.Now().Sub(m.alive) <= 2*m.interval
}

// alone says that no controller has answered for a while.
func (m *membership) alone() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.n.o.Clock.Now().Sub(m.answered) >= leavePatience
}

// tellOfOthers hurries a heartbeat when another broker begins to leave: it waits until all others know.
func (m *membership) tellOfOthers(img *meta.Image, delta *meta.Delta) {
	for id := range delta.ChangedBrokers {
		if b := img.Broker(id); id != m.n.id && b != nil && b.InControlledShutdown {
			m.hasten()
			return
		}
	}
}

// stop ends the heartbeats.
func (m *membership) stop() {
	m.stopOnce.Do(func() { close(m.stopped); m.end() })
	m.done.Wait()
}

func (m *membership) call(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	return m.n.cluster.link.Call(ctx, "heartbeat", req)
}

func (m *membership) after(d time.Duration) <-chan struct{} {
	c := make(chan struct{})
	m.n.o.Clock.AfterFunc(d, func() { close(c) })
	return c
}

// advertised are the listeners as clients should use them; a port 0 has become the bound one, and no host, as in
// PLAINTEXT://:9092, the machine's name, as in Kafka.
func (n *Node) advertised() []config.Listener {
	out := n.o.Settings.Advertised()
	for i := range out {
		if out[i].Host == "" {
			out[i].Host = machineName()
		}
		if out[i].Port != 0 {
			continue
		}
		if a, ok := n.server.Addr(out[i].Name).(*net.TCPAddr); ok {
			out[i].Port = a.Port
		}
	}
	return out
}

// machineName is what other machines may know this one by.
func machineName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return name
}

// securityProtocolID is Kafka's number for a security protocol.
func securityProtocolID(p string) int16 {
	switch p {
	case "SSL":
		return 1
	case "SASL_PLAINTEXT":
		return 2
	case "SASL_SSL":
		return 3
	}
	return 0
}
