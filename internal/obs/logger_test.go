package obs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestALineIsCalmAndWhole(t *testing.T) {
	var out bytes.Buffer
	level := new(slog.LevelVar)
	log, err := NewLogger(&out, FormatText, level)
	if err != nil {
		t.Fatal(err)
	}
	r := slog.NewRecord(time.Date(2026, 11, 22, 10, 11, 12, 345e6, time.UTC), slog.LevelInfo, "listening on localhost:9092", 0)
	r.AddAttrs(slog.String("listener", "PLAINTEXT"), slog.Int("n", 3), slog.Any("err", errors.New("address in use")),
		slog.String("empty", ""), slog.Duration("in", 1500*time.Millisecond), slog.Group("log", slog.String("dir", "/d")))
	if err := log.With("node", 1).WithGroup("g").Handler().Handle(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	want := `2026-11-22 10:11:12.345 INFO  listening on localhost:9092 node=1 g.listener=PLAINTEXT g.n=3 g.err="address in use" g.empty="" g.in=1.5s g.log.dir=/d` + "\n"
	if out.String() != want {
		t.Errorf("got  %swant %s", out.String(), want)
	}
	out.Reset()
	log.Debug("not shown")
	level.Set(slog.LevelDebug)
	log.Debug("shown")
	log.Warn("two\nlines", "client", "x\ny=z")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], " DEBUG shown") || !strings.HasSuffix(lines[1], ` WARN  two\nlines client="x\ny=z"`) {
		t.Errorf("%q", lines)
	}
}

func TestJSONIsForMachines(t *testing.T) {
	var out bytes.Buffer
	log, err := NewLogger(&out, FormatJSON, new(slog.LevelVar))
	if err != nil {
		t.Fatal(err)
	}
	log.Info("started", "port", 9092)
	var m map[string]any
	if err := json.Unmarshal(out.Bytes(), &m); err != nil || m["msg"] != "started" || m["port"] != 9092.0 {
		t.Error(out.String(), err)
	}
	if _, err := NewLogger(&out, "xml", nil); err == nil {
		t.Error("xml is a form")
	}
	if _, err := ParseLevel("loud"); err == nil {
		t.Error("loud is a level")
	}
	if l, err := ParseLevel("WARN"); err != nil || l != slog.LevelWarn {
		t.Error(l, err)
	}
}
