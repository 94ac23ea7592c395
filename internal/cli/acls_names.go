package cli

import (
	"sort"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func patternNames() map[kmsg.ACLResourcePatternType]string {
	return map[kmsg.ACLResourcePatternType]string{1: "ANY", 2: "MATCH", 3: "LITERAL", 4: "PREFIXED"}
}

func patternName(t kmsg.ACLResourcePatternType) string {
	if n, ok := patternNames()[t]; ok {
		return n
	}
	return "UNKNOWN"
}

func resourceTypeName(t kmsg.ACLResourceType) string {
	names := []string{"UNKNOWN", "ANY", "TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER"}
	if t < 0 || int(t) >= len(names) {
		return names[0]
	}
	return names[t]
}

func permissionName(t kmsg.ACLPermissionType) string {
	names := []string{"UNKNOWN", "ANY", "DENY", "ALLOW"}
	if t < 0 || int(t) >= len(names) {
		return names[0]
	}
	return names[t]
}

// aclTwoPhaseCommit is younger than the list of the protocol's library.
const aclTwoPhaseCommit kmsg.ACLOperation = 15

func operationNames() []string {
	return []string{"UNKNOWN", "ANY", "ALL", "READ", "WRITE", "CREATE", "DELETE", "ALTER", "DESCRIBE", "CLUSTER_ACTION",
		"DESCRIBE_CONFIGS", "ALTER_CONFIGS", "IDEMPOTENT_WRITE", "CREATE_TOKENS", "DESCRIBE_TOKENS", "TWO_PHASE_COMMIT"}
}

func operationName(op kmsg.ACLOperation) string {
	names := operationNames()
	if op < 0 || int(op) >= len(names) {
		return names[0]
	}
	return names[op]
}

// plainOperationNames are the operations as people type them: Read, DescribeConfigs.
func plainOperationNames() []string {
	var out []string
	for _, n := range operationNames()[1:] {
		name := ""
		for _, w := range strings.Split(n, "_") {
			name += w[:1] + strings.ToLower(w[1:])
		}
		out = append(out, name)
	}
	return out
}

// parseOperation reads DescribeConfigs in any case; what it does not know is
// UNKNOWN, as DESCRIBE_CONFIGS is.
func parseOperation(s string) kmsg.ACLOperation {
	for i, n := range operationNames() {
		if strings.EqualFold(s, strings.ReplaceAll(n, "_", "")) {
			return kmsg.ACLOperation(i)
		}
	}
	return kmsg.ACLOperationUnknown
}

func hasOperation(ops []kmsg.ACLOperation, op kmsg.ACLOperation) bool {
	for _, o := range ops {
		if o == op {
			return true
		}
	}
	return false
}

// supported are the operations that make sense on a type of resource.
func supported(t kmsg.ACLResourceType) []kmsg.ACLOperation {
	switch t {
	case kmsg.ACLResourceTypeTopic:
		return []kmsg.ACLOperation{kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationCreate, kmsg.ACLOperationDescribe, kmsg.ACLOperationDelete,
			kmsg.ACLOperationAlter, kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationAlterConfigs, kmsg.ACLOperationAll}
	case kmsg.ACLResourceTypeGroup:
		return []kmsg.ACLOperation{kmsg.ACLOperationRead, kmsg.ACLOperationDescribe, kmsg.ACLOperationDelete, kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationAlterConfigs, kmsg.ACLOperationAll}
	case kmsg.ACLResourceTypeCluster:
		return []kmsg.ACLOperation{kmsg.ACLOperationCreate, kmsg.ACLOperationClusterAction, kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationAlterConfigs,
			kmsg.ACLOperationIdempotentWrite, kmsg.ACLOperationAlter, kmsg.ACLOperationDescribe, kmsg.ACLOperationAll}
	case kmsg.ACLResourceTypeTransactionalId:
		return []kmsg.ACLOperation{kmsg.ACLOperationDescribe, kmsg.ACLOperationWrite, aclTwoPhaseCommit, kmsg.ACLOperationAll}
	case kmsg.ACLResourceTypeDelegationToken:
		return []kmsg.ACLOperation{kmsg.ACLOperationDescribe, kmsg.ACLOperationAll}
	}
	return []kmsg.ACLOperation{kmsg.ACLOperationCreateTokens, kmsg.ACLOperationDescribeTokens, kmsg.ACLOperationAll}
}

func supports(t kmsg.ACLResourceType, op kmsg.ACLOperation) bool {
	return hasOperation(supported(t), op)
}

func supportedText(t kmsg.ACLResourceType) string {
	var names []string
	for _, op := range supported(t) {
		names = append(names, operationName(op))
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}
