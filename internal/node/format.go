package node

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/quorum"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/storage"
)

// identity is what the log directories say about the node that they belong to.
type identity struct {
	clusterID string
	dirs      map[string][16]byte // directory id by path
}

// identify reads meta.properties of every log directory, formats what is empty where
// that is wanted, and refuses directories that belong to another cluster or node.
func (n *Node) identify() (identity, error) {
	id := identity{clusterID: n.o.ClusterID, dirs: make(map[string][16]byte)}
	var empty []string
	owner := ""
	for _, dir := range n.dirs() {
		p, err := storage.ReadMetaProperties(n.o.FS, dir)
		if errors.Is(err, fs.ErrNotExist) {
			empty = append(empty, dir)
			continue
		}
		if err != nil {
			return id, n.unreadProperties(dir, id.clusterID, err)
		}
		if p.NodeID != n.id {
			return id, fmt.Errorf("log directory %s belongs to node %d, and this node is %d: correct node.id, or give this node a directory of its own", dir, p.NodeID, n.id)
		}
		if owner != "" && p.ClusterID != id.clusterID {
			return id, fmt.Errorf("log directory %s belongs to cluster %s, but %s to cluster %s: a node's directories must be of one cluster", dir, p.ClusterID, owner, id.clusterID)
		}
		if p.DirectoryID == ([16]byte{}) {
			return id, fmt.Errorf("cannot use log directory %s: its meta.properties has no directory.id, without which the cluster does not know what is in it: correct the file; where it never had one, add the line directory.id=%s", dir, meta.FormatUUID(newUUID()))
		}
		owner, id.clusterID = dir, p.ClusterID
		id.dirs[dir] = p.DirectoryID
	}
	for _, dir := range empty {
		if found, err := n.signOfUse(dir); err != nil || found != "" {
			return id, errors.Join(err, n.lostProperties(dir, found, id.clusterID))
		}
	}
	if len(empty) > 0 && owner == "" && !n.o.AutoFormat {
		return id, notFormatted(empty)
	}
	if err := n.checkMetadataPlace(id.dirs); err != nil {
		return id, err
	}
	if id.clusterID == "" {
		s := n.o.Settings
		if !n.alone() && !(s.IsController() && len(s.QuorumVoters()) == 0 && len(s.QuorumBootstrapServers()) == 1) {
			return id, errors.New("cannot make a cluster id by itself: this node is one of several of a cluster, which all must be formatted with the same id; run kafka-storage format --cluster-id ID on each, or set CLUSTER_ID")
		}
		id.clusterID = meta.FormatUUID(newUUID())
	}
	for _, dir := range empty {
		u, err := n.format(dir, id.clusterID)
		if err != nil {
			return id, err
		}
		id.dirs[dir] = u
	}
	return id, nil
}

// checkMetadataPlace refuses to begin an empty metadata log beside one that is there. The metadata directory is the
// first of log.dirs unless metadata.log.dir says otherwise: another order of the list once made every topic vanish.
func (n *Node) checkMetadataPlace(formatted map[string][16]byte) error {
	own := filepath.Clean(n.o.Settings.MetadataDir())
	for _, dir := range n.dirs() {
		has, err := n.holdsAny(dir, storage.MetadataLogDir)
		if err != nil {
			return err
		}
		if has && dir != own {
			return fmt.Errorf("the metadata log is in %s, but the metadata directory of this configuration is %s: set metadata.log.dir=%s, or put it first in log.dirs", dir, own, dir)
		}
	}
	if _, ok := formatted[own]; !ok {
		return nil // it will be formatted, or has been refused
	}
	if has, err := n.holdsAny(own, storage.MetadataLogDir, quorum.BootstrapName); has || err != nil {
		return err
	}
	if found, err := n.signOfUse(own); found != "" || err != nil {
		return errors.Join(err, fmt.Errorf("log directory %s holds data (%s) but no metadata log, which was in another directory: set metadata.log.dir to that, or restore log.dirs as it was", own, found))
	}
	return nil
}

// holdsAny says that dir has a file or directory of one of these names.
func (n *Node) holdsAny(dir string, names ...string) (bool, error) {
	for _, name := range names {
		_, err := n.o.FS.Stat(filepath.Join(dir, name))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("cannot look into log directory %s: %w", dir, err)
		}
	}
	return false, nil
}

func notFormatted(dirs []string) error {
	return fmt.Errorf("log directory %s is not formatted: format it once with\n\n    kafka-storage format --cluster-id $(kafka-storage random-uuid) --config server.properties\n\nand start again (for a node that stands alone add --standalone where controller.quorum.bootstrap.servers is set). All nodes of a cluster have one id: a node of one that runs already takes its id, which kafka-cluster cluster-id tells",
		strings.Join(dirs, ", "))
}

// signOfUse is the name of something in dir that only a node that ran there has left, "" if there is nothing: a file
// that was lost must not make a directory of data look like a new one, since nothing in it would be found again.
func (n *Node) signOfUse(dir string) (string, error) {
	entries, err := n.o.FS.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot look into log directory %s: %w", dir, err)
	}
	for _, e := range entries {
		if _, err := storage.ParseTopicPartition(e.Name()); err == nil && e.IsDir() {
			return e.Name(), nil
		}
		if e.Name() == quorum.WALName {
			return e.Name(), nil
		}
	}
	return "", nil
}

// lostProperties says how to get the file back. The cluster's id other directories know, or other nodes.
func (n *Node) lostProperties(dir, found, cluster string) error {
	if found == "" {
		return nil
	}
	return fmt.Errorf("log directory %s holds data (%s) but no meta.properties: it is not formatted anew, since the data would then be lost to the cluster; %s", dir, found, n.backToProperties(cluster))
}

// unreadProperties says how to mend a file that was cut or emptied; one that cannot be reached is not to be mended.
func (n *Node) unreadProperties(dir, cluster string, err error) error {
	if !errors.Is(err, storage.ErrMetaProperties) {
		return fmt.Errorf("cannot use log directory %s: %w", dir, err)
	}
	return fmt.Errorf("cannot use log directory %s: %w; %s", dir, err, n.backToProperties(cluster))
}

func (n *Node) backToProperties(cluster string) string {
	whose := "cluster.id=" + cluster
	if cluster == "" {
		whose = "cluster.id=ID, where ID is the cluster's, which the meta.properties of its other nodes and clients' logs name (kafka-cluster cluster-id asks a running node; a new id would make this another cluster)"
	}
	return fmt.Sprintf("put the file back from a backup (lines version=1, node.id=%d, directory.id as it was and %s), or move the data away to start with an empty directory", n.id, whose)
}

// format makes dir a log directory of this node. meta.properties comes last: with
// it the directory counts as formatted.
func (n *Node) format(dir, clusterID string) ([16]byte, error) {
	u := newUUID()
	fail := func(err error) ([16]byte, error) {
		return u, fmt.Errorf("cannot format log directory %s: %w", dir, err)
	}
	if err := n.o.FS.MkdirAll(dir, 0o755); err != nil {
		return fail(err)
	}
	if dir == filepath.Clean(n.o.Settings.MetadataDir()) {
		now := n.o.Clock.Now().UnixMilli()
		if err := quorum.WriteBootstrap(n.o.FS, dir, now, meta.BootstrapRecords()); err != nil {
			return fail(err)
		}
		if err := n.formatStandalone(dir, u, now); err != nil {
			return fail(err)
		}
	}
	if err := storage.WriteMetaProperties(n.o.FS, dir, storage.MetaProperties{ClusterID: clusterID, NodeID: n.id, DirectoryID: u}); err != nil {
		return fail(err)
	}
	n.o.Logger.Info("formatted a log directory", "dir", dir, "cluster", clusterID)
	return u, nil
}

// formatStandalone makes a controller that formats itself, and whose only way to the quorum is itself, the first voter of
// a dynamic quorum.
func (n *Node) formatStandalone(dir string, u [16]byte, nowMs int64) error {
	s := n.o.Settings
	l := n.controllerListeners()
	if !s.IsController() || len(s.QuorumVoters()) > 0 || len(l) == 0 {
		return nil
	}
	own := net.JoinHostPort(l[0].Host, strconv.Itoa(l[0].Port))
	if b := s.QuorumBootstrapServers(); len(b) != 1 || b[0] != own {
		return nil
	}
	return quorum.WriteVoters(n.o.FS, dir, nowMs, 1, []record.Voter{{
		ReplicaKey: record.ReplicaKey{ID: n.id, DirectoryID: u}, MaxKRaftVersion: 1,
		Endpoints: []record.VoterEndpoint{{Name: l[0].Name, Host: l[0].Host, Port: uint16(l[0].Port)}},
	}})
}

// dirs are the node's log directories and the metadata directory, each once.
func (n *Node) dirs() []string {
	var out []string
	seen := make(map[string]bool)
	for _, d := range append(n.dataDirs(), n.o.Settings.MetadataDir()) {
		d = filepath.Clean(d)
		if !seen[d] {
			seen[d] = true
			out = append(out, d)
		}
	}
	return out
}
