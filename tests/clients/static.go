package clients

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
)

// staticStrategy is the strategy of Join for members that have a name of their own, groupInstance: they balance
// eagerly, and do not leave the group when they end.
const staticStrategy = "static"

// groupInstance is the group.instance.id of a member.
func groupInstance(group, name string) string { return group + "-" + name }

// static lets one of two members with names of their own end and come back: the group must keep its place, and its
// partitions, and the other must not notice. At the end both are thrown out by name.
func (s *scenario) static(ctx context.Context) error {
	topic, group := s.prefix+"group-static", s.prefix+"g-static"
	if err := s.env.ref.create(ctx, topic, groupPartitions); err != nil {
		return err
	}
	names := []string{"static-1", "static-2"}
	for _, n := range names {
		if err := s.c.Join(ctx, n, group, topic, staticStrategy); err != nil {
			return fmt.Errorf("member %s cannot join: %w", n, err)
		}
	}
	if err := s.awaitShared(ctx, names); err != nil {
		return err
	}
	before, err := s.places(ctx, names)
	if err != nil {
		return err
	}
	if err := s.c.Leave(ctx, names[0]); err != nil {
		return fmt.Errorf("member %s cannot end: %w", names[0], err)
	}
	if err := s.keepsPlaces(ctx, group, names); err != nil {
		return fmt.Errorf("while %s is away: %w", names[0], err)
	}
	if err := s.c.Join(ctx, names[0], group, topic, staticStrategy); err != nil {
		return fmt.Errorf("member %s cannot come back: %w", names[0], err)
	}
	if err := s.awaitShared(ctx, names); err != nil {
		return fmt.Errorf("after %s has come back: %w", names[0], err)
	}
	after, err := s.places(ctx, names)
	if err != nil {
		return err
	}
	if !maps.EqualFunc(before, after, slices.Equal) {
		return fmt.Errorf("after %s has come back the assignment is %v, before it was %v", names[0], after, before)
	}
	for _, n := range names {
		if err := s.c.Leave(ctx, n); err != nil {
			return fmt.Errorf("member %s cannot end: %w", n, err)
		}
	}
	return s.throwOut(ctx, group, names)
}

// places tells who owns what.
func (s *scenario) places(ctx context.Context, names []string) (map[string][]int32, error) {
	states, err := s.c.Members(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string][]int32{}
	for _, n := range names {
		out[n] = slices.Sorted(slices.Values(states[n].Assigned))
	}
	return out, nil
}

// keepsPlaces asks the coordinator whether the group is at rest with all these members.
func (s *scenario) keepsPlaces(ctx context.Context, group string, names []string) error {
	groups, err := s.env.ref.adm.DescribeGroups(ctx, group)
	if err != nil {
		return err
	}
	g := groups[group]
	if g.Err != nil {
		return g.Err
	}
	var got []string
	for _, m := range g.Members {
		if m.InstanceID == nil {
			return fmt.Errorf("member %s has no group.instance.id", m.MemberID)
		}
		got = append(got, *m.InstanceID)
	}
	var want []string
	for _, n := range names {
		want = append(want, groupInstance(group, n))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) || g.State != "Stable" {
		return fmt.Errorf("the group is %s and has the members %q instead of %q", g.State, got, want)
	}
	return nil
}

// throwOut removes the members, as an operator would.
func (s *scenario) throwOut(ctx context.Context, group string, names []string) error {
	var ids []string
	for _, n := range names {
		ids = append(ids, groupInstance(group, n))
	}
	left, err := s.env.ref.adm.LeaveGroup(ctx, kadm.LeaveGroup(group).InstanceIDs(ids...))
	if err == nil {
		err = left.Error()
	}
	if err != nil {
		return fmt.Errorf("the reference cannot throw the members out: %w", err)
	}
	return eventually(ctx, func() error {
		groups, err := s.env.ref.adm.DescribeGroups(ctx, group)
		if err == nil && len(groups[group].Members) > 0 {
			err = fmt.Errorf("the group has %d members although all were thrown out", len(groups[group].Members))
		}
		return err
	})
}
