package interop

import (
	"slices"
	"testing"
)

func TestTheSummaryOfLibrdkafkasTestsTellsWhatFailed(t *testing.T) {
	passed, failed := librdkafkaSummary("noise\n" +
		"|\x1b[32m <MAIN>                                   |     PASSED |  10.000s \x1b[0m|\n" +
		"|\x1b[32m 0001_multiobj                            |     PASSED |   1.000s \x1b[0m|\n" +
		"|\x1b[36m 0170_share                               |    SKIPPED |   0.000s \x1b[0m| needs more\n" +
		"|\x1b[31m 0029_assign_offset                       |     FAILED |   2.500s \x1b[0m|\x1b[31m it is wrong\x1b[0m\n")
	if passed != 1 || !slices.Equal(failed, []string{"0029_assign_offset (it is wrong)"}) {
		t.Fatalf("%d passed, %q failed", passed, failed)
	}
}

func TestTestsOfLibrdkafkaThatAbortTellWhatFailed(t *testing.T) {
	got := librdkafkaEnd("[0081_admin / 10.112s] [ do_test_CreateTopics: PASS (3.02s) ]\n[0081_admin / 10.2s] TEST FAILURE\n" +
		"\x1b[31m### Test \"0081_admin (do_test_CreateTopics:78)\" failed at 0081-admin.c:183:do_test_CreateTopics() at Mon Nov 23 10:00:00 2026: ###\n" +
		"CreateTopics: expected duration 0 <= 61 <= 50 ms\n\x1b[0mtest-runner: test.c:7706: Assertion `0' failed.\n")
	if want := `Test "0081_admin (do_test_CreateTopics:78)": CreateTopics: expected duration 0 <= 61 <= 50 ms`; got != want {
		t.Errorf("%q instead of %q", got, want)
	}
	if got := librdkafkaEnd("a\nthe end\n"); got != "a\nthe end" {
		t.Errorf("%q", got)
	}
}
