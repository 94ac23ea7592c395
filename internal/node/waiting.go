package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/internal/config"
)

// quietWait is how long a start waits for the controllers before it says so: those of a cluster that starts are there sooner.
const quietWait = 5 * time.Second

// knowMetadata returns when this node knows the cluster's metadata, and says for whom it waits.
func (n *Node) knowMetadata(ctx context.Context) error {
	patience := n.o.Settings.Duration(config.InitialBrokerRegistrationTimeoutMs)
	known, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	told := n.o.Clock.AfterFunc(quietWait, func() {
		n.o.Logger.Info("waiting for a majority of the controllers", "controllers", n.controllersAsked(), "atMost", patience)
	})
	defer told.Stop()
	err := n.metadata.CaughtUp(known)
	if err == nil {
		return nil
	}
	if known.Err() == nil { // nobody need be waited for: it says itself what is wrong
		return fmt.Errorf("cannot read the cluster's metadata: %w", err)
	}
	return fmt.Errorf("cannot read the cluster's metadata within %s: %w. The controllers of its configuration are %s: most of them must run and reach each other, these must be their controller listeners, and no other process may have the id of this node, %d",
		patience, err, n.controllersAsked(), n.id)
}

// controllersAsked is where the configuration says that the controllers are.
func (n *Node) controllersAsked() string {
	var out []string
	for _, v := range n.o.Settings.QuorumVoters() {
		out = append(out, fmt.Sprintf("%d@%s:%d", v.ID, v.Host, v.Port))
	}
	if len(out) == 0 {
		out = n.o.Settings.QuorumBootstrapServers()
	}
	return strings.Join(out, ",")
}
