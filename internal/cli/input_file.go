package cli

import (
	"bytes"
	"os"
)

// byteOrderMark begins a text file that Windows has saved; it is none of the text.
const byteOrderMark = "\ufeff"

// readInput reads a file that a tool is given, without its byte order mark.
func readInput(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	return bytes.TrimPrefix(b, []byte(byteOrderMark)), err
}
