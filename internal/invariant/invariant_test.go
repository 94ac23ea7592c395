package invariant

import "testing"

func TestCheckPanicsOnlyWhenBroken(t *testing.T) {
	Check(true, "never seen")
	defer func() {
		if got := recover(); got != Broken("offset 3 below 5") {
			t.Fatalf("recovered %v", got)
		}
	}()
	Check(false, "offset %d below %d", 3, 5)
}
