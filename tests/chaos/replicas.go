package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/tests/node"
	"github.com/moldau-stream/moldau/tests/report"
)

// checkTimeout bounds the tool that checks a log directory.
const checkTimeout = 3 * time.Minute

// verifyReplicas compares the logs of all replicas, byte by byte, once the nodes have stopped, and has each directory checked.
func verifyReplicas(ctx context.Context, c *cluster, spec node.Spec, rep *report.Report) {
	start := time.Now()
	same := &problems{}
	for _, dir := range partitionDirs(filepath.Join(c.nodes[1].Dir, "data")) {
		var first []byte
		for n := 1; n <= size; n++ {
			b, err := logBytes(filepath.Join(c.nodes[n].Dir, "data", dir))
			if err != nil {
				same.add("%s on node %d: %w", dir, n, err)
				continue
			}
			if n == 1 {
				first = b
			} else if !bytes.Equal(first, b) {
				same.add("%s on nodes 1 and %d: %d and %d bytes, equal up to byte %d", dir, n, len(first), len(b), commonBytes(first, b))
			}
		}
	}
	rep.Check("chaos", "the logs of all replicas are the same, byte by byte", time.Since(start), same.err())
	if spec.Kind != node.Moldau {
		return
	}
	for n := 1; n <= size; n++ {
		check, cancel := context.WithTimeout(ctx, checkTimeout)
		out, err := exec.CommandContext(check, spec.Binary, "log", "check", "--quiet", filepath.Join(c.nodes[n].Dir, "data")).CombinedOutput()
		cancel()
		if err != nil {
			err = fmt.Errorf("node %d: %w: %s", n, err, out)
		}
		rep.Check("chaos", "the log check finds nothing on node "+fmt.Sprint(n), time.Since(start), err)
	}
}

// partitionDirs are the directories of partitions, metadata apart: of it a node may have a snapshot instead of the log.
func partitionDirs(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if logs, _ := filepath.Glob(filepath.Join(dir, e.Name(), "*.log")); len(logs) > 0 && !strings.HasPrefix(e.Name(), "__cluster_metadata") {
			out = append(out, e.Name())
		}
	}
	return out
}

// logBytes is the contents of a partition: its segments one after the other, wherever they were cut. A segment may have
// room at its end that was never written to; it is zero and says nothing.
func logBytes(dir string) ([]byte, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(names) == 0 {
		return nil, errors.Join(err, errors.New("there is no log"))
	}
	sort.Strings(names)
	var all bytes.Buffer
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(&all, f)
		f.Close()
		if err != nil {
			return nil, err
		}
	}
	return all.Bytes(), nil
}

func commonBytes(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
