package cli

import (
	"slices"
	"strings"
)

// slip names what is likely wrong with the options of a tool that failed: what old tutorials have, what a blog's
// typesetting made of a dash, and what is nearly an option. "" where nothing is to be said.
func slip(tool string, args []string) string {
	for _, a := range args {
		if rest, ok := strings.CutPrefix(a, "–"); ok {
			return a + " begins with a long dash, as pages set it; the option is --" + strings.TrimLeft(rest, "–-")
		}
		name, isOption := strings.CutPrefix(a, "--")
		if !isOption || name == "" {
			continue
		}
		name, _, _ = strings.Cut(name, "=")
		known := optionWords(tool)
		begun := func(k string) bool { return strings.HasPrefix(k, "--"+name) } // options may be cut short
		if slices.ContainsFunc(known, begun) || name == "format" {              // which no help names
			continue
		}
		if advice := oldOption(name); advice != "" {
			return advice
		}
		if near := nearest("--"+name, known); near != "" {
			return "there is no option --" + name + "; did you mean " + near + "?"
		}
	}
	return ""
}

// oldOption is what took the place of an option that Kafka's tools no longer have.
func oldOption(name string) string {
	switch name {
	case "zookeeper", "zk":
		return "there is no ZooKeeper to ask since Kafka 4: name a broker instead, as --bootstrap-server localhost:9092"
	case "broker-list":
		return "--broker-list is now --bootstrap-server"
	case "whitelist":
		return "--whitelist is now --include"
	case "blacklist":
		return "--blacklist is now --exclude"
	case "new-consumer":
		return "--new-consumer is what consumers are since Kafka 2; leave it out"
	case "authorizer", "authorizer-properties":
		return "--" + name + " wrote to ZooKeeper: name a broker instead, as --bootstrap-server localhost:9092"
	}
	return ""
}
