package verify

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// rule is one sentence about Kafka, and how to see whether it holds.
type rule struct {
	name string   // unique, "produce/crc"
	key  kmsg.Key // the API whose versions are gone through
	// more are other APIs that the rule needs; where one is not advertised the rule does not apply.
	more []kmsg.Key
	// min and max narrow the versions; max 0 is no bound, and versionZero is version 0 alone.
	min, max int16
	says     string // the rule in a sentence
	cites    string // where Kafka says so
	nodes    int    // so many brokers at least
	run      func(x *exam)
}

// versionZero as a rule's max stands for version 0.
const versionZero = -1

// RuleInfo is a rule as --list shows it.
type RuleInfo struct {
	Name     string `json:"rule"`
	API      string `json:"api"`
	Sentence string `json:"says"`
	Cites    string `json:"source"`
}

// Rules are all rules in the order in which they are reported.
func Rules() []RuleInfo {
	var out []RuleInfo
	for _, r := range rules() {
		out = append(out, RuleInfo{r.name, r.key.Name(), r.says, r.cites})
	}
	for _, h := range historyRules() {
		out = append(out, RuleInfo{h.name, historyAPI, h.says, h.cites})
	}
	return out
}

func rules() []rule {
	return slices.Concat(frameRules(), apiVersionsRules(),
		metadataRules(), topicPartitionsRules(), clusterRules(), coordinatorRules(), topicRules(), configRules(),
		produceRules(), badBatchRules(), batchRules(), idempotenceRules(),
		fetchRules(), fetchTermRules(), fetchSessionRules(), fetchElsewhereRules(), offsetRules(),
		groupRules(), groupRefusalRules(), staticMemberRules(), groupAdminRules(), commitRules(), offsetFetchRules(),
		consumerGroupRules(), consumerGroupMoreRules(),
		txnRules(), txnRefusalRules(), txnTwoRules(), txnAdminRules(), shareRules(), streamsRules(),
		adminRules(), logDirRules(), quotaRules(), membershipRules(), telemetryRules(), securityRules(), scramRules(), tokenRules())
}

// versions are those of the rule's API at which it is examined: the lowest and the highest of what is advertised, of what the
// rule speaks about and of what the codec knows; with all, those between too.
func (r *rule) versions(advertised map[int16]span, all bool) []int16 {
	s, ok := advertised[int16(r.key)]
	if !ok {
		return nil
	}
	s.low = max(s.low, r.min, lowestServed(r.key))
	s.high = min(s.high, r.key.Request().MaxVersion())
	if r.max != 0 {
		s.high = min(s.high, max(r.max, 0))
	}
	for _, k := range r.more {
		if _, ok := advertised[int16(k)]; !ok {
			return nil
		}
	}
	switch {
	case s.low > s.high:
		return nil
	case s.low == s.high:
		return []int16{s.low}
	case !all:
		return []int16{s.low, s.high}
	}
	var out []int16
	for v := s.low; v <= s.high; v++ {
		out = append(out, v)
	}
	return out
}

// lowestServed is the lowest version that a broker must serve where it advertises a lower one: Produce is listed from 0,
// for old librdkafka to find compression, and 0 to 2 are refused (KIP-896, KAFKA-18659).
func lowestServed(k kmsg.Key) int16 {
	if k == kmsg.Produce {
		return 3
	}
	return 0
}

// where says at which request a rule is: part of every failure.
func where(key kmsg.Key, version int16) string { return fmt.Sprintf("%s v%d", key.Name(), version) }
