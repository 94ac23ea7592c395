package wire

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPrivateRequestsComeThroughTheTable(t *testing.T) {
	table, err := NewTable(Controller, PrivateRanges())
	if err != nil {
		t.Fatal(err)
	}
	if len(table.ApiKeys()) != 0 {
		t.Error("ApiVersions shows a private API")
	}
	v, err := table.Lookup(RaftKey, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []*RaftRequest{
		{ClusterID: "C"},
		{ClusterID: "C", From: 3, Host: "c3", Port: 40000, DirectoryID: [16]byte{1, 2}, Join: true, Messages: [][]byte{{}, {1, 2, 3}, make([]byte, 300)}},
	} {
		body := want.AppendTo(nil)
		got, err := v.Decode(body)
		if err != nil || cmp.Diff(want, got) != "" {
			t.Fatalf("%v: %s", err, cmp.Diff(want, got))
		}
		for i := range body {
			if _, err := v.Decode(body[:i]); err == nil {
				t.Fatalf("%d of %d bytes were taken for a whole request", i, len(body))
			}
		}
	}
	if _, err := NewTable(Broker, PrivateRanges()); err == nil {
		t.Error("a client's listener would serve the controllers' own API")
	}
	resp, again := &RaftResponse{ErrorCode: 41, LeaderID: -1}, &RaftResponse{}
	if err := again.ReadFrom(resp.AppendTo(nil)); err != nil || *again != *resp {
		t.Fatal(err, again)
	}
}
