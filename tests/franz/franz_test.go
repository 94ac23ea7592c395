package franz

import (
	"strings"
	"testing"
)

const output = `=== RUN   TestGroup
=== RUN   TestGroup/classic
    group_test.go:10: saw double offset
=== RUN   TestShareGroup
    share_test.go:3: not served
=== RUN   TestTxn
--- PASS: TestTxn (0.10s)
    --- PASS: TestTxn/part (0.10s)
--- SKIP: TestShareGroup (0.00s)
--- FAIL: TestGroup (1.00s)
    --- FAIL: TestGroup/classic (1.00s)
FAIL
`

func TestTheOutputOfTestsIsUnderstood(t *testing.T) {
	r := parse(output)
	if r.passed != 1 || len(r.failed) != 1 || r.failed[0] != "TestGroup" || len(r.skipped) != 1 || r.skipped[0] != "TestShareGroup" {
		t.Fatalf("%d passed, failed %v, skipped %v", r.passed, r.failed, r.skipped)
	}
	if said := r.said("TestGroup"); !strings.Contains(said, "saw double offset") || strings.Contains(said, "not served") {
		t.Fatalf("TestGroup is said to have printed %q", said)
	}
	if mayBeSkipped.MatchString("TestTxnEtl") || !mayBeSkipped.MatchString("TestShareGroupETL") {
		t.Fatal("the wrong tests may be skipped")
	}
}
