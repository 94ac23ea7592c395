package broker

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func sorted(words []string) []string {
	slices.Sort(words)
	return words
}

// tell puts what matters of a response into a line.
func tell(resp kmsg.Response) string {
	var out []string
	switch r := resp.(type) {
	case *kmsg.ProduceResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				s := at(t.Topic, p.Partition, p.ErrorCode)
				if p.ErrorCode == 0 {
					s += fmt.Sprintf("@%d", p.BaseOffset)
				}
				out = append(out, s)
			}
		}
	case *kmsg.FetchResponse:
		return tellFetch(r)
	case *kmsg.ListOffsetsResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				s := at(t.Topic, p.Partition, p.ErrorCode)
				if p.ErrorCode == 0 {
					s += fmt.Sprintf("@%d", p.Offset)
				}
				out = append(out, s)
			}
		}
	case *kmsg.MetadataResponse:
		for _, t := range r.Topics {
			name := "-"
			if t.Topic != nil {
				name = *t.Topic
			}
			out = append(out, fmt.Sprintf("%s(%d)=%s", name, len(t.Partitions), word(t.ErrorCode)))
		}
	case *kmsg.OffsetForLeaderEpochResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				s := at(t.Topic, p.Partition, p.ErrorCode)
				if p.ErrorCode == 0 {
					s += fmt.Sprintf("@%d", p.EndOffset)
				}
				out = append(out, s)
			}
		}
	case *kmsg.DeleteRecordsResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				out = append(out, fmt.Sprintf("%s@%d", at(t.Topic, p.Partition, p.ErrorCode), p.LowWatermark))
			}
		}
	case *kmsg.OffsetCommitResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				out = append(out, at(t.Topic, p.Partition, p.ErrorCode))
			}
		}
	case *kmsg.DescribeProducersResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				out = append(out, at(t.Topic, p.Partition, p.ErrorCode))
			}
		}
	default:
		return tellOne(resp)
	}
	return join(out)
}

func tellFetch(r *kmsg.FetchResponse) string {
	if r.ErrorCode != 0 {
		return word(r.ErrorCode)
	}
	var out []string
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			s := at(t.Topic, p.Partition, p.ErrorCode)
			if p.ErrorCode != 0 {
				s += fmt.Sprintf(" hw %d", p.HighWatermark)
			}
			if len(p.RecordBatches) > 0 {
				s += " records"
			}
			out = append(out, s)
		}
	}
	return join(out)
}

// tellOne is tell for responses without partitions.
func tellOne(resp kmsg.Response) string {
	var out []string
	switch r := resp.(type) {
	case *kmsg.DescribeTopicPartitionsResponse:
		for _, t := range r.Topics {
			partitions := []int32{}
			for _, p := range t.Partitions {
				partitions = append(partitions, p.Partition)
			}
			out = append(out, fmt.Sprintf("%s%v=%s", *t.Topic, partitions, word(t.ErrorCode)))
		}
		if c := r.NextCursor; c != nil {
			return fmt.Sprintf("%s next %s/%d", join(out), c.Topic, c.Partition)
		}
	case *kmsg.DescribeConfigsResponse:
		for _, res := range r.Resources {
			s := fmt.Sprintf("%s=%s", res.ResourceName, word(res.ErrorCode))
			if len(res.Configs) > 10 {
				s, res.Configs = s+" all", nil
			}
			for _, c := range res.Configs {
				s += " " + c.Name
			}
			out = append(out, s)
		}
	case *kmsg.DescribeClusterResponse:
		if r.ErrorCode != 0 {
			return word(r.ErrorCode)
		}
		return fmt.Sprintf("ok %d", len(r.Brokers))
	case *kmsg.FindCoordinatorResponse:
		if r.Version < 4 {
			return "g=" + word(r.ErrorCode)
		}
		for _, c := range r.Coordinators {
			out = append(out, c.Key+"="+word(c.ErrorCode))
		}
	case *kmsg.InitProducerIDResponse:
		return word(r.ErrorCode)
	case *kmsg.CreateTopicsResponse:
		for _, t := range r.Topics {
			out = append(out, t.Topic+"="+word(t.ErrorCode))
		}
	case *kmsg.DeleteTopicsResponse:
		for _, t := range r.Topics {
			name := "-"
			if t.Topic != nil {
				name = *t.Topic
			}
			out = append(out, name+"="+word(t.ErrorCode))
		}
	default:
		return tellMore(resp)
	}
	return join(out)
}

// tellMore is tell for what only some tests ask.
func tellMore(resp kmsg.Response) string {
	var out []string
	switch r := resp.(type) {
	case *kmsg.CreatePartitionsResponse:
		for _, t := range r.Topics {
			out = append(out, t.Topic+"="+word(t.ErrorCode))
		}
	case *kmsg.IncrementalAlterConfigsResponse:
		for _, res := range r.Resources {
			out = append(out, res.ResourceName+"="+word(res.ErrorCode))
		}
	case *kmsg.AlterConfigsResponse:
		for _, res := range r.Resources {
			out = append(out, res.ResourceName+"="+word(res.ErrorCode))
		}
	case *kmsg.OffsetDeleteResponse:
		if r.ErrorCode != 0 {
			return word(r.ErrorCode)
		}
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				out = append(out, at(t.Topic, p.Partition, p.ErrorCode))
			}
		}
	case *kmsg.OffsetFetchResponse:
		for _, g := range r.Groups {
			out = append(out, g.Group+"="+word(g.ErrorCode))
			for _, t := range g.Topics {
				for _, p := range t.Partitions {
					out = append(out, at(t.Topic, p.Partition, p.ErrorCode))
				}
			}
		}
	case *kmsg.DescribeGroupsResponse:
		for _, g := range r.Groups {
			out = append(out, g.Group+"="+word(g.ErrorCode))
		}
	case *kmsg.DeleteGroupsResponse:
		for _, g := range r.Groups {
			out = append(out, g.Group+"="+word(g.ErrorCode))
		}
	case *kmsg.ListGroupsResponse:
		for _, g := range r.Groups {
			out = append(out, g.Group)
		}
	case *kmsg.JoinGroupResponse:
		return word(r.ErrorCode)
	case *kmsg.SyncGroupResponse:
		return word(r.ErrorCode)
	case *kmsg.HeartbeatResponse:
		return word(r.ErrorCode)
	case *kmsg.LeaveGroupResponse:
		return word(r.ErrorCode)
	case *kmsg.DescribeLogDirsResponse:
		return fmt.Sprintf("%s %d", word(r.ErrorCode), len(r.Dirs))
	case *kmsg.DescribeQuorumResponse:
		return fmt.Sprintf("%s %d", word(r.ErrorCode), len(r.Topics))
	case *kmsg.ListPartitionReassignmentsResponse:
		return word(r.ErrorCode)
	case *kmsg.ListConfigResourcesResponse:
		return word(r.ErrorCode)
	default:
		return fmt.Sprintf("%T", resp)
	}
	return join(out)
}
