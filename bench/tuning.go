package main

import (
	"os"
	"os/exec"
	"path/filepath"
)

// tuning has "moldau tuning-lab" write its reports from a node of their own, which is not pinned, as the reader's is not.
func tuning(o options) error {
	o.brokerCPU = -1
	e, err := newEnv(o)
	if err != nil {
		return err
	}
	defer e.close()
	if o.moldau == "" {
		if o.moldau, err = build(e.dir); err != nil {
			return err
		}
	}
	o.moldau, _ = filepath.Abs(o.moldau)
	b, err := e.broker(subject{name: "moldau", kind: kindMoldau, binary: o.moldau}, "tuning", nil)
	if err != nil {
		return err
	}
	cmd := exec.Command(o.moldau, append([]string{"tuning-lab", "--bootstrap-server", b.Addr, "--out", o.out}, o.args...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
