// Package eos has Java applications process records exactly once on three nodes, and kills them and the nodes meanwhile: a
// Kafka Streams word count with exactly_once_v2, consumers of both group protocols that copy in transactions, and
// TransactionalMessageCopier of Kafka's system tests with its twin among moldau's tools.
//
// The runner calls it. It owns the applications' processes; the nodes belong to the runner's fleet. If the package is wrong, an
// application that counts twice passes.
package eos
