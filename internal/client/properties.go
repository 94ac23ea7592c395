package client

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sort"
	"strings"
	"syscall"

	"github.com/moldau-stream/moldau/internal/config"
)

// Properties are key-value pairs as a Java properties file holds them.
type Properties map[string]string

// MaxPropertiesBytes bounds a properties file: a hundred times the largest that
// a PEM key store inside one could need.
const MaxPropertiesBytes = 8 << 20

// Clone returns a copy that can be changed freely.
func (p Properties) Clone() Properties {
	c := make(Properties, len(p))
	for k, v := range p {
		c[k] = v
	}
	return c
}

// Merge lays other over p, in place, and returns p.
func (p Properties) Merge(other Properties) Properties {
	for k, v := range other {
		p[k] = v
	}
	return p
}

// SetDefault sets key only if it is absent.
func (p Properties) SetDefault(key, value string) {
	if _, ok := p[key]; !ok {
		p[key] = value
	}
}

// Keys returns the keys, sorted.
func (p Properties) Keys() []string {
	keys := make([]string, 0, len(p))
	for k := range p {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// FileError is a file that could not be read. Kafka's tools print only the
// file's name (and the system's reason in a stack trace); Error keeps both.
type FileError struct {
	Path  string
	Cause error
}

func (e *FileError) Error() string {
	switch {
	case errors.Is(e.Cause, syscall.EISDIR):
		return "Is a directory"
	case e.Malformed():
		return `Malformed \uxxxx encoding.`
	}
	if errors.Is(e.Cause, fs.ErrNotExist) {
		return e.Path + " (No such file or directory)"
	}
	if errors.Is(e.Cause, fs.ErrPermission) {
		return e.Path + " (Permission denied)"
	}
	var pe *fs.PathError
	if errors.As(e.Cause, &pe) {
		return e.Path + " (" + pe.Err.Error() + ")"
	}
	return e.Path + " (" + e.Cause.Error() + ")"
}

func (e *FileError) Unwrap() error { return e.Cause }

// Malformed reports whether the file was read but holds a broken escape.
func (e *FileError) Malformed() bool {
	return strings.Contains(e.Cause.Error(), "four hexadecimal digits")
}

// Hint says which file, and where in it, when Kafka's words do not; else "".
func (e *FileError) Hint() string {
	if errors.Is(e.Cause, syscall.EISDIR) || e.Malformed() {
		return e.Path + ": " + e.Cause.Error()
	}
	return ""
}

// LoadProperties reads a properties file.
func LoadProperties(path string) (Properties, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &FileError{path, err}
	}
	defer f.Close()
	p, err := ParseProperties(f)
	if err != nil {
		return nil, &FileError{path, err}
	}
	return p, nil
}

// ParseProperties reads the format of java.util.Properties; of a key that stands twice, the last counts.
func ParseProperties(r io.Reader) (Properties, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxPropertiesBytes))
	if err != nil {
		return nil, err
	}
	entries, err := config.ParseProperties(text)
	if err != nil {
		return nil, err
	}
	p := make(Properties, len(entries))
	for _, e := range entries {
		p[e.Key] = e.Value
	}
	return p, nil
}

// ParseProperty reads one key=value as a line of a properties file would be read.
func ParseProperty(s string) (key, value string, err error) {
	entries, err := config.ParseProperties([]byte(s))
	if err != nil || len(entries) == 0 {
		return "", "", err
	}
	return entries[0].Key, entries[0].Value, nil
}
