package main

import (
	"strings"
	"testing"
)

// TestGolden gives the lines of testdata/lines.txt to our tools, on a node of
// ours, and compares with what Kafka's tools said to them (record_test.go).
// MOLDAU_CLI_SECTION picks sections.
func TestGolden(t *testing.T) {
	rec := readRecord(t)
	for _, s := range readSections(t) {
		if s.logins() || !s.wanted() {
			continue
		}
		t.Run(strings.ReplaceAll(s.name, "/", "-"), func(t *testing.T) {
			if testing.Short() {
				t.Skip("starts nodes")
			}
			t.Parallel()
			w := moldauWorld(t, s.nodes())
			w.internalTopics()
			w.writeFiles()
			w.compareRecorded(t, s, rec)
		})
	}
}

// compareRecorded runs a section with our tools and compares with what Kafka's tools said to it on a broker of this kind.
func (w *world) compareRecorded(t *testing.T, s section, rec *kafkaSaid) {
	ours := w.runSection(s, w.toolFor)
	asked := s.askedLines()
	for i, l := range s.lines {
		if l.kind != compared || l.how["kafka"] && w.name != "kafka" {
			continue
		}
		want, ok := rec.get(s.name, asked[i], w.name)
		if !ok {
			t.Errorf("line %d is not in %s: make cli-diff RECORD=1 records it\n$ %s", l.number, recordFile, l.command)
			continue
		}
		got := w.comparableResult(ours[i], l)
		if !l.how["help"] && !l.how["json"] { // the marks of a line may be newer than its record
			want, got = w.comparableResult(want, l), w.comparableResult(got, l)
		}
		if diff := difference(l, want, got); diff != "" {
			t.Errorf("line %d\n$ %s\n%s", l.number, l.command, diff)
		}
	}
}
