package clients

import (
	"strings"
	"testing"
)

func TestSharedWantsEveryPartitionOwnedOnce(t *testing.T) {
	names := []string{"a", "b"}
	for name, c := range map[string]struct {
		states map[string]Member
		want   string
	}{
		"shared":            {map[string]Member{"a": {Assigned: []int32{0, 1, 2}}, "b": {Assigned: []int32{3, 4, 5}}}, ""},
		"one owned twice":   {map[string]Member{"a": {Assigned: []int32{0, 1, 2, 3}}, "b": {Assigned: []int32{3, 4, 5}}}, "belongs to a and b"},
		"one owned by none": {map[string]Member{"a": {Assigned: []int32{0, 1}}, "b": {Assigned: []int32{3, 4, 5}}}, "5 of 6"},
		"one idle":          {map[string]Member{"a": {Assigned: []int32{0, 1, 2, 3, 4, 5}}, "b": {}}, "owns nothing"},
		"one failed":        {map[string]Member{"a": {Error: "boom"}, "b": {Assigned: []int32{1}}}, "boom"},
		"others are not counted": {map[string]Member{"a": {Assigned: []int32{0, 1, 2}}, "b": {Assigned: []int32{3, 4, 5}},
			"gone": {Assigned: []int32{0}}}, ""},
	} {
		err := shared(c.states, names)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDeliveredNamesTheFirstMissingRecord(t *testing.T) {
	states := map[string]Member{"a": {Records: [][2]int64{{0, 0}, {0, 1}, {1, 0}}}, "b": {Records: [][2]int64{{0, 1}, {0, 3}}}}
	if err := delivered(states, []string{"a", "b"}, []int64{2, 1}); err != nil {
		t.Error(err)
	}
	err := delivered(states, []string{"a", "b"}, []int64{4, 1})
	if err == nil || !strings.Contains(err.Error(), "offset 2 of partition 0") {
		t.Error(err)
	}
}
