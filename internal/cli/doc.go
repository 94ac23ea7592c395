// Package cli holds Kafka's command-line tools: one file, or a few, for each.
//
// A tool is a function from (Env, arguments) to an exit code. Standard output
// and the exit code are Kafka's to the letter, because scripts depend on them,
// even where Kafka exits 0 on a failure (MOLDAU_STRICT=1 turns that into 1). On
// standard error Kafka's line comes first; a line that begins with "moldau:" may
// follow and says what to do next. What the clients of Kafka's tools log there at
// WARN and above, ours log in the same words.
//
// Run is called by cmd/moldau and picks the tool by the name under which the
// binary was started (kafka-topics, kafka-topics.sh, kafka-topics.exe) or by the
// first argument (moldau topics, moldau kafka-topics). The tools are clients:
// they know the cluster only through internal/client. What a tool needs of the
// server side, such as formatting a directory or running a node, is handed in
// as functions in Env.
//
// Where a tool takes a regular expression that must match a whole name it is Java's: pattern_parse.go and
// pattern_class.go read it, pattern.go matches it.
//
// All state of a run is in its Env and dies with it. What is lost if this
// package is wrong is trust: scripts that worked with Kafka no longer do.
package cli
