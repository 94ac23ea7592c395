package broker

import (
	"context"
	"time"

	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// patience bounds a call to the controller whose request names no time of its own.
func (b *Broker) patience() time.Duration { return b.conf().Duration(config.RequestTimeoutMs) }

// forward sends a request to the controller on a goroutine of its own, since it
// waits for a commit, and gives the answer to then; when there is no answer, failed
// makes one from the error.
func (b *Broker) forward(r *server.Request, req kmsg.Request, timeout time.Duration, then func(kmsg.Response), failed func(*kerr.Error, string)) {
	if timeout <= 0 {
		timeout = b.patience()
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		resp, err := b.controller.Call(ctx, r.Conn.Principal(), req)
		if err == nil {
			then(resp)
			return
		}
		b.logger.Warn("the controller gave no answer", "request", kmsg.NameForKey(req.Key()), "client", r.ClientID, "cause", err)
		if ctx.Err() != nil {
			failed(kerr.RequestTimedOut, "the controller did not answer in time")
			return
		}
		failed(kerr.NotController, err.Error())
	}()
}

func millis(ms int32) time.Duration { return time.Duration(ms) * time.Millisecond }
