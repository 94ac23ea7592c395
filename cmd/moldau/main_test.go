package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/cli"
)

// asTool makes this test binary be moldau itself, so that tests run the tools
// as processes: with exit codes, signals, pipes and terminals of their own.
const asTool = "MOLDAU_TEST_AS_TOOL"

func TestMain(m *testing.M) {
	if os.Getenv(asTool) != "" {
		main()
	}
	// The tests here mostly wait for processes that wait.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// toolFolder is a folder with a link to the program under the name of each tool.
func toolFolder(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range append(cli.ToolNames(), "moldau") {
		for _, suffix := range []string{"", ".sh"} {
			if err := os.Symlink(exe, filepath.Join(dir, name+suffix)); err != nil {
				t.Skipf("cannot link the tools: %v", err)
			}
		}
	}
	return dir
}

// toolEnviron is the environment of a tool: ours, without what would change what it prints.
func toolEnviron(more ...string) []string {
	var env []string
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); !strings.HasPrefix(name, "MOLDAU_") && !strings.HasPrefix(name, "KAFKA_") && name != "LOG_DIR" {
			env = append(env, e)
		}
	}
	return append(env, append([]string{asTool + "=1", "TZ=UTC"}, more...)...)
}
