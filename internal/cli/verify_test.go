package cli

import (
	"bytes"
	"strings"
	"testing"
)

// verifyLine runs a line of moldau verify that needs no cluster.
func verifyLine(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	env := Env{Args: append([]string{"moldau", "verify"}, args...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &err, Getenv: func(string) string { return "" }}
	code = Run(env)
	return code, out.String(), err.String()
}

func TestVerifyListsItsRules(t *testing.T) {
	code, out, _ := verifyLine("--list", "--only", "^history/")
	if code != 0 || !strings.Contains(out, "history/lost (history)\n  A record that was acknowledged") || strings.Contains(out, "produce/") {
		t.Errorf("%d %s", code, out)
	}
	code, out, _ = verifyLine("--list", "--format", "json", "--skip", "^[^p]")
	if code != 0 || !strings.HasPrefix(out, "[\n  {\"rule\": \"produce/offsets\"") || !strings.HasSuffix(out, "]\n") {
		t.Errorf("%d %s", code, out)
	}
}

func TestVerifyRefusesWhatItCannotDo(t *testing.T) {
	for line, want := range map[string]string{
		"--only [":                          "--only is not a regular expression",
		"--timeout 0":                       "--timeout must be from 1 to 3600, not 0",
		"--seconds 1000000":                 "--seconds must be from 1 to 3600, not 1000000",
		"--format xml":                      "--format must be table or json, not xml",
		"--list --only ^nonsense$":          "no rule has such a name",
		"--command-config /no/such/file":    "/no/such/file",
		"--bootstrap-server 127.0.0.1:1":    "cannot ask any of [127.0.0.1:1] who the brokers are",
		"--bootstrap-server 127.0.0.1":      "127.0.0.1",
		"--no-such-option":                  "no-such-option is not a recognized option",
		"--help":                            "speaks every API",
		"--timeout soon --bootstrap-server": "soon",
	} {
		code, out, errs := verifyLine(strings.Fields(line)...)
		if code != 1 || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%s: %d %q %q", line, code, out, errs)
		}
	}
}
