package broker

import "github.com/moldau-stream/moldau/internal/server"

// apiVersions tells what is served and which features are finalized. v0-4.
func (b *Broker) apiVersions(r *server.Request) {
	server.ReplyApiVersions(r, b.Image(), b.controller.KRaftVersion())
}
