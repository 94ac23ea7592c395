package server

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/security"
)

// fakeSASL lets in whoever says "open sesame" after a handshake, for an hour.
type fakeSASL struct {
	shaken, in bool
	until      time.Time
}

func (*fakeSASL) Protocol() security.Protocol                        { return security.SASLPlaintext }
func (*fakeSASL) Transport(nc net.Conn) net.Conn                     { return nc }
func (*fakeSASL) Authenticator(security.Peer) security.Authenticator { return &fakeSASL{} }

func (f *fakeSASL) Session() (security.Session, bool) {
	return security.Session{Principal: security.User("alibaba"), ExpiresAt: f.until}, f.in
}

var errWrongPassword = errors.New("wrong password")

func (f *fakeSASL) Step(req kmsg.Request, now time.Time) (kmsg.Response, error) {
	switch r := req.(type) {
	case *kmsg.SASLHandshakeRequest:
		f.shaken = true
		return r.ResponseKind(), nil
	case *kmsg.SASLAuthenticateRequest:
		if !f.shaken || string(r.SASLAuthBytes) != "open sesame" {
			return &kmsg.SASLAuthenticateResponse{ErrorCode: 58}, errWrongPassword
		}
		f.in, f.until = true, now.Add(time.Hour)
		return r.ResponseKind(), nil
	}
	return nil, errors.New("not mine")
}

func handshake() []byte {
	return frameOf(&kmsg.SASLHandshakeRequest{Version: 1, Mechanism: "FAKE"}, 100)
}

func say(word string) []byte {
	return frameOf(&kmsg.SASLAuthenticateRequest{Version: 2, SASLAuthBytes: []byte(word)}, 101)
}

func TestNothingIsServedBeforeAuthentication(t *testing.T) {
	fake := clock.NewFake(time.Unix(1000, 0))
	var seen recorder
	s := start(t, func(r *Request) {
		if r.Key == 12 && r.SecurityContext().Principal.String() != "User:alibaba" {
			t.Errorf("%+v", r.SecurityContext())
		}
		r.Reply(r.Body.ResponseKind())
	}, func(cfg *Config) {
		cfg.Listeners[0].Auth, cfg.Clock, cfg.Observer, cfg.ConnectionsMaxIdle = &fakeSASL{}, fake, &seen, -1
	})

	t.Run("ApiVersions and SASL, then everything", func(t *testing.T) {
		nc := dial(t, s)
		send(t, nc, frameOf(&kmsg.ApiVersionsRequest{Version: 0}, 1), handshake(), say("open sesame"), heartbeat(2))
		wantAnswers(t, nc, 1, 100, 101, 2)
	})
	t.Run("another API first", func(t *testing.T) {
		nc := dial(t, s)
		send(t, nc, heartbeat(1))
		wantClosed(t, nc)
	})
	t.Run("the wrong word is answered, and what follows it is not", func(t *testing.T) {
		nc := dial(t, s)
		send(t, nc, bytes.Join([][]byte{handshake(), say("open barley"), say("open sesame"), heartbeat(1)}, nil))
		wantAnswers(t, nc, 100, 101)
		wantClosed(t, nc)
		eventually(t, "the reason is told", func() bool { return seen.closedWith(errWrongPassword) })
	})
	t.Run("a frame of more than 64 KiB", func(t *testing.T) {
		nc := dial(t, s)
		send(t, nc, binary.BigEndian.AppendUint32(nil, 64<<10+1))
		wantClosed(t, nc)
	})
	t.Run("a session that has expired", func(t *testing.T) {
		nc := dial(t, s)
		send(t, nc, handshake(), say("open sesame"), heartbeat(2))
		wantAnswers(t, nc, 100, 101, 2)
		settle(t, s)
		fake.Advance(2 * time.Hour)
		send(t, nc, handshake(), say("open sesame"), heartbeat(3))
		wantAnswers(t, nc, 100, 101, 3)
		settle(t, s)
		fake.Advance(2 * time.Hour)
		send(t, nc, heartbeat(4))
		wantClosed(t, nc)
	})
	t.Run("someone who never says a word", func(t *testing.T) {
		nc := dial(t, s)
		send(t, nc, handshake())
		wantAnswers(t, nc, 100)
		settle(t, s)
		fake.Advance(authTimeout + sweepInterval)
		wantClosed(t, nc)
		eventually(t, "the reason is told", func() bool { return seen.closedWith(ErrAuthTimeout) })
	})
}

func TestSASLWithoutSASLIsAnsweredAsOutOfPlace(t *testing.T) {
	s := start(t, ok, nil)
	nc := dial(t, s)
	send(t, nc, handshake(), heartbeat(1))
	id, body := readFrame(t, nc)
	resp := kmsg.SASLHandshakeResponse{Version: 1}
	if err := resp.ReadFrom(body); err != nil || id != 100 || resp.ErrorCode != 34 {
		t.Fatalf("%d %+v %v", id, resp, err)
	}
	wantAnswers(t, nc, 1)
}

// tlsAuth is a listener with TLS and without authentication.
type tlsAuth struct {
	security.PlaintextAuth
	cfg *tls.Config
}

func (tlsAuth) Protocol() security.Protocol      { return security.SSL }
func (a tlsAuth) Transport(nc net.Conn) net.Conn { return tls.Server(nc, a.cfg) }

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestTLSListeners(t *testing.T) {
	file, content := fileOf(t, 2_000_000)
	s := start(t, func(r *Request) {
		r.ReplyParts([]Part{{Bytes: []byte("head")}, {File: file, Pos: 0, Len: 1000}, {File: file, Pos: 1000, Len: int64(len(content)) - 1000}}, nil)
	}, func(cfg *Config) {
		cfg.Listeners[0].Auth = tlsAuth{cfg: &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}}
	})
	nc := tls.Client(dial(t, s), &tls.Config{InsecureSkipVerify: true})
	send(t, nc, bytes.Repeat(heartbeat(1), 3))
	for range 3 {
		if id, body := readFrame(t, nc); id != 1 || !bytes.Equal(body[1:], append([]byte("head"), content...)) {
			t.Fatal(id, len(body))
		}
	}
	plain := dial(t, s) // speaks Kafka into TLS
	send(t, plain, heartbeat(1))
	plain.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		if _, err := plain.Read(make([]byte, 64)); err != nil {
			break // after an alert
		}
	}
	eventually(t, "it is gone", func() bool { return s.Connections() == 1 })
}

func TestValidSoftware(t *testing.T) {
	for s, want := range map[string]bool{"librdkafka": true, "a": true, "v1.2-rc.3": true, "": false, "-a": false, "a.": false, "a b": false, "ä": false} {
		if ValidSoftware(s) != want {
			t.Errorf("%q", s)
		}
	}
}
