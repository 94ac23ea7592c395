//go:build realkafka

package main

import "github.com/twmb/franz-go/pkg/kmsg"

// expelMembers has a group's members leave in the way of its protocol.
func (c *cleaner) expelMembers(kind, group string) {
	switch kind {
	case "consumer":
		c.expelConsumers(group)
	case "share":
		c.expelSharers(group)
	default:
		c.expelClassic(group)
	}
}

func (c *cleaner) expelClassic(group string) {
	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Groups = []string{group}
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group = group
	for _, g := range ask[*kmsg.DescribeGroupsResponse](c, describe).Groups {
		for _, m := range g.Members {
			one := kmsg.NewLeaveGroupRequestMember()
			one.MemberID, one.InstanceID = m.MemberID, m.InstanceID
			leave.Members = append(leave.Members, one)
		}
	}
	if len(leave.Members) > 0 {
		c.cl.Request(c.ctx, leave)
	}
}

func (c *cleaner) expelConsumers(group string) {
	describe := kmsg.NewPtrConsumerGroupDescribeRequest()
	describe.Groups = []string{group}
	for _, g := range ask[*kmsg.ConsumerGroupDescribeResponse](c, describe).Groups {
		for _, m := range g.Members {
			leave := kmsg.NewPtrConsumerGroupHeartbeatRequest()
			leave.Group, leave.MemberID, leave.MemberEpoch, leave.InstanceID = group, m.MemberID, -1, m.InstanceID
			c.cl.Request(c.ctx, leave)
		}
	}
}

func (c *cleaner) expelSharers(group string) {
	describe := kmsg.NewPtrShareGroupDescribeRequest()
	describe.GroupIDs = []string{group}
	for _, g := range ask[*kmsg.ShareGroupDescribeResponse](c, describe).Groups {
		for _, m := range g.Members {
			leave := kmsg.NewPtrShareGroupHeartbeatRequest()
			leave.GroupID, leave.MemberID, leave.MemberEpoch = group, m.MemberID, -1
			c.cl.Request(c.ctx, leave)
		}
	}
}
