//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
)

// docsWrite, when set, makes the tests of pages put what commands have printed into the pages where it is another than shown.
const docsWrite = "MOLDAU_DOCS_WRITE"

// What the pages say is what happens: their commands are typed in their order, in a directory that has nothing but the program, and
// print what is shown there, but for what docBlock and whatever state.
func TestThePagesSayWhatHappens(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("the pages' commands need bash")
	}
	bin := toolFolder(t)
	write := os.Getenv(docsWrite) != ""
	for _, name := range []string{"README.md", "docs/quickstart.md", "docs/operations.md"} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("..", "..", name)
			page := readFile(t, file)
			now := newReader(t, bin, toolEnviron()).follow(name, page)
			if write && now != page {
				if err := os.WriteFile(file, []byte(now), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A Korean page is the English one in other words: what one types and sees is the same.
func TestKoreanPagesHaveTheSameBlocks(t *testing.T) {
	for _, page := range []string{"quickstart", "operations"} {
		t.Run(page, func(t *testing.T) { sameBlocks(t, page+".md", page+".ko.md") })
	}
}

func sameBlocks(t *testing.T, english, korean string) {
	var pages [2][]docBlock
	for i, name := range []string{english, korean} {
		blocks, err := docBlocks(readFile(t, filepath.Join("..", "..", "docs", name)))
		if err != nil {
			t.Fatal(name, err)
		}
		for b := range blocks {
			blocks[b].line = 0
			for s := range blocks[b].steps {
				blocks[b].steps[s].line = 0
			}
		}
		pages[i] = blocks
	}
	if len(pages[0]) != len(pages[1]) {
		t.Errorf("%d blocks in English, %d in Korean", len(pages[0]), len(pages[1]))
	}
	for i := range min(len(pages[0]), len(pages[1])) {
		if !reflect.DeepEqual(pages[0][i], pages[1][i]) {
			t.Fatalf("block %d: English\n%+v\nKorean\n%+v", i+1, pages[0][i], pages[1][i])
		}
	}
}
