package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// A key that the tables call served must be read by somebody, or the tables lie to the operator. This
// looks for each key's constant, or for the getter or field that stands for it, in the other packages.
func TestServedKeysAreRead(t *testing.T) {
	source := otherSource(t)
	constants := constantNames(t)
	for _, k := range Keys(Broker) {
		if k.NoEffect == "" && !mentioned(source, append(gettersOf(k.Name), "config."+constants[k.Name])) && !behindTopic(source, k.Name) && !behindGroup(source, k.Name) {
			t.Errorf("%s is called served, but nobody reads it", k.Name)
		}
	}
	for field := range reflect.TypeFor[TopicConfig]().Fields() {
		if !mentioned(source, []string{"." + field.Name}) {
			t.Logf("no package reads TopicConfig.%s", field.Name)
		}
	}
}

// otherSource is the text of all other packages of the module, without their tests.
func otherSource(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
			strings.HasPrefix(path, filepath.Join(root, "internal", "config")+string(filepath.Separator)) {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func constantNames(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("names.go")
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^\t(\w+)\s+= "(.+)"$`).FindAllStringSubmatch(string(text), -1) {
		if _, twice := names[m[2]]; !twice { // broker keys come first, and may share a name with topic keys
			names[m[2]] = m[1]
		}
	}
	return names
}

func mentioned(source string, words []string) bool {
	for _, w := range words {
		end := `\b`
		if strings.HasSuffix(w, "(") {
			end = ""
		}
		if regexp.MustCompile(regexp.QuoteMeta(w) + end).MatchString(source) {
			return true
		}
	}
	return false
}

// gettersOf are the methods of Config that stand for a key.
func gettersOf(name string) []string {
	return map[string][]string{
		NodeID: {".NodeNumber("}, BrokerID: {".NodeNumber("}, ProcessRoles: {".IsBroker(", ".IsController("},
		LogDirs: {".DataDirs("}, LogDir: {".DataDirs("}, MetadataLogDir: {".MetadataDir("},
		Listeners: {".BrokerListeners(", ".AllListeners("}, AdvertisedListeners: {".Advertised("},
		ListenerSecurityProtocolMap: {".BrokerListeners(", ".AllListeners("}, SecurityInterBrokerProtocol: {".InterBrokerListener("},
		InterBrokerListenerName: {".InterBrokerListener("}, ControllerListenerNames: {".ControllerEndpoints(", ".ControllerListeners("},
		ControllerQuorumVoters: {".QuorumVoters("}, ControllerQuorumBootstrapServers: {".QuorumBootstrapServers("},
		MaxConnectionsPerIPOverrides: {".IPOverrides("}, MetricsStaticLabels: {".StaticLabels("},
	}[name]
}

// behindGroup is true for the broker's side of a group key that is read, its bounds included.
func behindGroup(source, name string) bool {
	for _, k := range Keys(Group) {
		for _, s := range k.Synonyms {
			bounds := []string{strings.Replace(s, "group.consumer.", "group.consumer.min.", 1), strings.Replace(s, "group.consumer.", "group.consumer.max.", 1)}
			if s == name || bounds[0] == name || bounds[1] == name {
				return strings.Contains(source, "\""+k.Name+"\"")
			}
		}
	}
	return false
}

// behindTopic is true for the broker's side of a topic key, when topics' configuration is read at all.
func behindTopic(source, name string) bool {
	for _, k := range Keys(Topic) {
		for _, s := range k.Synonyms {
			if s == name {
				return strings.Contains(source, "TopicConfig")
			}
		}
	}
	return name == LogFlushSchedulerIntervalMs && strings.Contains(source, "TopicConfig")
}
