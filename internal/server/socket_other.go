//go:build !linux

package server

import "net"

func newSocket(_ *Conn, nc net.Conn) socket { return newPlainSocket(nc) }
