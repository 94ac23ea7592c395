// Package admin is the node's HTTP listener for machines and operators: metrics,
// health checks, profiles. The node starts and stops it and owns what it shows
// (obs.Registry, obs.Health); this package only reads.
//
// It asks nobody for a password, so it binds to loopback unless it is told
// otherwise, and on loopback it refuses requests that a web page elsewhere could
// have had a browser make. If it is wrong, profiles and metrics leak, or a
// supervisor kills a node that was merely recovering.
package admin
