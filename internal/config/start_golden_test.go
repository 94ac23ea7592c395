package config

import (
	"fmt"
	"strings"
	"testing"
)

// base is the file that the cases of start-kafka-4.3.1.txt change: "key=value" sets, "-key" removes.
func base() map[string]string {
	return map[string]string{
		ProcessRoles: "broker,controller", NodeID: "1", Listeners: "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093",
		ControllerListenerNames: "CONTROLLER", ControllerQuorumVoters: "1@localhost:9093",
	}
}

// differently are the cases that we judge otherwise than Kafka, with the reason.
func differently() map[string]string {
	return map[string]string{
		"listeners=PLAINTEXT://localhost:99999,CONTROLLER://localhost:9093": "there is no such port",
		"controller.quorum.voters=1@localhost:9093,1@other:9093":            "one voter cannot be in two places",
		"group.min.session.timeout.ms=100 group.max.session.timeout.ms=50":  "no member could ever join",
		"principal.builder.class=foo":                                       "no Java class is looked for: noted as without effect",
		"log.cleaner.threads=0":                                             "Kafka divides by zero",
	}
}

func TestFilesAreAcceptedAndRefusedAsByKafka(t *testing.T) {
	for block := range strings.SplitSeq(strings.TrimSpace(string(read(t, "start-kafka-4.3.1.txt"))), "\n\n") {
		body, verdict, _ := strings.Cut(block, "\n=> ")
		settings := base()
		var said []string
		for line := range strings.SplitSeq(body, "\n") {
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			said = append(said, line)
			if name, remove := strings.CutPrefix(line, "-"); remove {
				delete(settings, name)
				continue
			}
			name, val, _ := strings.Cut(line, "=")
			settings[name] = val
		}
		var text strings.Builder
		for name, val := range settings {
			fmt.Fprintf(&text, "%s=%s\n", name, val)
		}
		r := Check(Sources{FileName: "f", File: []byte(text.String())})
		kafka, ours := verdict == "OK", len(r.Problems) == 0
		if reason := differently()[strings.Join(said, " ")]; reason != "" {
			if kafka == ours {
				t.Errorf("%v is no longer judged differently", said)
			}
			continue
		}
		if kafka != ours {
			t.Errorf("%v\n kafka: %s\n  ours: %v", said, verdict, r.Problems)
		}
		for _, p := range r.Problems {
			if p.Message == "" || strings.HasSuffix(p.Message, ".") && !strings.HasSuffix(p.Message, "must not be empty.") {
				t.Errorf("%v: message %q", said, p.Message)
			}
		}
	}
}
