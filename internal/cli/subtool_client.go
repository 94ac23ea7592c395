package cli

import (
	"strings"

	"github.com/moldau-stream/moldau/internal/client"
)

// Options that stand before the sub-command of several tools.
func bootstrapSubOptions() []subOption {
	return []subOption{
		{long: "bootstrap-server", metavar: "BOOTSTRAP_SERVER", exclusive: "bootstrap", doc: "The brokers to connect to, as host:port, several with commas."},
		{long: "bootstrap-controller", metavar: "BOOTSTRAP_CONTROLLER", exclusive: "bootstrap", doc: "The controllers to connect to, as host:port, several with commas."},
		{long: "command-config", metavar: "COMMAND_CONFIG", doc: "A properties file for the admin client."},
	}
}

// openSub makes an admin client from such options.
// onSub runs fn with the client of a sub-command, or says why there is none.
func (r *run) onSub(c *client.Client, err error, fn func(*client.Client) error) int {
	if err != nil {
		return r.subFailed(err)
	}
	defer c.Close()
	if err := fn(c); err != nil {
		return r.subFailed(err)
	}
	return 0
}

func (r *run) openSub(a *subArgs) (*client.Client, error) {
	file := a.value("command-config")
	if file == "" {
		file = a.value("config")
	}
	if a.has("bootstrap-controller") {
		return r.open(client.Admin, "", file, client.Properties{"bootstrap.controllers": a.value("bootstrap-controller")})
	}
	return r.open(client.Admin, a.value("bootstrap-server"), file)
}

// subFailed prints what ended a tool, where it is one sentence on standard error.
func (r *run) subFailed(err error) int {
	if code, ok := exitCode(err); ok {
		return r.fail(code)
	}
	r.errorln(strings.TrimRight(err.Error(), "\n"))
	r.explainConstruct(err)
	return r.fail(1)
}
