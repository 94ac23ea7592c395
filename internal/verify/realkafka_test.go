//go:build realkafka

package verify

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/client"
)

// The rules are right when Apache Kafka keeps them: MOLDAU_REALKAFKA is a script with `start DIR NODES PORT` and `stop DIR`.
// MOLDAU_VERIFY_ALL examines every version, MOLDAU_VERIFY_ONLY only the rules that match: three JVMs on a busy machine may need
// more time for all than a test has.
func TestKafkaIsClean(t *testing.T) {
	script := os.Getenv("MOLDAU_REALKAFKA")
	if script == "" {
		t.Skip("MOLDAU_REALKAFKA is not set")
	}
	var only *regexp.Regexp
	if e := os.Getenv("MOLDAU_VERIFY_ONLY"); e != "" {
		only = regexp.MustCompile(e)
	}
	for _, nodes := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d nodes", nodes), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cluster")
			t.Cleanup(func() { exec.Command(script, "stop", dir).Run() })
			start := exec.Command(script, "start", dir, fmt.Sprint(nodes), fmt.Sprint(31700+10*nodes))
			start.Stderr = os.Stderr
			out, err := start.Output()
			if err != nil {
				t.Fatalf("cannot start Kafka: %v", err)
			}
			rep, err := Run(context.Background(), Options{Only: only,
				Properties:  client.Properties{"bootstrap.servers": strings.TrimSpace(string(out)), "request.timeout.ms": "120000"},
				AllVersions: os.Getenv("MOLDAU_VERIFY_ALL") != "", Timeout: 5 * time.Minute, Patience: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			if err := rep.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			t.Log(text.String())
			if !rep.Clean {
				t.Error("Kafka breaks a rule: then the rule is wrong")
			}
		})
	}
}
