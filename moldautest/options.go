package moldautest

import "io"

type options struct {
	inMemory bool
	settings []string
	log      io.Writer
}

// Option changes how New and Cluster start their brokers.
type Option func(*options)

// Config sets broker configs, each as "key=value": "auto.create.topics.enable=false". Any key of a server.properties may be set.
func Config(settings ...string) Option {
	return func(o *options) { o.settings = append(o.settings, settings...) }
}

// InMemory starts brokers without sockets; clients connect by Engine.Dial.
func InMemory() Option { return func(o *options) { o.inMemory = true } }

// Log writes what the brokers log; without it that is thrown away. t.Output() shows it with the test's own output.
func Log(w io.Writer) Option { return func(o *options) { o.log = w } }
