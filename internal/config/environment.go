package config

import (
	"regexp"
	"slices"
	"strings"
)

const (
	envPrefix   = "KAFKA_"
	otherPrefix = "KAFKA_CFG_" // of another family of images, in which each underscore is a dot
)

// imageVariables steer the container images and the start scripts of Kafka; they are not keys. A name
// that ends in _ stands for all that begin so.
var imageVariables = [...]string{
	"KAFKA_CLUSTER_ID", "KAFKA_GC_LOG_OPTS", "KAFKA_HEAP_OPTS", "KAFKA_HOME", "KAFKA_JMX_", "KAFKA_JVM_PERFORMANCE_OPTS",
	"KAFKA_LOG4J_", "KAFKA_OPTS", "KAFKA_TOOLS_LOG4J_", "KAFKA_VERSION", "KAFKA_DEBUG", "KAFKA_CLASSPATH", "KAFKA_BASE_DIR",
	"KAFKA_DEBUG_", "KAFKA_KRAFT_CLUSTER_ID", "KAFKA_KRAFT_BOOTSTRAP_SCRAM_USERS", "KAFKA_VOLUME_DIR", "KAFKA_DATA_DIR",
}

// serviceLink matches the variables that Kubernetes makes for a service named kafka.
func serviceLink(name, val string) bool {
	if name == "KAFKA_PORT" && strings.Contains(val, "://") {
		return true
	}
	ok, err := regexp.MatchString(`^KAFKA_(.*_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT_[0-9]+_(TCP|UDP)(_.*)?|PORT_TCP)$`, name)
	return err == nil && ok
}

// fromEnvironment turns the KAFKA_ variables of environ (NAME=value) into settings, as the
// container images of Kafka do.
func fromEnvironment(environ []string) []namedSetting {
	var all []namedSetting
	for _, e := range slices.Sorted(slices.Values(environ)) {
		name, val, ok := strings.Cut(e, "=")
		if !ok || !strings.HasPrefix(name, envPrefix) || name == envPrefix || isImageVariable(name) || serviceLink(name, val) {
			continue
		}
		if strings.HasPrefix(name, otherPrefix) && val == "" {
			continue // images that use this prefix pass all their variables, the empty ones too
		}
		all = append(all, namedSetting{name: keyOfVariable(name), setting: setting{text: val, place: Place{Env: name}}})
	}
	return append(all, logLevel(environ)...)
}

// logLevel turns the variable that sets the level of Kafka's log into our key. One of ours comes later
// and wins.
func logLevel(environ []string) []namedSetting {
	const variable = "KAFKA_LOG4J_ROOT_LOGLEVEL"
	levels := map[string]string{"TRACE": "debug", "DEBUG": "debug", "INFO": "info", "WARN": "warn", "ERROR": "error", "FATAL": "error", "OFF": "error"}
	for _, e := range environ {
		if strings.HasPrefix(e, "KAFKA_MOLDAU_LOG_LEVEL=") {
			return nil
		}
	}
	for _, e := range environ {
		if val, ok := strings.CutPrefix(e, variable+"="); ok && levels[strings.ToUpper(val)] != "" {
			return []namedSetting{{name: MoldauLogLevel, setting: setting{text: levels[strings.ToUpper(val)], place: Place{Env: variable}}}}
		}
	}
	return nil
}

// ClusterID is the cluster id with which a container is told to format its directories; empty when none is given.
func ClusterID(environ []string) string {
	for _, name := range []string{"CLUSTER_ID=", "KAFKA_CLUSTER_ID=", "KAFKA_KRAFT_CLUSTER_ID="} {
		for _, e := range environ {
			if val, ok := strings.CutPrefix(e, name); ok && val != "" {
				return val
			}
		}
	}
	return ""
}

func isImageVariable(name string) bool {
	for _, v := range imageVariables {
		if name == v || strings.HasSuffix(v, "_") && strings.HasPrefix(name, v) {
			return true
		}
	}
	return false
}

// keyOfVariable is the key of a variable: KAFKA_A_B is a.b, two underscores are one, three are a hyphen.
func keyOfVariable(name string) string {
	if rest, ok := strings.CutPrefix(name, otherPrefix); ok {
		return strings.ReplaceAll(strings.ToLower(rest), "_", ".")
	}
	s := strings.ToLower(strings.TrimPrefix(name, envPrefix))
	s = strings.ReplaceAll(s, "___", "-")
	s = strings.ReplaceAll(s, "__", "\x00")
	s = strings.ReplaceAll(s, "_", ".")
	return strings.ReplaceAll(s, "\x00", "_")
}

type namedSetting struct {
	name string
	setting
}
