// Package node is the composition root: from settings and the seams to the world
// it builds one node, broker and controller as process.roles says, starts it in
// the order in which its parts need each other, and stops it in the reverse.
//
// cmd/moldau starts one; tests start as many as they like in one process. A Node
// owns everything it has built. Nothing here decides anything that could lose
// data: the order does, and it is written down in Start and Stop.
package node
