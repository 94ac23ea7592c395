package group

import (
	"errors"
	"math"
	"slices"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListGroups lists the groups that this broker coordinates. While one of its partitions loads, the
// list would be incomplete, and the whole answer says so.
func (s *Service) ListGroups(_ RequestContext, version int16, req *kmsg.ListGroupsRequest, reply func(*kmsg.ListGroupsResponse)) {
	resp := kmsg.NewPtrListGroupsResponse()
	resp.Version = version
	states, types := slices.Clone(req.StatesFilter), slices.Clone(req.TypesFilter)
	partitions := s.rt.Partitions()
	parts := make([][]kmsg.ListGroupsResponseGroup, len(partitions))
	gather := coord.NewGather(len(partitions), func() {
		if resp.ErrorCode == codeNone {
			resp.Groups = slices.Concat(parts...)
		}
		reply(resp)
	})
	for i, p := range partitions {
		fail := func(err error) {
			gather.Done(func() {
				if resp.ErrorCode == codeNone && !errors.Is(err, coord.ErrNotCoordinator) {
					resp.ErrorCode = codeOf(err)
				}
			})
		}
		s.rt.Do(p, func(sh *Shard, t *coord.Turn) {
			groups := sh.list(states, types)
			t.Reply(coord.Reply{Send: func() { gather.Done(func() { parts[i] = groups }) }, Fail: fail})
		}, fail)
	}
}

// DescribeGroups shows classic groups. Authorized operations are the caller's to fill in.
func (s *Service) DescribeGroups(_ RequestContext, version int16, req *kmsg.DescribeGroupsRequest, reply func(*kmsg.DescribeGroupsResponse)) {
	resp := kmsg.NewPtrDescribeGroupsResponse()
	resp.Version = version
	ids := slices.Clone(req.Groups)
	resp.Groups = make([]kmsg.DescribeGroupsResponseGroup, len(ids))
	gather := coord.NewGather(len(ids), func() { reply(resp) })
	for i, id := range ids {
		put := func(d kmsg.DescribeGroupsResponseGroup) {
			d.AuthorizedOperations = math.MinInt32 // not asked for
			gather.Done(func() { resp.Groups[i] = d })
		}
		fail := func(code int16) {
			d := kmsg.NewDescribeGroupsResponseGroup()
			d.Group, d.ErrorCode = id, code
			put(d)
		}
		if code := checkGroupID(id, true); code != codeNone {
			fail(code)
			continue
		}
		s.do(id, func(sh *Shard, t *coord.Turn) {
			d := sh.describe(id, version)
			t.Reply(coord.Reply{Send: func() { put(d) }, Fail: func(err error) { fail(codeOf(err)) }})
		}, func(err error) { fail(codeOf(err)) })
	}
}

// DeleteGroups removes groups without members, with their offsets.
func (s *Service) DeleteGroups(_ RequestContext, version int16, req *kmsg.DeleteGroupsRequest, reply func(*kmsg.DeleteGroupsResponse)) {
	resp := kmsg.NewPtrDeleteGroupsResponse()
	resp.Version = version
	ids := slices.Clone(req.Groups)
	resp.Groups = make([]kmsg.DeleteGroupsResponseGroup, len(ids))
	gather := coord.NewGather(len(ids), func() { reply(resp) })
	for i, id := range ids {
		put := func(code int16) {
			d := kmsg.NewDeleteGroupsResponseGroup()
			d.Group, d.ErrorCode = id, code
			gather.Done(func() { resp.Groups[i] = d })
		}
		if code := checkGroupID(id, true); code != codeNone {
			put(code)
			continue
		}
		s.do(id, func(sh *Shard, t *coord.Turn) {
			code := sh.delete(t, id)
			t.Reply(coord.Reply{Send: func() { put(code) }, Fail: func(err error) { put(codeOf(err)) }})
		}, func(err error) { put(codeOf(err)) })
	}
}
