package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Client is a franz-go client and the settings that it was made from.
type Client struct {
	*kgo.Client
	Settings *Settings

	dialer *dialer
	voice  Voice
	opts   []kgo.Opt // of which clients of single controllers are made

	mu   sync.Mutex
	good int          // index of the seed that answered last
	seen map[int]bool // seeds that are no controllers in the brokers' place
	told bool         // the hints about unreachable seeds were given
}

// ConstructError is Kafka's "Failed to construct ..." with its cause.
type ConstructError struct {
	Message string
	Cause   error
}

func (e *ConstructError) Error() string { return e.Message }
func (e *ConstructError) Unwrap() error { return e.Cause }

// Open makes a client. extra options come after those of the properties.
func Open(role Role, props Properties, voice Voice, extra func(*Settings) ([]kgo.Opt, error)) (*Client, error) {
	if _, set := props["bootstrap.servers"]; !set && role != Admin {
		return nil, &ConfigError{"Missing required configuration \"bootstrap.servers\" which has no default value."}
	}
	s, err := ReadSettings(role, props)
	if err != nil {
		return nil, constructError(role, err)
	}
	for _, r := range s.Remarks {
		voice.hint(r)
	}
	if s.Bootstrap, err = checkBootstrap(s, voice); err != nil {
		return nil, &ConstructError{role.constructFailure(), err}
	}
	c := &Client{Settings: s, voice: voice, dialer: newDialer(s, voice), seen: map[int]bool{}}
	c.dialer.unreachable = c.explainOnce
	opts := s.commonOptions(c.dialer)
	if extra != nil {
		more, err := extra(s)
		if err != nil {
			return nil, constructError(role, err)
		}
		opts = append(opts, more...)
	}
	c.opts = opts
	c.Client, err = kgo.NewClient(opts...)
	if err != nil {
		return nil, &ConstructError{role.constructFailure(), err}
	}
	return c, nil
}

// constructError leaves a bad value as Kafka leaves it, on its own, and wraps
// the rest.
func constructError(role Role, err error) error {
	var ce *ConfigError
	if errors.As(err, &ce) && (strings.HasPrefix(ce.Message, "Invalid value") && !strings.HasPrefix(ce.Message, invalidJAAS) || strings.HasPrefix(ce.Message, "Configuration '") || strings.HasPrefix(ce.Message, "Could not read properties ") || strings.HasPrefix(ce.Message, "Must set ") || strings.HasPrefix(ce.Message, "To use ")) {
		return err
	}
	return &ConstructError{role.constructFailure(), err}
}

// checkBootstrap checks the form of each address and that one of the names at
// least resolves.
func checkBootstrap(s *Settings, voice Voice) ([]string, error) {
	addrs := s.Bootstrap
	if len(addrs) == 0 {
		return nil, &ConfigError{"No resolvable bootstrap urls given in bootstrap.servers"}
	}
	var good []string
	var problems []string
	for _, a := range addrs {
		host, port, err := splitHostPort(a)
		if err == nil && !validPort(port) {
			// Kafka's own words for it; to try such a port for a minute helps nobody.
			return nil, &ConfigError{"Invalid port in bootstrap.servers: " + a}
		}
		if err != nil {
			voice.hint(fmt.Sprintf("%s is not host:port, such as localhost:9092", a))
			return nil, &ConfigError{"Invalid url in bootstrap.servers: " + a}
		}
		ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
		_, err = net.DefaultResolver.LookupHost(ctx, host)
		cancel()
		if err != nil {
			if voice.Log != nil {
				voice.Log("WARN", "org.apache.kafka.clients.ClientUtils", fmt.Sprintf("Couldn't resolve server %s from bootstrap.servers as DNS resolution failed for %s", a, host))
			}
			problems = append(problems, fmt.Sprintf("the name %s does not resolve", host))
			continue
		}
		good = append(good, net.JoinHostPort(host, port))
	}
	for _, p := range problems {
		voice.hint(p)
	}
	if len(good) == 0 {
		return nil, &ConfigError{"No resolvable bootstrap urls given in bootstrap.servers"}
	}
	return good, nil
}

// resolveTimeout bounds one look-up of a bootstrap name: resolvers give up
// after about that long themselves.
const resolveTimeout = 15 * time.Second

func hostPort() *regexp.Regexp {
	return regexp.MustCompile(`^(?:[A-Za-z][A-Za-z0-9+_.-]*://)?(?:\[([0-9a-zA-Z:%._-]+)\]|([^:/\s\[\]]*)):([0-9]+)$`)
}

func splitHostPort(s string) (host, port string, err error) {
	m := hostPort().FindStringSubmatch(s)
	if m == nil || len(m[3]) > 5 {
		return "", "", fmt.Errorf("%q is not host:port", s)
	}
	return cmp.Or(m[1], m[2], "localhost"), m[3], nil // as Java resolves an empty name
}

// validPort reports whether a number is one that TCP has.
func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// ValidHostPorts reports whether every one of a comma-separated list is host:port.
func ValidHostPorts(list string) bool {
	for _, s := range strings.Split(list, ",") {
		if _, _, err := splitHostPort(strings.TrimSpace(s)); err != nil {
			return false
		}
	}
	return true
}

// Deadline bounds a call by default.api.timeout.ms.
func (c *Client) Deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.Settings.APITimeout)
}

// Any sends req to any bootstrap broker and tries until one answers or
// default.api.timeout.ms is over. call is Kafka's name for what is done; it is
// part of the error.
//
// With bootstrap.controllers it is the active controller that is asked: of what others answer, much is only that.
func (c *Client) Any(ctx context.Context, call string, req kmsg.Request) (kmsg.Response, error) {
	if c.Settings.BootstrapIsQuorum && forBrokersOnly(req.Key()) {
		return nil, &KafkaError{Code: codeUnsupportedEndpoint, Message: "This Admin API is not yet supported when communicating directly with the controller quorum."}
	}
	if c.Settings.BootstrapIsQuorum && req.Key() != describeClusterKey {
		return c.onController(ctx, call, activeController, req)
	}
	resp, err := c.untilAnswered(ctx, call, func(ctx context.Context) (kmsg.Response, error) {
		return c.anySeed(ctx, req)
	})
	return resp, named(err, req)
}

// Metadata asks for brokers and the named topics (nil for all, empty for none)
// and lets the client underneath learn the brokers, so that requests to a
// leader, a coordinator or a broker id can follow.
func (c *Client) Metadata(ctx context.Context, call string, topics []string, all bool) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	if !all {
		req.Topics = []kmsg.MetadataRequestTopic{}
	}
	for _, t := range topics {
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = kmsg.StringPtr(t)
		req.Topics = append(req.Topics, rt)
	}
	return c.metadata(ctx, call, req)
}

// MetadataCreating asks for one topic and lets the broker create it.
func (c *Client) MetadataCreating(ctx context.Context, call, topic string) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	rt := kmsg.NewMetadataRequestTopic()
	rt.Topic = kmsg.StringPtr(topic)
	req.Topics = append(req.Topics, rt)
	req.AllowAutoTopicCreation = true
	return c.metadata(ctx, call, req)
}

func (c *Client) metadata(ctx context.Context, call string, req *kmsg.MetadataRequest) (*kmsg.MetadataResponse, error) {
	resp, err := c.untilAnswered(ctx, call, func(ctx context.Context) (kmsg.Response, error) {
		return c.Client.Request(ctx, req)
	})
	if err != nil {
		return nil, err
	}
	md := resp.(*kmsg.MetadataResponse)
	c.dialer.log.knowing.Store(true)
	if c.Settings.Role != Admin {
		c.dialer.log.metadataTold(md)
	}
	return md, nil
}

func (c *Client) untilAnswered(ctx context.Context, call string, try func(context.Context) (kmsg.Response, error)) (kmsg.Response, error) {
	ctx, cancel := c.Deadline(ctx)
	defer cancel()
	for n := 1; ; n++ {
		resp, err := try(ctx)
		if err == nil {
			return resp, nil
		}
		if fatal := c.fatal(err); fatal != nil {
			return nil, fatal
		}
		if wrong := c.wrongEndpoint(ctx, err, n); wrong != nil {
			return nil, wrong
		}
		if ctx.Err() == nil {
			c.explainOnce()
		}
		if Unusable(err) {
			return nil, c.notAssigned(call) // what Kafka's client says when its time is up
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil, ctx.Err()
			}
			c.explainOnce()
			return nil, c.notAssigned(call)
		case <-time.After(c.Settings.Backoff(n)):
		}
	}
}

// unsupportedRequest begins the complaint about a request that a node does not serve, until named puts its name in.
const unsupportedRequest = "The node does not support this request"

func (c *Client) notAssigned(call string) error {
	return &TimeoutError{Message: "Timed out waiting for a node assignment. Call: " + call, Cause: c.dialer.lastError()}
}

// anySeed tries each seed once, the last good one first.
func (c *Client) anySeed(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	seeds := c.Client.SeedBrokers()
	c.mu.Lock()
	first := c.good
	c.mu.Unlock()
	var lastErr error
	for i := range seeds {
		at := (first + i) % len(seeds)
		if err := c.checkBroker(ctx, at, seeds[at]); err != nil {
			return nil, err
		}
		resp, err := seeds[at].Request(ctx, req)
		if err == nil {
			c.mu.Lock()
			c.good = at
			c.mu.Unlock()
			return resp, nil
		}
		lastErr = err
		if c.fatal(err) != nil || ctx.Err() != nil {
			break
		}
	}
	return nil, lastErr
}

// Explain tells what is known to stand in the way of the bootstrap brokers, if anything does.
func (c *Client) Explain() { c.explainOnce() }

// explainOnce tells why no bootstrap broker can be reached, the first time.
func (c *Client) explainOnce() {
	c.mu.Lock()
	told := c.told
	c.told = true
	c.mu.Unlock()
	if told {
		return
	}
	for _, d := range c.dialer.diagnoses(c.Settings.Bootstrap) {
		c.voice.hint(d)
	}
}

// fatal returns the error to give up with, or nil when trying again may help.
func (c *Client) fatal(err error) error {
	var te *TLSError
	var ke *kerr.Error
	switch {
	case errors.As(err, &te):
		c.explainOnce()
		return te
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return &AuthenticationError{authMessage(err)}
	case errors.Is(err, kerr.UnsupportedSaslMechanism), errors.Is(err, kerr.IllegalSaslState):
		return &AuthenticationError{authMessage(err)}
	case errors.Is(err, kgo.ErrClientClosed):
		return err
	case errors.As(err, &ke) && !ke.Retriable:
		return &KafkaError{Code: ke.Code, Message: ke.Description}
	case IsCode(err, CodeUnsupportedVersion):
		return err
	}
	if isUnsupported(err) {
		return &KafkaError{Code: CodeUnsupportedVersion, Message: unsupportedRequest + ": " + err.Error()}
	}
	return nil
}

// named puts the request's name into the complaint that a node does not know it.
func named(err error, req kmsg.Request) error {
	var ke *KafkaError
	if errors.As(err, &ke) && ke.Code == CodeUnsupportedVersion && strings.HasPrefix(ke.Message, unsupportedRequest) {
		return &KafkaError{Code: CodeUnsupportedVersion, Message: "The node does not support " + apiConstant(kmsg.NameForKey(req.Key()))}
	}
	return err
}

// apiConstant is Kafka's constant for an API: UPDATE_FEATURES.
func apiConstant(name string) string {
	name = strings.NewReplacer("ACLs", "Acls", "SASL", "Sasl", "SCRAM", "Scram", "ID", "Id", "AlterPartitionAssignments", "AlterPartitionReassignments").Replace(name)
	var b strings.Builder
	for i, r := range name {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

// isUnsupported recognises franz-go's complaint that broker and client have no
// version of the API in common.
func isUnsupported(err error) bool {
	s := err.Error()
	return strings.Contains(s, "broker is too old") || strings.Contains(s, "does not support") || strings.Contains(s, "unknown request key")
}

// authMessage is the broker's sentence: franz-go puts it behind the code's name.
func authMessage(err error) string {
	s := err.Error()
	for _, k := range []*kerr.Error{kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState} {
		if _, rest, ok := strings.Cut(s, k.Error()); ok {
			if rest = strings.TrimLeft(rest, ": "); rest != "" {
				return rest
			}
			return k.Description
		}
	}
	return s
}

// OnBroker sends req to one broker by its id. Metadata must have been asked for. With bootstrap.controllers it is one
// controller, and nothing need be asked before.
func (c *Client) OnBroker(ctx context.Context, call string, id int32, req kmsg.Request) (kmsg.Response, error) {
	if c.Settings.BootstrapIsQuorum {
		return c.onController(ctx, call, id, req)
	}
	ctx, cancel := c.Deadline(ctx)
	defer cancel()
	resp, err := c.Client.Broker(int(id)).RetriableRequest(ctx, req)
	return resp, named(c.final(ctx, call, err), req)
}

// Shards sends req to every broker that a part of it belongs to and returns
// the answers; see kgo.RequestSharded.
func (c *Client) Shards(ctx context.Context, req kmsg.Request) []kgo.ResponseShard {
	ctx, cancel := c.Deadline(ctx)
	defer cancel()
	return c.Client.RequestSharded(ctx, req)
}

// Final turns an error of the client underneath into one with Kafka's words.
func (c *Client) Final(ctx context.Context, call string, err error) error {
	return c.final(ctx, call, err)
}

func (c *Client) final(ctx context.Context, call string, err error) error {
	if err == nil {
		return nil
	}
	if fatal := c.fatal(err); fatal != nil {
		return fatal
	}
	var ke *kerr.Error
	if errors.As(err, &ke) {
		return &KafkaError{Code: ke.Code, Message: ke.Description}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return &TimeoutError{Message: "Timed out waiting for a node assignment. Call: " + call, Cause: err}
}

// Coordinator finds the broker that serves a group.
func (c *Client) Coordinator(ctx context.Context, call, group string) (kmsg.FindCoordinatorResponseCoordinator, error) {
	found, err := c.Coordinators(ctx, call, []string{group})
	if err != nil {
		return kmsg.FindCoordinatorResponseCoordinator{}, err
	}
	for _, f := range found {
		if f.Key == group {
			return f, CodeError(f.ErrorCode, f.ErrorMessage)
		}
	}
	return kmsg.FindCoordinatorResponseCoordinator{}, &KafkaError{Code: CodeCoordinatorNotAvailable, Message: CodeText(CodeCoordinatorNotAvailable)}
}

// Coordinators finds the brokers that serve groups; it waits while a
// coordinator is being made. Each answer carries its own error code.
func (c *Client) Coordinators(ctx context.Context, call string, groups []string) ([]kmsg.FindCoordinatorResponseCoordinator, error) {
	dctx, cancel := c.Deadline(ctx)
	defer cancel()
	var out []kmsg.FindCoordinatorResponseCoordinator
	todo := groups
	for n := 1; ; n++ {
		found, err := c.findCoordinators(dctx, call, todo)
		if err != nil {
			return nil, err
		}
		todo = nil
		for _, f := range found {
			if f.ErrorCode == CodeCoordinatorNotAvailable || f.ErrorCode == CodeCoordinatorLoading {
				todo = append(todo, f.Key)
				continue
			}
			out = append(out, f)
		}
		if len(todo) == 0 {
			return out, nil
		}
		select {
		case <-dctx.Done():
			return nil, &TimeoutError{Message: "Timed out waiting for a node assignment. Call: " + call}
		case <-time.After(c.Settings.Backoff(n)):
		}
	}
}

// findCoordinators asks once. Brokers before version 4 of the API take one key
// a request, so the answer may fill either of two shapes.
func (c *Client) findCoordinators(ctx context.Context, call string, groups []string) ([]kmsg.FindCoordinatorResponseCoordinator, error) {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKeys = groups
	if len(groups) > 0 {
		req.CoordinatorKey = groups[0]
	}
	resp, err := c.Any(ctx, call, req)
	if err != nil {
		return nil, err
	}
	fr := resp.(*kmsg.FindCoordinatorResponse)
	if fr.Version >= 4 {
		return fr.Coordinators, nil
	}
	out := []kmsg.FindCoordinatorResponseCoordinator{legacyCoordinator(fr, req.CoordinatorKey)}
	for _, g := range groups[min(1, len(groups)):] {
		one := kmsg.NewPtrFindCoordinatorRequest()
		one.CoordinatorKey = g
		resp, err := c.Any(ctx, call, one)
		if err != nil {
			return nil, err
		}
		out = append(out, legacyCoordinator(resp.(*kmsg.FindCoordinatorResponse), g))
	}
	return out, nil
}

func legacyCoordinator(fr *kmsg.FindCoordinatorResponse, key string) kmsg.FindCoordinatorResponseCoordinator {
	f := kmsg.NewFindCoordinatorResponseCoordinator()
	f.Key, f.NodeID, f.Host, f.Port = key, fr.NodeID, fr.Host, fr.Port
	f.ErrorCode, f.ErrorMessage = fr.ErrorCode, fr.ErrorMessage
	return f
}
