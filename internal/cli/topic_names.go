package cli

import "fmt"

// maxTopicName is Kafka's: with a partition behind it, the name of a folder.
const maxTopicName = 249

// checkTopicName says why a name cannot be a topic's.
func checkTopicName(name string) error {
	const invalid = "Topic name is invalid: "
	switch {
	case name == "":
		return fmt.Errorf(invalid + "the empty string is not allowed")
	case name == "." || name == "..":
		return fmt.Errorf(invalid+"'%s' is not allowed", name)
	case len(name) > maxTopicName:
		return fmt.Errorf(invalid+"the length of '%s' is longer than the max allowed length %d", name, maxTopicName)
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return fmt.Errorf(invalid+"'%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name)
		}
	}
	return nil
}
