// Package sim runs whole clusters in one process, hurts them, and looks whether they keep their promises.
//
// A world is three or five whole nodes (package node: broker and controller in
// one) on a network and on disks in memory, in a bubble of testing/synctest: the
// time is virtual, and an hour of it takes seconds. A seed draws what happens:
// nodes are killed or lose power with all that was not synced, all or some of it
// torn; nodes are paused where they stand and go on later; links are cut, one way or
// both, slowed down and reset; disks turn slow, fail to sync and fill up; clocks are
// hours off and jump; voters leave the quorum and come back; replicas move.
// Meanwhile clients write with acks=all, and a ledger remembers what was acknowledged; others write in transactions, abort some
// and die in some; and the members of two groups, one of each protocol, copy what the ledger's writers write, in transactions with their
// offsets, and stand still or die in the middle of that. One broker coordinates all groups and another all transactions, until it is hurt.
//
// After each step: one active controller in an epoch, one leader of a partition
// in an epoch, epochs and watermarks that do not go back, and the same image at the
// same offset. At the end, when all is well again: each acknowledged record once, in order, at
// its offset; each transaction that was committed whole and once, and nothing of one that was aborted; each copy made once and
// in order; no commit of an offset before an earlier one; and the replicas' logs of every topic equal byte by byte.
//
// What a seed replays: the faults, in their order and at their (virtual) times.
// The order in which the goroutines of a moment run is the scheduler's; a run is
// therefore alike and not the same, and a failure may need a few runs of its seed.
//
// The links are TCP's: they do not double or reorder what one connection carries. Clients whose connections break
// send again; messages that come twice and out of order are Raft's, in package quorum's simulation.
//
// Nothing but tests is in here, and no product code imports it. The parts have
// simulations of their own, whose runs their seeds replay exactly (package replica) or nearly
// (package quorum); there are the planted bugs inside of product code, too.
package sim
