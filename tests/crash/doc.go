// Package crash kills a server with SIGKILL under load, again and again, and
// then reads everything: each acknowledged record must be there, once, at the
// offset that was acknowledged, in the order of its producer; each acknowledged
// topic and committed offset must be there too.
//
// The runner calls it. It owns the node and its clients. If it is wrong, a
// server that loses or doubles acknowledged records passes.
package crash
