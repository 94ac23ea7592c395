package report

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestTheLastLineCountsAndOnlyFailuresHaveDetails(t *testing.T) {
	r := &Report{}
	r.Columns("create", "none")
	row := r.Row("client")
	row.Rename("client 1.0")
	row.Set("create", time.Second, nil)
	row.Set("none", time.Second, errors.New("it broke"))
	r.Row("other").Skip("there is none")
	r.Check("wire", "a case", 0, nil)
	var b bytes.Buffer
	if failed := r.Print(&b); failed != 1 {
		t.Errorf("%d failures instead of 1", failed)
	}
	out := b.String()
	if !strings.HasSuffix(out, "\n2 passed, 1 failed, 1 skipped\n") {
		t.Errorf("the end is %q", out[max(0, len(out)-60):])
	}
	for _, want := range []string{"client 1.0  ok      FAIL", "FAIL client 1.0: none", "it broke", "other skipped: there is none"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
