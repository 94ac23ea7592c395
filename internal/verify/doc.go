// Package verify is a protocol probe: it speaks every API that a
// Kafka-compatible cluster advertises, at its lowest and its highest version,
// holds the answers against the rules that Kafka's documentation, its KIPs and
// its own behaviour state, and checks a short history of producers,
// transactions, consumers and groups for records that were lost, doubled,
// reordered or torn.
//
// Its caller is `moldau verify`. It is a client as any other and knows nothing of
// the cluster's inside, so it may be pointed at anybody's cluster: everything that
// it makes has a name with a prefix of its own and is removed at the end, it
// changes no config, quota, user, feature or replica of anybody else, and
// whatever could is sent in a form that must be refused.
//
// Apache Kafka is how the rules themselves are tested: a rule that Kafka breaks is
// a wrong rule. If this package is wrong, a broker that loses records gets a
// clean report, or a good one a bad name.
package verify
