package client

import (
	"errors"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// KafkaError is an error code that a broker answered, with the broker's own
// sentence where it sent one.
type KafkaError struct {
	Code    int16
	Message string
}

func (e *KafkaError) Error() string { return e.Message }

// Is makes errors.Is(err, kerr.X) work on what a broker said.
func (e *KafkaError) Is(target error) bool {
	return errors.Is(kerr.ErrorForCode(e.Code), target)
}

// ClassName is the Java exception that Kafka's tools print for the code: it is
// part of some tools' standard output, which scripts match.
func (e *KafkaError) ClassName() string {
	return "org.apache.kafka.common.errors." + exceptionClass(e.Code)
}

// CodeError returns nil for code 0, and else a *KafkaError with message, or
// with Kafka's text for the code when message is nil or empty.
func CodeError(code int16, message *string) error {
	if code == 0 {
		return nil
	}
	e := &KafkaError{Code: code}
	if message != nil && *message != "" {
		e.Message = *message
		return e
	}
	e.Message = CodeText(code)
	return e
}

// CodeText is Kafka's sentence for an error code.
func CodeText(code int16) string {
	if s, ok := irregularTexts()[code]; ok {
		return s
	}
	if ke := new(kerr.Error); errors.As(kerr.ErrorForCode(code), &ke) {
		return ke.Description
	}
	return "The server experienced an unexpected error when processing the request."
}

// CodeName is the protocol's name of an error code, such as NOT_COORDINATOR.
func CodeName(code int16) string {
	if code == 0 {
		return "NONE"
	}
	if ke := new(kerr.Error); errors.As(kerr.ErrorForCode(code), &ke) {
		return ke.Message
	}
	return "UNKNOWN_SERVER_ERROR"
}

// Codes that the tools look at.
const (
	CodeUnknownTopicOrPartition = 3
	CodeLeaderNotAvailable      = 5
	CodeNotLeaderOrFollower     = 6
	CodeCoordinatorLoading      = 14
	CodeCoordinatorNotAvailable = 15
	CodeNotCoordinator          = 16
	CodeTopicAuthFailed         = 29
	CodeGroupAuthFailed         = 30
	CodeClusterAuthFailed       = 31
	CodeUnsupportedVersion      = 35
	CodeTopicAlreadyExists      = 36
	CodeNonEmptyGroup           = 68
	CodeGroupIDNotFound         = 69
	CodeUnknownTopicID          = 100
)

// exceptionClass is the Java class of an error code. Most are the code's name
// in camel case with "Exception" behind; the table holds the others.
func exceptionClass(code int16) string {
	name := CodeName(code)
	if c, ok := irregularExceptions()[name]; ok {
		return c
	}
	var b strings.Builder
	for _, w := range strings.Split(strings.TrimSuffix(name, "_ERROR"), "_") {
		b.WriteString(w[:1])
		b.WriteString(strings.ToLower(w[1:]))
	}
	return b.String() + "Exception"
}

func irregularExceptions() map[string]string {
	return map[string]string{
		"UNKNOWN_SERVER_ERROR":                  "UnknownServerException",
		"CORRUPT_MESSAGE":                       "CorruptRecordException",
		"REQUEST_TIMED_OUT":                     "TimeoutException",
		"MESSAGE_TOO_LARGE":                     "RecordTooLargeException",
		"STALE_CONTROLLER_EPOCH":                "ControllerMovedException",
		"OFFSET_METADATA_TOO_LARGE":             "OffsetMetadataTooLarge",
		"NETWORK_EXCEPTION":                     "NetworkException",
		"INVALID_TOPIC_EXCEPTION":               "InvalidTopicException",
		"RECORD_LIST_TOO_LARGE":                 "RecordBatchTooLargeException",
		"TOPIC_AUTHORIZATION_FAILED":            "TopicAuthorizationException",
		"GROUP_AUTHORIZATION_FAILED":            "GroupAuthorizationException",
		"CLUSTER_AUTHORIZATION_FAILED":          "ClusterAuthorizationException",
		"TOPIC_ALREADY_EXISTS":                  "TopicExistsException",
		"INVALID_CONFIG":                        "InvalidConfigurationException",
		"OUT_OF_ORDER_SEQUENCE_NUMBER":          "OutOfOrderSequenceException",
		"DUPLICATE_SEQUENCE_NUMBER":             "DuplicateSequenceException",
		"INVALID_PRODUCER_ID_MAPPING":           "InvalidPidMappingException",
		"INVALID_TRANSACTION_TIMEOUT":           "InvalidTxnTimeoutException",
		"TRANSACTIONAL_ID_AUTHORIZATION_FAILED": "TransactionalIdAuthorizationException",
		"KAFKA_STORAGE_ERROR":                   "KafkaStorageException",
		"SASL_AUTHENTICATION_FAILED":            "SaslAuthenticationException",
		"DELEGATION_TOKEN_AUTH_DISABLED":        "DelegationTokenDisabledException",
		"DELEGATION_TOKEN_REQUEST_NOT_ALLOWED":  "UnsupportedByAuthenticationException",
		"DELEGATION_TOKEN_AUTHORIZATION_FAILED": "DelegationTokenAuthorizationException",
		"NON_EMPTY_GROUP":                       "GroupNotEmptyException",
		"PRINCIPAL_DESERIALIZATION_FAILURE":     "PrincipalDeserializationException",
		"FETCH_SESSION_TOPIC_ID_ERROR":          "FetchSessionTopicIdException",
		"INVALID_REGULAR_EXPRESSION":            "InvalidRegularExpression",
	}
}

// ConfigError is a property that cannot be used; the text is Kafka's.
type ConfigError struct{ Message string }

func (e *ConfigError) Error() string { return e.Message }

// TimeoutError is Kafka's TimeoutException: nobody answered in time.
type TimeoutError struct {
	Message string
	Cause   error // the last connection failure, for the curious
}

func (e *TimeoutError) Error() string { return e.Message }
func (e *TimeoutError) Unwrap() error { return e.Cause }

// ClassName is the Java exception that tools print before the message.
func (e *TimeoutError) ClassName() string {
	return "org.apache.kafka.common.errors.TimeoutException"
}

// AuthenticationError is a refused login.
type AuthenticationError struct{ Message string }

func (e *AuthenticationError) Error() string { return e.Message }

// ClassName is the Java exception that tools print before the message.
func (e *AuthenticationError) ClassName() string {
	return "org.apache.kafka.common.errors.SaslAuthenticationException"
}

// ClassOf is the Java exception class for err, or "" where Kafka has none.
func ClassOf(err error) string {
	var c interface{ ClassName() string }
	if errors.As(err, &c) {
		return c.ClassName()
	}
	return ""
}

// IsCode reports whether err is a broker's answer with this code.
func IsCode(err error, code int16) bool {
	var ke *KafkaError
	return errors.As(err, &ke) && ke.Code == code
}
