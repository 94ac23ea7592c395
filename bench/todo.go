package main

import "time"

var soakLength time.Duration

func compare(o options) error { return nil }
func soak(o options) error    { return nil }
func rewrite(o options) error { return nil }
