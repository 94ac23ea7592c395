package config

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

const documentation = "../../docs/configuration.md"

func TestDocumentationIsFresh(t *testing.T) {
	want := document()
	if *update {
		if err := os.MkdirAll(filepath.Dir(documentation), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(documentation, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(documentation)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ReplaceAll(string(got), "\r\n", "\n") != want {
		t.Fatalf("%s is stale: run go generate ./internal/config", documentation)
	}
}

func document() string {
	var b strings.Builder
	b.WriteString(`# Configuration

<!-- Written by go generate ./internal/config from the tables there: change those, not this page. -->

A node reads its settings from a Java properties file, from ` + "`KAFKA_*`" + ` environment variables (` + "`KAFKA_LOG_DIRS`" + ` is ` + "`log.dirs`" + `;
two underscores stand for one, three for a hyphen) and from ` + "`--override key=value`" + `; of these the last wins, and below all are the
defaults. ` + "`moldau server --check-config FILE`" + ` says what it makes of a file without starting.

All keys of Apache Kafka 4.3 are known. *Change*: how a running node can be altered, with ` + "`kafka-configs`" + `: not at all (restart),
one broker at a time (broker), or also all at once (cluster). Where a key has no effect in this version, the table says why.

A key may be set for one listener alone by the prefix ` + "`listener.name.NAME.`" + `, with the name in small letters, where Kafka allows it.

Without any configuration a node is broker and controller in one: it listens on localhost:9092, keeps its data in ./moldau-data,
has one replica of each internal topic, does not hold up the first rebalance of a group, and syncs records before it acknowledges
them (` + "`moldau.flush.acks=true`" + `).

`)
	section(&b, "Moldau's own keys", Broker, func(k Key) bool { return k.Origin == Own })
	section(&b, "Broker and controller", Broker, func(k Key) bool { return k.Origin != Own && !k.Internal })
	section(&b, "Topics", Topic, func(k Key) bool { return !k.Internal })
	section(&b, "Groups", Group, func(k Key) bool { return !k.Internal })
	section(&b, "Client metrics subscriptions", ClientMetrics, func(Key) bool { return true })
	section(&b, "Quotas of users and clients", ClientQuota, func(Key) bool { return true })
	section(&b, "Quotas of addresses", IPQuota, func(Key) bool { return true })
	section(&b, "Internal keys", Broker, func(k Key) bool { return k.Internal })
	removedSection(&b)
	return b.String()
}

func section(b *strings.Builder, title string, scope Scope, in func(Key) bool) {
	fmt.Fprintf(b, "## %s\n\n", title)
	last := "Change"
	if scope != Broker {
		last = "Default from"
	}
	fmt.Fprintf(b, "| Key | Type | Default | Allowed | %s | Meaning |\n|---|---|---|---|---|---|\n", last)
	for _, k := range Keys(scope) {
		if !in(k) {
			continue
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s | %s |\n", k.Name, strings.ToLower(k.Type.String()), defaultCell(k), allowedCell(k), lastCell(scope, k), meaning(k))
	}
	b.WriteString("\n")
}

func defaultCell(k Key) string {
	switch {
	case k.Required:
		return "required"
	case k.Null:
		return ""
	case k.Default == "":
		return "empty"
	}
	return "`" + k.Default + "`"
}

func allowedCell(k Key) string {
	if k.Check == nil {
		return ""
	}
	return strings.ReplaceAll(k.Check.String(), "*", `\*`)
}

func lastCell(scope Scope, k Key) string {
	if scope != Broker {
		var cells []string
		for _, s := range k.Synonyms {
			cells = append(cells, "`"+s+"`")
		}
		return strings.Join(cells, ", ")
	}
	return map[Mode]string{ReadOnly: "restart", PerBroker: "broker", ClusterWide: "cluster"}[k.Mode]
}

func meaning(k Key) string {
	text := strings.ReplaceAll(k.Doc, "*", `\*`)
	if k.NoEffect != "" {
		text += " *No effect: " + k.NoEffect + ".*"
	}
	return text
}

func removedSection(b *strings.Builder) {
	b.WriteString("## Keys of older Kafkas\n\nThese are read over with a line that says what took their place.\n\n| Key | Instead |\n|---|---|\n")
	for _, k := range removedKeys {
		fmt.Fprintf(b, "| `%s` | %s |\n", k.name, k.instead)
	}
}
