// Package security says who a connection is and what it may do. It owns the
// words for both (Principal, Operation, ResourceType, Action), the hook every
// handler asks before it looks at anything (Authorizer), and the state machine
// that each new connection passes before it may ask (Authenticator).
//
// The server runs one Authenticator for each connection and owns it; the broker
// calls the one Authorizer from any goroutine. Neither keeps state that outlives
// the process.
//
// If it is wrong, a stranger reads or deletes what is not theirs. So a handler
// authorizes before it looks whether a thing exists, and an Authorizer answers
// exactly one verdict for each action that it is asked about.
package security
