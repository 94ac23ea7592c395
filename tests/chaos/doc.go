// Package chaos runs three nodes as real processes, lets foreign clients write and read under load, and meanwhile kills,
// stops, pauses and cuts off leaders, controllers and coordinators. At the end it reads everything and checks, as Jepsen's
// Kafka workload does, that no acknowledged record is lost, doubled or out of order, that two reads never differ, that no
// poll goes backward, that transactions are whole or invisible, and that the replicas' logs are the same byte for byte.
//
// The runner calls it. It owns the processes, the links between them (each a small TCP proxy that can be cut) and the
// clients. A seed decides the kinds of faults and their moments, not how the processes are scheduled. If the package is
// wrong, a cluster that loses records passes.
package chaos
