package storage

import (
	"fmt"
	"path"
	"strings"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// bootFile names the boot of the kernel that the directory was last written under. Kafka does not know it. As long as
// the kernel runs, everything that a process has written stays, however the process ended; so after a kill only the
// last write can be torn, while after a power cut each byte above the recovery point is in doubt.
const bootFile = "moldau-boot-id"

// takeBoot compares the kernel's boot with the noted one, and notes it. Without a boot id, or when the file cannot be
// read, the directory counts as one that has seen a power cut.
func (d *logDir) takeBoot() error {
	now := d.m.opts.BootID
	name := path.Join(d.path, bootFile)
	data, err := vfs.ReadFile(d.env.fs, name)
	d.sameBoot = err == nil && now != "" && strings.TrimSpace(string(data)) == now
	if d.sameBoot || now == "" && err != nil {
		return nil
	}
	// Also an unknown boot is noted: a later one must not be taken for that before.
	// Without a sync: should the power go, there is another boot, and whatever is left here names none that comes again.
	if err := writeFile(d.env.fs, name, []byte(now+"\n"), false); err != nil {
		return fmt.Errorf("cannot note the kernel's boot in %s: %w", d.path, err)
	}
	return nil
}
