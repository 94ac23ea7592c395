package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// UnansweredError is a request to which no bootstrap server has an answer.
type UnansweredError struct {
	Request string   // Kafka's constant for the API
	Servers []string // those that were asked, in that order
	Cause   error
}

func (e *UnansweredError) Error() string {
	return fmt.Sprintf("Request %s failed on brokers [%s]", e.Request, strings.Join(e.Servers, ", "))
}

func (e *UnansweredError) Unwrap() error { return e.Cause }

// OnceEach asks the bootstrap servers in any order, each once, until one answers. It logs as the old admin client of
// Kafka, which asks so: the one that has no configuration of its name.
func (c *Client) OnceEach(ctx context.Context, req kmsg.Request) error {
	c.Settings.legacy, c.dialer.log.admin = true, false
	failed := &UnansweredError{Request: apiConstant(kmsg.NameForKey(req.Key()))}
	seeds := c.Client.SeedBrokers()
	for _, at := range rand.Perm(len(seeds)) {
		one, cancel := context.WithTimeout(ctx, c.Settings.RequestTimeout)
		_, err := seeds[at].Request(one, req)
		cancel()
		if err == nil {
			return nil
		}
		if fatal := c.fatal(err); fatal != nil {
			return fatal
		}
		failed.Servers, failed.Cause = append(failed.Servers, fmt.Sprintf("%s (id: %d rack: null isFenced: false)", c.Settings.Bootstrap[at], -1-at)), err
	}
	c.explainOnce()
	return failed
}
