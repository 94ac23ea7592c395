//go:build !linux

package peer

import "net"

// lowWater needs Linux: elsewhere a reader is woken for every piece.
type lowWater struct{}

func newLowWater(net.Conn) lowWater { return lowWater{} }

func (*lowWater) want(int) {}
