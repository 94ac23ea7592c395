package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func base64URL(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// dialer opens connections and remembers, for each address, why the last one
// failed, in a sentence for a human. Safe for concurrent use.
type dialer struct {
	net     net.Dialer
	refuse  *UnusableError // set: no connection is opened
	tls     *tls.Config
	secured bool // SASL is on
	seeds   map[string]bool

	produces produceWrites

	mu     sync.Mutex
	causes map[string]string // address -> diagnosis
	silent map[string]bool   // addresses that took a connection and have not said a byte
	last   error
	failed map[string]bool // bootstrap addresses that failed, none having answered yet
	told   map[int32]bool  // brokers whose advertised address was found to fail
	voice  Voice           // is told once of each such broker
	log    *clientLog

	unreachable func() // called when no bootstrap address answers
}

func newDialer(s *Settings, voice Voice) *dialer {
	d := &dialer{tls: s.TLS, secured: s.SASL != nil, seeds: map[string]bool{}, causes: map[string]string{}, silent: map[string]bool{},
		failed: map[string]bool{}, told: map[int32]bool{}, voice: voice, log: newClientLog(s, voice), unreachable: func() {}}
	d.net.Timeout = s.DialTimeout
	if m, ok := s.SASL.(*unusableMechanism); ok {
		d.refuse = m.err
	}
	for _, b := range s.Bootstrap {
		d.seeds[b] = true
	}
	return d
}

func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if d.refuse != nil {
		d.remember(addr, d.refuse, d.refuse.Error())
		return nil, d.refuse
	}
	conn, err := d.net.DialContext(ctx, network, addr)
	if err != nil {
		d.remember(addr, err, d.explainDial(addr, err))
		return nil, err
	}
	if d.tls != nil {
		return d.handshake(ctx, conn, addr)
	}
	d.mu.Lock()
	d.silent[addr] = true
	d.mu.Unlock()
	return &sniffer{Conn: conn, addr: addr, d: d}, nil
}

// OnBrokerConnect tells of a broker that cannot be reached at the address that
// it advertises; it is called by the client underneath.
func (d *dialer) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	addr := net.JoinHostPort(meta.Host, strconv.Itoa(int(meta.Port)))
	if err == nil {
		d.log.knowing.Store(d.log.knowing.Load() || meta.NodeID >= 0)
		return
	}
	d.log.connectFailed(meta, addr, err)
	if meta.NodeID < 0 || d.seeds[addr] {
		d.seedFailed(addr)
		return
	}
	d.mu.Lock()
	cause, known := d.causes[addr]
	told := d.told[meta.NodeID]
	d.told[meta.NodeID] = true
	d.mu.Unlock()
	if !known || told {
		return // a broken handshake is an error of its own
	}
	d.voice.hint(fmt.Sprintf("%s; it is the address that broker %d advertises, as %s says: set advertised.listeners to one that this machine can reach, or make %s lead there", cause, meta.NodeID, d.answering(), meta.Host))
}

// seedFailed notes that a bootstrap address does not serve; when none does, it is time to say why.
func (d *dialer) seedFailed(addr string) {
	d.mu.Lock()
	d.failed[addr] = true
	all := len(d.failed) == len(d.seeds)
	d.mu.Unlock()
	if all && !d.log.knowing.Load() {
		d.unreachable()
	}
}

// answering is the bootstrap address that has answered: from it the others are known.
func (d *dialer) answering() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for a := range d.seeds {
		if _, failed := d.causes[a]; !failed {
			out = append(out, a)
		}
	}
	sort.Strings(out)
	if len(out) == 0 {
		return "the cluster"
	}
	return strings.Join(out, " or ")
}

func (d *dialer) handshake(ctx context.Context, conn net.Conn, addr string) (net.Conn, error) {
	cfg := d.tls.Clone()
	if cfg.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			conn.Close()
			return nil, err
		}
		cfg.ServerName = host
	}
	tc := tls.Client(conn, cfg)
	hctx, cancel := context.WithTimeout(ctx, max(d.net.Timeout, time.Second))
	defer cancel()
	if err := tc.HandshakeContext(hctx); err != nil {
		conn.Close()
		d.remember(addr, err, explainTLS(addr, err))
		return nil, &TLSError{Addr: addr, Cause: err}
	}
	return tc, nil
}

// TLSError is a TLS handshake that failed; trying again does not help.
type TLSError struct {
	Addr  string
	Cause error
}

func (e *TLSError) Error() string { return "SSL handshake failed" }
func (e *TLSError) Unwrap() error { return e.Cause }

// ClassName is the Java exception that tools print before the message.
func (e *TLSError) ClassName() string {
	return "org.apache.kafka.common.errors.SslAuthenticationException"
}

func (d *dialer) remember(addr string, err error, diagnosis string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.causes[addr], d.last = diagnosis, err
}

// diagnoses returns what went wrong at the given addresses.
func (d *dialer) diagnoses(addrs []string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for _, a := range addrs {
		if s, ok := d.causes[a]; ok {
			out = append(out, s)
		} else if d.silent[a] {
			out = append(out, a+" takes connections but does not answer: is it a Kafka broker, and is it alive?")
		}
	}
	return out
}

func (d *dialer) lastError() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

func (d *dialer) explainDial(addr string, err error) string {
	host, _, splitErr := net.SplitHostPort(addr)
	if splitErr != nil {
		host = addr
	}
	var dns *net.DNSError
	var what string
	switch {
	case errors.As(err, &dns):
		what = fmt.Sprintf("the name %s does not resolve", host)
	case errors.Is(err, syscall.ECONNREFUSED):
		what = fmt.Sprintf("%s refuses the connection", addr)
	case isTimeout(err):
		what = fmt.Sprintf("%s does not answer", addr)
	default:
		what = fmt.Sprintf("cannot connect to %s: %v", addr, rootCause(err))
	}
	if d.seeds[addr] && errors.Is(err, syscall.ECONNREFUSED) {
		return what + ": is the broker running, and does it listen on that port?"
	}
	return what
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

func rootCause(err error) error {
	for {
		u := errors.Unwrap(err)
		if u == nil {
			return err
		}
		err = u
	}
}

func explainTLS(addr string, err error) string {
	var header tls.RecordHeaderError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	switch {
	case errors.As(err, &header):
		return addr + " does not speak TLS: use its TLS port, or security.protocol=PLAINTEXT or SASL_PLAINTEXT"
	case errors.As(err, &unknown):
		return addr + " shows a certificate that is not trusted here: point ssl.truststore.location (ssl.truststore.type=PEM) at its CA"
	case errors.As(err, &host):
		return fmt.Sprintf("the certificate of %s is for another name (%v): connect by that name, or set ssl.endpoint.identification.algorithm= to skip the check", addr, host)
	case errors.Is(err, io.EOF):
		return addr + " closed the connection during the TLS handshake: it may be a plaintext port, or want a client certificate"
	}
	return fmt.Sprintf("the TLS handshake with %s failed: %v", addr, err)
}

// sniffer looks at the first bytes that a plaintext peer sends: what is not
// Kafka can usually be named.
type sniffer struct {
	net.Conn
	addr string
	d    *dialer
	seen bool
}

func (s *sniffer) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if n > 0 && !s.seen {
		s.d.mu.Lock()
		delete(s.d.silent, s.addr)
		s.d.mu.Unlock()
	}
	if !s.seen && (n > 0 || err != nil) {
		s.seen = true
		if what := s.explain(p[:n], err); what != "" {
			s.d.remember(s.addr, &ProtocolError{what}, what)
		}
	}
	return n, err
}

// ProtocolError is a peer that is not a Kafka broker on a plaintext port.
type ProtocolError struct{ Message string }

func (e *ProtocolError) Error() string { return e.Message }

// frameSize reports whether a first answer can be as long as its first four bytes say: it holds a correlation id at least, and
// only versions of APIs.
func frameSize(n uint32) bool { return n >= 4 && n <= 1<<20 }

func (s *sniffer) explain(first []byte, err error) string {
	switch {
	case len(first) >= 2 && first[0] == 0x15 && first[1] == 3:
		return s.addr + " speaks TLS: set security.protocol=SSL (or SASL_SSL) and a truststore in the --command-config file"
	case bytes.HasPrefix(first, []byte("HTTP")) || bytes.HasPrefix(first, []byte("<")):
		return s.addr + " speaks HTTP, not Kafka: check the port"
	case bytes.HasPrefix(first, []byte("SSH-")):
		return s.addr + " speaks SSH, not Kafka: check the port"
	case len(first) >= 4 && !frameSize(binary.BigEndian.Uint32(first)):
		return s.addr + " sends what is not Kafka's protocol: check the port"
	case len(first) == 0 && errors.Is(err, io.EOF) && !s.d.secured:
		return s.addr + " closed the connection without an answer: the listener may require TLS or SASL (security.protocol in the --command-config file)"
	}
	return ""
}
