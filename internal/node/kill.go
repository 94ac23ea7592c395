package node

import "context"

// Kill ends the node as a killed process ends: nobody is told, no request gets an answer any more. It returns when nothing of it
// runs. Meanwhile it may still write to its files: who wants to see what a kill leaves behind starts the next node on a copy of
// the disk that was taken before (vfs.Mem's KillClone and CrashClone).
func (n *Node) Kill() {
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	n.cluster.link.Close() // who waits for a controller would outlive the node
	n.cluster.directory.Close()
	if n.cluster.server != nil {
		_ = n.cluster.server.Shutdown(gone)
	}
	if n.server != nil {
		_ = n.server.Shutdown(gone)
	}
	n.abandon()
}
