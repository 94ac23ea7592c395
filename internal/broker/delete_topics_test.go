package broker

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What is named twice is not deleted, by whichever names, and each is answered once.
func TestWhatIsNamedTwiceIsNotDeleted(t *testing.T) {
	r := newRig(t)
	kept, gone := r.create("kept", 1), r.create("gone", 1)
	r.create("twin", 1)
	byName := func(s string) kmsg.DeleteTopicsRequestTopic { return kmsg.DeleteTopicsRequestTopic{Topic: &s} }
	byID := func(id [16]byte) kmsg.DeleteTopicsRequestTopic { return kmsg.DeleteTopicsRequestTopic{TopicID: id} }
	both := byName("kept")
	both.TopicID = kept
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Topics = []kmsg.DeleteTopicsRequestTopic{
		byID(kept), byName("kept"), byName("twin"), byName("twin"), byID([16]byte{9}), byID([16]byte{9}), {}, both, byID(gone),
	}
	var got []string
	for _, o := range r.dial().call(6, req).(*kmsg.DeleteTopicsResponse).Topics {
		got = append(got, fmt.Sprintf("%q %d %s", deref(o.Topic), o.TopicID[0], word(o.ErrorCode)))
	}
	want := []string{
		fmt.Sprintf(`"" %d ok`, gone[0]), `"" 9 INVALID_REQUEST`, `"" 0 INVALID_REQUEST`, // deleted; an id twice; no name at all
		fmt.Sprintf(`"kept" %d INVALID_REQUEST`, kept[0]), fmt.Sprintf(`"kept" %d INVALID_REQUEST`, kept[0]), `"twin" 0 INVALID_REQUEST`,
	}
	if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"DeleteTopics "}, r.called); diff != "" {
		t.Error(diff)
	}
}
