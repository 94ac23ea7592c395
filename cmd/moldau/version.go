package main

import (
	"runtime/debug"
	"strings"
)

// unknownVersion is what a binary is called that was built outside of a work tree, or by go test.
const unknownVersion = "dev"

// These are set by the linker: all of them in releases (packaging/dist), the version by the Makefile.
var (
	version = ""
	commit  = ""
	date    = ""
)

// builtVersion is the version of this binary.
func builtVersion() string {
	info, _ := debug.ReadBuildInfo()
	return versionOf(version, info)
}

// versionOf is what the linker was told; otherwise what the go command saw: the version that go install was asked for, or, in a work
// tree, the last tag, the commit and whether files were changed since.
func versionOf(linked string, info *debug.BuildInfo) string {
	switch {
	case linked != "":
		return linked
	case info != nil && info.Main.Version != "" && info.Main.Version != "(devel)":
		return strings.TrimPrefix(info.Main.Version, "v")
	}
	return unknownVersion
}

// build says of which commit the binary was made and when, "" where nobody knows.
func build() string {
	info, _ := debug.ReadBuildInfo()
	return commitOf(commit, date, info)
}

func commitOf(commit, date string, info *debug.BuildInfo) string {
	if commit == "" && info != nil {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				commit = s.Value
			case "vcs.time":
				date = s.Value
			}
		}
	}
	return strings.TrimSpace(commit + " " + date)
}
