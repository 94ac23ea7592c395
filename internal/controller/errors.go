package controller

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Error is a refusal: one of Kafka's error codes and a sentence for the user.
type Error struct {
	Code    int16
	Message string
}

func (e *Error) Error() string { return e.Message }

// refuse makes a refusal with its own words.
func refuse(code *kerr.Error, format string, args ...any) *Error {
	return &Error{code.Code, fmt.Sprintf(format, args...)}
}

// refusePlain makes a refusal with the words that Kafka has for the code.
func refusePlain(code *kerr.Error) *Error { return &Error{code.Code, plainText(code)} }

func plainText(code *kerr.Error) string {
	switch code {
	case kerr.UnknownTopicOrPartition:
		return "This server does not host this topic-partition."
	case kerr.UnknownTopicID:
		return "This server does not host this topic ID."
	case kerr.TopicDeletionDisabled:
		return "Topic deletion is disabled."
	case kerr.ElectionNotNeeded:
		return "Leader election not needed for topic partition."
	case kerr.NoReassignmentInProgress:
		return "No partition reassignment is in progress."
	case kerr.PreferredLeaderNotAvailable:
		return "The preferred leader was not available."
	case kerr.EligibleLeadersNotAvailable:
		return "Eligible topic partition leaders are not available."
	}
	return code.Description
}

// asError turns a validator's error into a refusal.
func asError(err error, otherwise *kerr.Error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{otherwise.Code, err.Error()}
}

// text is the message as responses carry it; some refusals of Kafka's have none.
func (e *Error) text() *string {
	if e.Message == "" {
		return nil
	}
	return &e.Message
}

// outcome is a response's error code and message; of nil, that it was done.
func (e *Error) outcome() (int16, *string) {
	if e == nil {
		return 0, nil
	}
	return e.Code, e.text()
}
