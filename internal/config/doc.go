// Package config knows every configuration key of Kafka and of Moldau: name,
// type, default, allowed values, whether it may change while the node runs, what
// it is for, and whether this build serves it.
//
// It reads a node's configuration from a properties file, overrides and the
// environment (Load), says in sentences what is wrong with it (Report), and gives
// the rest of the node typed access to it (Config). It resolves the layers that
// DescribeConfigs shows and checks the values that AlterConfigs brings.
//
// A Config never changes: what alters broker settings at run time makes a new one
// by WithDynamic and hands that out. Nothing in here keeps state.
//
// If it is wrong, a node starts with settings other than its operator wrote: data
// is kept for too short a time, or acknowledged too early. So an unknown name, a
// value that cannot be, and a setting without effect are each said aloud, with
// file and line.
package config

//go:generate go test . -run TestDocumentationIsFresh -update
