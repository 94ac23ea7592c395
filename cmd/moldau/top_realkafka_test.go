//go:build realkafka && linux

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTopWatchesApacheKafka shows Apache Kafka on a terminal and to a pipe, with one node and with three: topics, lags and
// partitions in trouble are seen by the protocol; what needs metrics is said to need them.
func TestTopWatchesApacheKafka(t *testing.T) {
	if os.Getenv("MOLDAU_REALKAFKA") == "" {
		t.Skip("MOLDAU_REALKAFKA is not set")
	}
	for _, nodes := range []int{1, 3} {
		t.Run(itoa(nodes), func(t *testing.T) {
			w := kafkaWorld(t, nodes)
			w.shell("kafka-topics --bootstrap-server $B --create --topic orders --partitions 2; seq 1 500 | kafka-console-producer --bootstrap-server $B --topic orders; "+
				"kafka-console-consumer --bootstrap-server $B --topic orders --group billing --from-beginning --max-messages 100 --timeout-ms 20000 >/dev/null; "+
				"kafka-configs --bootstrap-server $B --alter --group sharing --add-config share.auto.offset.reset=earliest; "+
				"kafka-console-share-consumer --bootstrap-server $B --topic orders --group sharing --max-messages 10 --timeout-ms 20000 >/dev/null", "")
			w.watchesOnATerminal(t)

			piped := w.tool(w.words("moldau top --bootstrap-server $B --interval-ms 200 --count 2"), "")
			for _, want := range []string{"brokers " + itoa(nodes) + "  topics", "\norders ", "\nbilling ", " 400\n", "\nsharing ", " 490\n", "--metrics-url"} {
				if !strings.Contains(piped.stdout, want) {
					t.Errorf("a pipe does not get %q: %+v", want, piped)
				}
			}
			if strings.Contains(piped.stdout, "\x1b") || piped.code != 0 {
				t.Errorf("a pipe gets what is a terminal's: %+v", piped)
			}
			if nodes == 3 {
				w.seesABrokerGo(t)
			}
		})
	}
}

func (w *world) watchesOnATerminal(t *testing.T) {
	x := w.onTerminal(t, "moldau top --bootstrap-server $B --interval-ms 200")
	x.resize(100, 12)
	x.shows("orders")
	x.shows("billing")
	x.resize(30, 4)
	x.types(" \n")
	x.resize(1, 1)
	x.resize(0, 0)
	x.resize(200, 60)
	x.shows("--metrics-url")
	x.types("\x03")
	x.endsWith(130)
	wellSaid(t, "moldau top", result{stdout: x.text()})
}

// resize makes the terminal's window smaller or larger, as a window's frame that is drawn.
func (x *ptyTerminal) resize(columns, rows uint16) {
	x.t.Helper()
	seen := len(x.text())
	if err := unix.IoctlSetWinsize(int(x.keys.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
		x.t.Fatal(err)
	}
	x.showsAfter(seen, "\x1b[H\x1b[2J")
}

// seesABrokerGo kills a broker of three while the view is open: it says which partitions are in trouble, and goes on.
func (w *world) seesABrokerGo(t *testing.T) {
	x := w.onTerminal(t, "moldau top --bootstrap-server $B --interval-ms 200")
	x.shows("orders")
	text, err := os.ReadFile(filepath.Join(w.kafkaFolder(), "3.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(pid, syscall.SIGKILL)
	x.shows("PARTITION IN TROUBLE")
	seen := len(x.text())
	x.showsAfter(seen, "brokers 2 ")
	x.types("\x03")
	x.endsWith(130)
	wellSaid(t, "moldau top", result{stdout: x.text()})
}
