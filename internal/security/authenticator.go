package security

import (
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Protocol is the security protocol of a listener.
type Protocol string

// Kafka's four security protocols.
const (
	Plaintext     Protocol = "PLAINTEXT"
	SSL           Protocol = "SSL"
	SASLPlaintext Protocol = "SASL_PLAINTEXT"
	SASLSSL       Protocol = "SASL_SSL"
)

// Peer is the other end of a connection that is being opened.
type Peer struct {
	Listener string
	Addr     net.Addr
}

// ListenerAuth makes the Authenticator of each connection of one listener.
type ListenerAuth interface {
	// Protocol is what the listener speaks.
	Protocol() Protocol
	// Transport wraps a freshly accepted connection (TLS); plaintext returns it as it is.
	// It must not block: a handshake runs with the first read.
	Transport(conn net.Conn) net.Conn
	// Authenticator begins the authentication of one connection.
	Authenticator(peer Peer) Authenticator
}

// Authenticator is the state machine that a connection passes before requests
// other than ApiVersions and the SASL APIs are let through. It belongs to the
// connection's goroutine.
type Authenticator interface {
	// Session is the outcome so far; ok is false until the peer is known.
	Session() (s Session, ok bool)
	// Step takes a SaslHandshake or SaslAuthenticate request and gives its reply. An error ends
	// the connection after the reply, where there is one, has been sent.
	Step(req kmsg.Request, now time.Time) (kmsg.Response, error)
}

// Session is an authenticated peer.
type Session struct {
	Principal Principal
	// ExpiresAt is when the peer must have authenticated anew; zero is never.
	ExpiresAt time.Time
}

// PlaintextAuth is a listener without encryption and without authentication.
type PlaintextAuth struct{}

// Protocol is PLAINTEXT.
func (PlaintextAuth) Protocol() Protocol { return Plaintext }

// Transport leaves the connection as it is.
func (PlaintextAuth) Transport(conn net.Conn) net.Conn { return conn }

// Authenticator has nothing to ask: the peer is User:ANONYMOUS from the first byte.
func (PlaintextAuth) Authenticator(Peer) Authenticator { return anonymous{} }

type anonymous struct{}

func (anonymous) Session() (Session, bool) { return Session{Principal: Anonymous()}, true }

// illegalSaslState is Kafka's error code for a SASL request where none is expected.
const illegalSaslState = 34

// Step refuses: a SASL request on a listener without SASL is out of place.
func (anonymous) Step(req kmsg.Request, _ time.Time) (kmsg.Response, error) {
	switch r := req.(type) {
	case *kmsg.SASLHandshakeRequest:
		resp := r.ResponseKind().(*kmsg.SASLHandshakeResponse)
		resp.ErrorCode = illegalSaslState
		return resp, nil
	case *kmsg.SASLAuthenticateRequest:
		resp := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		resp.ErrorCode = illegalSaslState
		msg := "SaslAuthenticate request received on a listener that does not use SASL"
		resp.ErrorMessage = &msg
		return resp, nil
	default:
		return nil, fmt.Errorf("request key %d takes no part in authentication", req.Key())
	}
}

// NewListenerAuth gives the ListenerAuth of a security protocol, or says that this build does not serve it.
func NewListenerAuth(p Protocol) (ListenerAuth, error) {
	switch p {
	case Plaintext:
		return PlaintextAuth{}, nil
	case SSL, SASLPlaintext, SASLSSL:
		return nil, fmt.Errorf("security protocol %s is not served yet: use PLAINTEXT for this listener", p)
	default:
		return nil, fmt.Errorf("%q is not a security protocol: use PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL", p)
	}
}
