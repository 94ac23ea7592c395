package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/moldau-stream/moldau/internal/broker"
	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/kraft"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/quorum"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// metadataLog is this node's view of the metadata: of a controller its part in the quorum, of a broker its copy.
type metadataLog interface {
	Subscribe(fn func(*meta.Image, *meta.Delta))
	Image() *meta.Image
	LogEndOffset() int64
	Members() quorum.Members
	// CaughtUp returns when what was committed at the call is known here.
	CaughtUp(ctx context.Context) error
	Close() error
}

// cluster is what joins this node to the controllers of its cluster.
type cluster struct {
	directory *kraft.Directory
	link      *kraft.Link
	leader    kraft.Leadership

	// Of a controller.
	transport *kraft.Transport
	handler   *kraft.Handler
	server    *server.Server
	late      *lateController

	stop    chan struct{} // closed when the node stops
	stopped sync.Once
	done    sync.WaitGroup
}

const (
	// joinRetry is how often a controller that is not let in asks again.
	joinRetry = 200 * time.Millisecond
	// strangerAfter is how long a controller that takes itself for a member knows of no leader before it asks to be let in:
	// it may have been removed while it was down, and then nobody speaks to it. Of one that is a member still, nothing changes.
	strangerAfter = 2 * time.Second
	// lastAnswers is how long requests to the controller may take once the node stops: a commit takes milliseconds.
	lastAnswers = 300 * time.Millisecond
	// resignPatience is how long the active controller waits at its end until another has taken over: that takes a round of messages.
	resignPatience = 500 * time.Millisecond
	// registerPatience bounds one try of a controller to register.
	registerPatience = 5 * time.Second
)

// lateController lets the controller listener be bound before the controller is there.
type lateController struct{ server.Handler }

// bindController takes the addresses of the controller listeners.
func (n *Node) bindController() error {
	s := n.o.Settings
	n.cluster = &cluster{stop: make(chan struct{}), late: &lateController{}}
	endpoints := s.ControllerEndpoints()
	if !s.IsController() || len(endpoints) == 0 {
		return nil
	}
	srv, err := n.listenForControllers(endpoints)
	if errors.Is(err, syscall.EADDRINUSE) && n.alone() && s.Place(config.ControllerListenerNames) == (config.Place{}) {
		// Nobody asked for this listener, and nobody needs it at that port: that is no reason not to start.
		srv, err = n.listenAnywhere(endpoints, err)
	}
	if err != nil {
		return explainListen(err)
	}
	n.cluster.server = srv
	return nil
}

// listenForControllers binds the controller listeners.
func (n *Node) listenForControllers(endpoints []config.Listener) (*server.Server, error) {
	s := n.o.Settings
	cfg := server.Config{
		Network: n.o.Network, Clock: n.o.Clock, Log: n.o.Logger, Observer: newObserver(n.registry),
		SocketRequestMaxBytes: s.Int(config.SocketRequestMaxBytes), ConnectionsMaxIdle: s.Duration(config.ConnectionsMaxIdleMs),
	}
	for _, l := range endpoints {
		auth, err := security.NewListenerAuth(security.Protocol(l.SecurityProtocol))
		if err != nil {
			return nil, fmt.Errorf("cannot set up controller listener %s: %w", l.Name, err)
		}
		cfg.Listeners = append(cfg.Listeners, server.ListenerConfig{
			Name: l.Name, Address: l.Address(), Auth: auth, Table: kraft.Table(), Handler: n.cluster.late,
		})
	}
	srv, err := server.New(cfg)
	if err != nil {
		return nil, err
	}
	return srv, srv.Listen()
}

// listenAnywhere binds the controller listeners to ports that are free, and says so.
func (n *Node) listenAnywhere(endpoints []config.Listener, taken error) (*server.Server, error) {
	for i := range endpoints {
		endpoints[i].Port = 0
	}
	srv, err := n.listenForControllers(endpoints)
	if err != nil {
		return nil, err
	}
	var at []string
	for _, l := range endpoints {
		at = append(at, l.Name+" on "+srv.Addr(l.Name).String())
	}
	n.o.Logger.Warn("the controller listener is on another port than usual, which another process has: "+strings.Join(at, ", "), "cause", taken)
	return srv, nil
}

// alone says that the configuration knows of no other controller.
func (n *Node) alone() bool {
	voters := n.o.Settings.QuorumVoters()
	return len(voters) == 1 && voters[0].ID == n.id
}

// controllerListeners are this node's controller listeners as others should use them.
func (n *Node) controllerListeners() []config.Listener {
	out := n.o.Settings.AdvertisedControllers()
	for i := range out {
		if out[i].Host == "" || out[i].Host == "0.0.0.0" || out[i].Host == "::" {
			out[i].Host = machineName()
			for _, v := range n.o.Settings.QuorumVoters() {
				if v.ID == n.id {
					out[i].Host = v.Host
				}
			}
		}
		if n.cluster.server != nil { // which knows the port where any was asked for
			if p, ok := portOf(n.cluster.server.Addr(out[i].Name)); ok {
				out[i].Port = p
			}
		}
	}
	return out
}

// portOf is the port of an address.
func portOf(a net.Addr) (port int, ok bool) {
	if a == nil {
		return 0, false
	}
	_, text, err := net.SplitHostPort(a.String())
	if err != nil {
		return 0, false
	}
	port, err = strconv.Atoi(text)
	return port, err == nil
}

// controllerListenerName is the listener by which this node reaches controllers.
func (n *Node) controllerListenerName() string {
	if names := n.o.Settings.ControllerListeners(); len(names) > 0 {
		return names[0]
	}
	return ""
}

// openMetadata joins the quorum, or follows it, and serves the controller listener.
func (n *Node) openMetadata() error {
	s, c := n.o.Settings, n.cluster
	fixed := make(map[int32]string)
	for _, v := range s.QuorumVoters() {
		fixed[v.ID] = net.JoinHostPort(v.Host, strconv.Itoa(v.Port))
	}
	for _, l := range s.ControllerEndpoints() {
		if l.SecurityProtocol != "PLAINTEXT" {
			return fmt.Errorf("controller listener %s speaks %s, which this build cannot speak to other controllers yet: map it to PLAINTEXT in listener.security.protocol.map", l.Name, l.SecurityProtocol)
		}
	}
	c.directory = kraft.NewDirectory(kraft.Options{
		ClusterID: n.clusterID, NodeID: n.id, Network: n.o.Network, Clock: n.o.Clock, Logger: n.o.Logger,
		Fixed: fixed, Bootstrap: s.QuorumBootstrapServers(), RequestTimeout: s.Duration(config.ControllerQuorumRequestTimeoutMs),
	})
	dir := s.MetadataDir()
	if !s.IsController() {
		source := kraft.NewSource(c.directory, n.directoryID(dir), s.Duration(config.ControllerQuorumFetchTimeoutMs))
		source.OnLeader = n.newLeader
		o, err := quorum.StartObserver(n.quorumConfig(), source)
		if err != nil {
			return err
		}
		n.metadata, c.leader = o, source
		c.link = kraft.NewLink(c.directory, source, nil)
		return nil
	}
	return n.openController(dir)
}

func (n *Node) openController(dir string) error {
	s, c := n.o.Settings, n.cluster
	var host string
	var port uint16
	if l := n.controllerListeners(); len(l) > 0 {
		host, port = l[0].Host, uint16(l[0].Port)
	}
	c.transport = kraft.NewTransport(c.directory, n.directoryID(dir), host, port)
	cfg := n.quorumConfig()
	cfg.Transport = c.transport
	q, err := quorum.Start(cfg)
	if err != nil {
		return err
	}
	n.quorum, n.metadata, c.leader = q, q, q
	c.transport.Bind(q)
	c.handler = kraft.NewHandler(kraft.HandlerOptions{
		ClusterID: n.clusterID, NodeID: n.id, Quorum: q, Directory: c.directory, Authorizer: security.AllowAll{},
		Clock: n.o.Clock, Logger: n.o.Logger,
		FetchMaxBytes: s.Int(config.ControllerQuorumFetchMaxBytes), SnapshotMaxBytes: s.Int(config.ControllerQuorumFetchSnapshotMaxBytes),
		RequestTimeout: s.Duration(config.ControllerQuorumRequestTimeoutMs), DescribeConfigs: n.configView().Describe,
	})
	c.late.Handler = c.handler
	c.link = kraft.NewLink(c.directory, q, c.handler)
	if c.server != nil {
		if err := c.server.Serve(); err != nil {
			return err
		}
	}
	c.done.Add(1)
	go n.takePart()
	return nil
}

// configView shows the controller listener's clients settings as this node sees them.
func (n *Node) configView() broker.ConfigView {
	return broker.ConfigView{
		NodeID: n.id, Authorizer: security.AllowAll{}, Image: func() *meta.Image { return n.metadata.Image() },
		Settings: func() *config.Config { return n.settings(n.metadata.Image()) },
	}
}

// newLeader lets the broker be heard of by the new active controller at once: if its process dies from then on, the
// broken connection says so.
func (n *Node) newLeader(int32) {
	if m := n.beating.Load(); m != nil {
		m.hasten()
	}
}

// learn takes the controllers' addresses from what the log says.
func (n *Node) learn(img *meta.Image, delta *meta.Delta) {
	if delta == nil || len(delta.ChangedControllers) > 0 {
		n.cluster.directory.LearnImage(img, n.controllerListenerName())
	}
}

// takePart lets this controller be one of the quorum, for as long as the node runs: it asks to be let in where it is
// not, registers, and asks for a vote where controller.quorum.auto.join.enable says so.
func (n *Node) takePart() {
	c := n.cluster
	defer c.done.Done()
	registered, voting, voterTold, namesakeTold := false, false, false, false
	heard := n.o.Clock.Now()
	for !closed(c.stop) {
		members, now := n.quorum.Members(), n.o.Clock.Now()
		if leader, _ := n.quorum.Leader(); leader >= 0 {
			heard = now
			namesakeTold = namesakeTold || n.tellOfNamesake(members)
		}
		switch {
		case !members.Member, now.Sub(heard) > strangerAfter:
			c.transport.Join()
		case !registered:
			registered = n.registerController()
			if registered {
				continue
			}
		case !members.Voting && !voting && n.o.Settings.Bool(config.ControllerQuorumAutoJoinEnable):
			voting = n.askForVote()
		case members.Voting && !voterTold:
			voterTold = n.updateVoter(members)
		}
		select {
		case <-c.stop:
		case <-n.after(joinRetry):
		}
	}
}

func (n *Node) after(d time.Duration) <-chan struct{} {
	c := make(chan struct{})
	n.o.Clock.AfterFunc(d, func() { close(c) })
	return c
}

// whileRunning is a context that ends with the node, or after d.
func (c *cluster) whileRunning(d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	go func() {
		select {
		case <-c.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// registerController tells the cluster where this controller listens and what it supports; true when that is done, or cannot be.
func (n *Node) registerController() bool {
	if !meta.ControllersSupported(n.metadata.Image().MetadataVersion()) {
		return len(n.metadata.Image().Features()) > 0
	}
	req := kmsg.NewPtrControllerRegistrationRequest()
	req.ControllerID, req.IncarnationID = n.id, n.incarnation
	for _, l := range n.controllerListeners() {
		o := kmsg.NewControllerRegistrationRequestListener()
		o.Name, o.Host, o.Port, o.SecurityProtocol = l.Name, l.Host, uint16(l.Port), securityProtocolID(l.SecurityProtocol)
		req.Listeners = append(req.Listeners, o)
	}
	for _, f := range meta.AdvertisedFeatures() {
		o := kmsg.NewControllerRegistrationRequestFeature()
		o.Name, o.MinSupportedVersion, o.MaxSupportedVersion = f.Name, f.MinSupportedVersion, f.MaxSupportedVersion
		req.Features = append(req.Features, o)
	}
	ctx, cancel := n.cluster.whileRunning(registerPatience)
	defer cancel()
	resp, err := n.cluster.link.Call(ctx, "registration", req)
	if err == nil {
		err = kerr.ErrorForCode(resp.(*kmsg.ControllerRegistrationResponse).ErrorCode)
	}
	if err != nil && !closed(n.cluster.stop) {
		n.o.Logger.Debug("this controller is not registered yet", "cause", err)
	}
	return err == nil
}

// askForVote asks to be made a voter; true when it is, or never will be.
func (n *Node) askForVote() bool {
	req := kmsg.NewPtrAddRaftVoterRequest()
	req.ClusterID, req.VoterID, req.VoterDirectoryID = &n.clusterID, n.id, n.directoryID(n.o.Settings.MetadataDir())
	req.TimeoutMillis = int32(registerPatience / time.Millisecond)
	for _, l := range n.controllerListeners() {
		o := kmsg.NewAddRaftVoterRequestListener()
		o.Name, o.Host, o.Port = l.Name, l.Host, uint16(l.Port)
		req.Listeners = append(req.Listeners, o)
	}
	ctx, cancel := n.cluster.whileRunning(registerPatience)
	defer cancel()
	resp, err := n.cluster.link.Call(ctx, "registration", req)
	if err == nil {
		err = kerr.ErrorForCode(resp.(*kmsg.AddRaftVoterResponse).ErrorCode)
	}
	switch {
	case err == nil:
		return true
	case errors.Is(err, kerr.DuplicateVoter) && n.quorum.Members().Voting: // an answer was lost
		return true
	case errors.Is(err, kerr.UnsupportedVersion), errors.Is(err, kerr.DuplicateVoter):
		n.o.Logger.Warn("this controller is not given a vote", "cause", err)
		return true
	}
	n.o.Logger.Debug("this controller has no vote yet", "cause", err)
	return false
}

// halt ends what runs by itself; the connections stay for whoever says goodbye.
func (c *cluster) halt() {
	c.stopped.Do(func() { close(c.stop) })
	c.done.Wait()
}

// resign hands the lead of the quorum to another controller, if this one has it.
func (n *Node) resign(ctx context.Context) {
	if n.quorum == nil || closed(n.failed) {
		return
	}
	patience, cancel := context.WithTimeout(ctx, min(resignPatience, 2*n.o.Settings.Duration(config.ControllerQuorumElectionTimeoutMs)))
	defer cancel()
	if err := n.quorum.Resign(patience); err != nil {
		n.o.Logger.Warn("nobody took over the lead of the quorum in time: going all the same", "cause", err)
	}
}

// closeMetadata leaves the quorum and closes the connections to it.
func (n *Node) closeMetadata(ctx context.Context) error {
	c := n.cluster
	if c == nil {
		return nil
	}
	c.halt()
	var errs []error
	served := make(chan error, 1)
	if c.server != nil {
		go func() { served <- c.server.Shutdown(ctx) }()
		select { // requests under way are answered; those that wait for a quorum that is not there get their answer from the closing
		case err := <-served:
			served <- err
		case <-n.after(lastAnswers):
		}
	}
	if n.metadata != nil {
		errs = append(errs, n.metadata.Close())
	}
	if c.server != nil {
		errs = append(errs, <-served)
	}
	if c.directory != nil {
		c.directory.Close()
	}
	return errors.Join(errs...)
}
