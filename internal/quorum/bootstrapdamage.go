package quorum

import (
	"fmt"
	"path"
)

// passBootstrap decides about a bootstrap.checkpoint that cannot be read: what format left for the first leader nobody needs any
// more once it is in the metadata. Without it a cluster would begin otherwise than it was formatted.
func passBootstrap(cfg *Config, d *disk, damaged error) error {
	if damaged == nil {
		return nil
	}
	if len(d.replay.Image().Features()) == 0 {
		return fmt.Errorf("%w: what it says is not in the metadata log yet, so the file is needed: restore it from a backup, or, if this cluster holds nothing yet, format the directory again", damaged)
	}
	cfg.Logger.Warn("the bootstrap metadata cannot be read; the metadata log holds already what it said, so the node starts without it. The file may be removed",
		"file", path.Join(cfg.Dir, BootstrapName), "err", damaged)
	return nil
}
