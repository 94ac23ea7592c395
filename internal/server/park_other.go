//go:build !linux

package server

import "errors"

// lot is where connections would stand that have given up their goroutine; this system has none.
type lot struct{}

func newLot() (*lot, error) { return nil, nil }

func (*lot) add(*Conn) error { return errors.ErrUnsupported }
func (*lot) forget(*Conn)    {}
func (*lot) attend()         {}
func (*lot) close()          {}
