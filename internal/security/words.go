package security

import "strconv"

// ResourceType is what an ACL protects; the numbers are those of the protocol.
type ResourceType int8

// The resource types.
const (
	ResourceUnknown         ResourceType = 0
	ResourceAny             ResourceType = 1
	ResourceTopic           ResourceType = 2
	ResourceGroup           ResourceType = 3
	ResourceCluster         ResourceType = 4
	ResourceTransactionalID ResourceType = 5
	ResourceDelegationToken ResourceType = 6
	ResourceUser            ResourceType = 7
)

// ClusterName is the name of the one resource of type ResourceCluster.
const ClusterName = "kafka-cluster"

// PatternType says how an ACL's resource name is matched; the numbers are those of the protocol.
type PatternType int8

// The pattern types.
const (
	PatternUnknown  PatternType = 0
	PatternAny      PatternType = 1
	PatternMatch    PatternType = 2
	PatternLiteral  PatternType = 3
	PatternPrefixed PatternType = 4
)

// Operation is what somebody wants to do; the numbers are those of the protocol.
type Operation int8

// The operations.
const (
	OperationUnknown         Operation = 0
	OperationAny             Operation = 1
	OperationAll             Operation = 2
	OperationRead            Operation = 3
	OperationWrite           Operation = 4
	OperationCreate          Operation = 5
	OperationDelete          Operation = 6
	OperationAlter           Operation = 7
	OperationDescribe        Operation = 8
	OperationClusterAction   Operation = 9
	OperationDescribeConfigs Operation = 10
	OperationAlterConfigs    Operation = 11
	OperationIdempotentWrite Operation = 12
	OperationCreateTokens    Operation = 13
	OperationDescribeTokens  Operation = 14
	OperationTwoPhaseCommit  Operation = 15
)

// String is Kafka's name of the type.
func (t ResourceType) String() string {
	names := [...]string{"UNKNOWN", "ANY", "TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER"}
	return nameOf(int(t), names[:])
}

// String is Kafka's name of the pattern type.
func (t PatternType) String() string {
	names := [...]string{"UNKNOWN", "ANY", "MATCH", "LITERAL", "PREFIXED"}
	return nameOf(int(t), names[:])
}

// String is Kafka's name of the operation.
func (o Operation) String() string {
	names := [...]string{
		"UNKNOWN", "ANY", "ALL", "READ", "WRITE", "CREATE", "DELETE", "ALTER", "DESCRIBE", "CLUSTER_ACTION",
		"DESCRIBE_CONFIGS", "ALTER_CONFIGS", "IDEMPOTENT_WRITE", "CREATE_TOKENS", "DESCRIBE_TOKENS", "TWO_PHASE_COMMIT",
	}
	return nameOf(int(o), names[:])
}

func nameOf(code int, names []string) string {
	if code < 0 || code >= len(names) {
		return "UNKNOWN(" + strconv.Itoa(code) + ")"
	}
	return names[code]
}

// OperationsOn lists the operations that mean something on a resource type, in
// the order of their codes. Metadata and the describe APIs report authorized
// operations among these only.
func OperationsOn(t ResourceType) []Operation {
	switch t {
	case ResourceTopic:
		return []Operation{
			OperationRead, OperationWrite, OperationCreate, OperationDelete, OperationAlter,
			OperationDescribe, OperationDescribeConfigs, OperationAlterConfigs,
		}
	case ResourceGroup:
		return []Operation{
			OperationRead, OperationDelete, OperationDescribe, OperationDescribeConfigs, OperationAlterConfigs,
		}
	case ResourceCluster:
		return []Operation{
			OperationCreate, OperationAlter, OperationDescribe, OperationClusterAction,
			OperationDescribeConfigs, OperationAlterConfigs, OperationIdempotentWrite,
		}
	case ResourceTransactionalID:
		return []Operation{OperationWrite, OperationDescribe, OperationTwoPhaseCommit}
	case ResourceDelegationToken:
		return []Operation{OperationDescribe}
	case ResourceUser:
		return []Operation{OperationCreateTokens, OperationDescribeTokens}
	default:
		return nil
	}
}
