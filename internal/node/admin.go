package node

import (
	"github.com/moldau-stream/moldau/internal/admin"
	"github.com/moldau-stream/moldau/internal/config"
)

// startAdmin serves metrics and health, where an address is given for them. A node
// on the default address goes without when another node has it: it is a convenience.
func (n *Node) startAdmin() error {
	s := n.o.Settings
	address := s.String(config.MoldauAdminListener)
	if address == "" {
		return nil
	}
	a, err := admin.Start(admin.Options{
		Address: address, AllowRemote: s.Bool(config.MoldauAdminAllowRemote), Listen: n.o.Network.Listen,
		Registry: n.registry, Health: n.health, Log: n.o.Logger,
	})
	switch {
	case err == nil:
		n.admin = a
	case s.IsSet(config.MoldauAdminListener):
		return explainListen(err)
	default:
		n.o.Logger.Warn("metrics and health are not served: set moldau.admin.listener to a free address", "cause", err)
	}
	return nil
}
