package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/sasl"
)

// UnusableError says why no connection can be opened, to whatever broker: waiting does not help.
type UnusableError struct{ why string }

func (e *UnusableError) Error() string { return e.why }

// unusableMechanism stands for a SASL mechanism that nobody has. Kafka's clients take it and then fail to open each
// connection, until their time is up.
type unusableMechanism struct {
	name string
	err  *UnusableError
}

func (m *unusableMechanism) Name() string { return m.name }

func (m *unusableMechanism) Authenticate(context.Context, string) (sasl.Session, []byte, error) {
	return nil, nil, m.err
}

// noMechanism answers for a mechanism that is not served here. Kerberos exists, so that it is said at once.
func noMechanism(name string) (sasl.Mechanism, error) {
	const available = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER are available"
	if name == "GSSAPI" {
		return nil, &ConfigError{"Invalid value GSSAPI for configuration sasl.mechanism: " + available}
	}
	return &unusableMechanism{name, &UnusableError{fmt.Sprintf("there is no SASL mechanism %s: %s (sasl.mechanism)", name, available)}}, nil
}

// Unusable reports whether err is of connections that can never be opened.
func Unusable(err error) bool { return errors.As(err, new(*UnusableError)) }
