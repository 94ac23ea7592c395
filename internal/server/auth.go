package server

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/moldau-stream/moldau/internal/security"
)

func isSASL(key int16) bool {
	return key == int16(kmsg.SASLHandshake) || key == int16(kmsg.SASLAuthenticate)
}

// allowed refuses an API that is not served in the connection's present state.
func (c *Conn) allowed(key int16) error {
	if isSASL(key) {
		return nil // the authenticator knows whether it is time for it
	}
	if c.sessionExpired() {
		return fmt.Errorf("API %d after the session has expired, without authenticating anew", key)
	}
	if c.State() != Ready && key != int16(kmsg.ApiVersions) {
		return fmt.Errorf("API %d before authentication", key)
	}
	return nil
}

// sessionExpired says whether the peer had to authenticate anew and has not.
func (c *Conn) sessionExpired() bool {
	return !c.expiresAt.IsZero() && !c.srv.cfg.Clock.Now().Before(c.expiresAt)
}

// authenticate has the connection's authenticator take one step, in the place of the handler.
func (c *Conn) authenticate(r *Request) error {
	resp, err := c.auth.Step(r.Body, c.srv.cfg.Clock.Now())
	c.served(r)
	c.noteSession()
	switch {
	case resp == nil && err == nil:
		r.NoReply()
	case resp == nil:
		r.CloseConn(fmt.Errorf("cannot authenticate: %w", err))
	case err != nil:
		r.ReplyAndClose(resp, fmt.Errorf("cannot authenticate: %w", err))
	default:
		r.Reply(resp)
	}
	return nil
}

// noteSession takes over what the authenticator has found out.
func (c *Conn) noteSession() {
	session, ok := c.auth.Session()
	if !ok {
		return
	}
	c.setSession(session)
	c.expiresAt = session.ExpiresAt
	c.state.Store(int32(Ready))
}

func (c *Conn) setSession(s security.Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = s
}
