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
