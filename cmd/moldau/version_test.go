package main

import (
	"runtime/debug"
	"testing"
)

func TestTheVersionSaysWhatIsKnownOfTheBinary(t *testing.T) {
	tree := &debug.BuildInfo{Main: debug.Module{Version: "v0.0.0-20260102030405-0123456789ab+dirty"},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789ab"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}}}
	for _, c := range []struct {
		linked, want string
		info         *debug.BuildInfo
	}{
		{"1.2.3", "1.2.3", tree},
		{"", "0.0.0-20260102030405-0123456789ab+dirty", tree},
		{"", "dev", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}},
		{"", "dev", &debug.BuildInfo{}},
		{"", "dev", nil},
	} {
		if got := versionOf(c.linked, c.info); got != c.want {
			t.Errorf("%q, %+v: %s instead of %s", c.linked, c.info, got, c.want)
		}
	}
	if got := commitOf("", "", tree); got != "0123456789ab 2026-01-02T03:04:05Z" {
		t.Errorf("the work tree's commit is told as %q", got)
	}
	if got := commitOf("abc", "today", tree); got != "abc today" {
		t.Errorf("a release's commit is told as %q", got)
	}
	if got := commitOf("", "", nil); got != "" {
		t.Errorf("no commit is told as %q", got)
	}
}
