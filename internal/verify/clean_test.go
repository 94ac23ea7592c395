package verify

import (
	"slices"
	"testing"
)

// What only one broker lists is removed too, and what several list once; what others have made is left alone.
func TestWhatAnyBrokerListsIsOurs(t *testing.T) {
	x := &exam{probe: &probe{prefix: "run-", cluster: &cluster{ids: []int32{1, 2, 3}}}}
	lists := map[int32][]string{1: {"run-b", "orders"}, 2: {"run-b"}, 3: {"run-b", "run-a", "rerun-c"}}
	got := x.ours(func(broker int32) []string { return lists[broker] })
	if !slices.Equal(got, []string{"run-a", "run-b"}) {
		t.Errorf("%q", got)
	}
}
