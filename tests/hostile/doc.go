// Package hostile attacks a server the way broken and malicious clients do,
// while a normal client works on it: the normal client must not notice, the
// server must stay up, and its memory must stay bounded.
//
// The runner calls it, with a node of its own. If it is wrong, one bad client
// can take a broker down.
package hostile
