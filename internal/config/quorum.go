package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Voter is one entry of controller.quorum.voters.
type Voter struct {
	ID   int32
	Host string
	Port int
}

// Address is host:port.
func (v Voter) Address() string { return net.JoinHostPort(v.Host, strconv.Itoa(v.Port)) }

// QuorumVoters are the controllers of a fixed quorum; none when the quorum is found by its bootstrap servers.
func (c *Config) QuorumVoters() []Voter {
	voters, err := parseVoters(c.value(ControllerQuorumVoters).list)
	if err != nil {
		panic("config: a checked configuration has bad voters: " + err.Error())
	}
	return voters
}

// QuorumBootstrapServers are the addresses, host:port, at which the quorum is looked for.
func (c *Config) QuorumBootstrapServers() []string { return c.List(ControllerQuorumBootstrapServers) }

func parseVoters(list []string) ([]Voter, error) {
	var voters []Voter
	for _, s := range list {
		id, address, ok := strings.Cut(s, "@")
		if !ok {
			return nil, fmt.Errorf("%s is not of the form {id}@{host}:{port}", s)
		}
		n, err := strconv.ParseInt(id, 10, 32)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("failed to parse voter ID as an integer from %s", id)
		}
		host, port, err := parseHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("in the entry %s: %w", s, err)
		}
		for _, v := range voters {
			if v.ID == int32(n) {
				return nil, fmt.Errorf("voter %d stands in it twice", n)
			}
		}
		voters = append(voters, Voter{ID: int32(n), Host: host, Port: port})
	}
	return voters, nil
}

func parseHostPort(s string) (host string, port int, err error) {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		return "", 0, fmt.Errorf("%s is not of the form {host}:{port}", s)
	}
	port, err = strconv.Atoi(s[colon+1:])
	if err != nil || port < 0 || port > maxPort {
		return "", 0, fmt.Errorf("the port of %s is not a number from 0 to %d", s, maxPort)
	}
	host, err = hostOf(s[:colon])
	if err != nil {
		return "", 0, fmt.Errorf("unable to parse the host of %s: %w", s, err)
	}
	if host == "" {
		return "", 0, fmt.Errorf("%s has no host", s)
	}
	return host, port, nil
}
