package meta

import "fmt"

// MaxTopicNameBytes leaves room for "-" and a partition number in the name of a directory.
const MaxTopicNameBytes = 249

// CheckTopicName says what is wrong with the name of a topic, in Kafka's words; nil when nothing is.
func CheckTopicName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("Topic name is invalid: the empty string is not allowed") //nolint:staticcheck // Kafka's words
	case name == "." || name == "..":
		return fmt.Errorf("Topic name is invalid: '%s' is not allowed", name) //nolint:staticcheck // Kafka's words
	case len(name) > MaxTopicNameBytes:
		return fmt.Errorf("Topic name is invalid: the length of '%s' is longer than the max allowed length %d", name, MaxTopicNameBytes) //nolint:staticcheck // Kafka's words
	}
	for i := range len(name) {
		if !topicNameByte(name[i]) {
			return fmt.Errorf("Topic name is invalid: '%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name) //nolint:staticcheck // Kafka's words
		}
	}
	return nil
}

func topicNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
}
