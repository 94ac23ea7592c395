package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// exam is one rule at one version of its API. It belongs to one goroutine.
type exam struct {
	*probe
	ctx     context.Context
	rule    *rule
	version int16

	conns   map[int32]*conn
	request string   // the last request, for the report
	seq     int      // numbers the names that it makes
	ends    []func() // run at its end, the last first
	checks  int
	failed  []Failure
	spoken  map[spokenAt]bool
	ended   bool // a check without which the rest makes no sense has failed
	why     string
}

// spokenAt is an API at a version that was answered readably.
type spokenAt struct {
	key     int16
	version int16
}

// Failure is a check that failed.
type Failure struct {
	Rule     string `json:"rule"`
	API      string `json:"api"`
	Version  int16  `json:"version"`
	Request  string `json:"request,omitempty"`
	Expected string `json:"expected"`
	Got      string `json:"got"`
	Says     string `json:"says"`
	Cites    string `json:"source"`
}

// stop ends an exam whose next steps make no sense any more; see probe.examine.
type stop struct{}

// notApplicable ends an exam that has found out that its rule says nothing about this cluster.
type notApplicable struct{ why string }

func (x *exam) skip(why string) { panic(notApplicable{why}) }

// that notes a check.
func (x *exam) that(ok bool, expected, got string, args ...any) bool {
	x.checks++
	if !ok {
		x.fail(expected, fmt.Sprintf(got, args...))
	}
	return ok
}

// must is that, and ends the exam when the check fails.
func (x *exam) must(ok bool, expected, got string, args ...any) {
	if !x.that(ok, expected, got, args...) {
		panic(stop{})
	}
}

// count ends the exam unless there are so many of something.
func (x *exam) count(what string, got, want int) { x.must(got == want, what, "%d", got) }

func (x *exam) fail(expected, got string) {
	x.failed = append(x.failed, Failure{Rule: x.rule.name, API: x.rule.key.Name(), Version: x.version, Request: x.request,
		Expected: expected, Got: got, Says: x.rule.says, Cites: x.rule.cites})
}

// equal checks a value.
func equal[T comparable](x *exam, what string, got, want T) bool {
	return x.that(got == want, fmt.Sprintf("%s %v", what, want), "%s %v", what, got)
}

// code checks an error code against those that are right.
func (x *exam) code(what string, got int16, right ...int16) bool {
	return x.that(slices.Contains(right, got), what+" "+codeNames(right), "%s %s", what, codeName(got))
}

// ok is code 0, without which the exam ends.
func (x *exam) ok(what string, got int16) {
	if !x.code(what, got, 0) {
		panic(stop{})
	}
}

// message checks that an error comes with a sentence.
func (x *exam) message(what string, got *string) {
	x.that(got != nil && *got != "", what+" with a sentence that says why", "%s without one", what)
}

func codeName(c int16) string {
	if c == 0 {
		return "NONE (0)"
	}
	return fmt.Sprintf("%s (%d)", client.CodeName(c), c)
}

func codeNames(cs []int16) string {
	var out []string
	for _, c := range cs {
		out = append(out, codeName(c))
	}
	return strings.Join(out, " or ")
}

// name makes a name of the probe's own: of a topic, a group or a transactional id.
func (x *exam) name(kind string) string {
	x.seq++
	return fmt.Sprintf("%s%s-%s-v%d-%d", x.prefix, kind, strings.ReplaceAll(x.rule.name, "/", "-"), x.version, x.seq)
}

// conn is the exam's connection to a broker.
func (x *exam) conn(broker int32) (*conn, error) {
	if c := x.conns[broker]; c != nil {
		return c, nil
	}
	c, err := dial(x.ctx, x.cluster.settings, x.cluster.addr(broker))
	if err == nil {
		x.conns[broker] = c
	}
	return c, err
}

// fresh is a connection of a rule's own, closed with the exam.
func (x *exam) fresh(broker int32) *conn {
	c, err := dial(x.ctx, x.cluster.settings, x.cluster.addr(broker))
	x.must(err == nil, "a connection", "%v", err)
	x.onEnd(func() { c.Close() })
	return c
}

func (x *exam) onEnd(fn func()) { x.ends = append(x.ends, fn) }

// setVersion gives a request its version: that under examination, or the highest for an API that is only a means.
func (x *exam) setVersion(req kmsg.Request) {
	if req.GetVersion() != 0 {
		return // the rule has chosen
	}
	if req.Key() == int16(x.rule.key) {
		req.SetVersion(x.version)
		return
	}
	req.SetVersion(x.cluster.highest(req.Key()))
}

// try sends a request once.
func (x *exam) try(broker int32, req kmsg.Request) (kmsg.Response, error) {
	x.setVersion(req)
	x.request = describe(req)
	c, err := x.conn(broker)
	if err != nil {
		return nil, err
	}
	resp, err := c.ask(x.ctx, req)
	if err != nil {
		c.Close()
		delete(x.conns, broker)
		return nil, err
	}
	x.spoken[spokenAt{req.Key(), req.GetVersion()}] = true
	return resp, nil
}

// passing are the codes that pass by themselves and that a client tries again after.
func passing() []int16 {
	return []int16{codeLeaderNotAvailable, codeNotLeader, codeRequestTimedOut, codeLoading, codeCoordinatorNotAvailable, codeNotCoordinator}
}

// send sends a request to a broker until the answer has none of the codes that pass by themselves, except those that the rule
// is about. An answer that cannot be had ends the exam.
func (x *exam) send(broker int32, req kmsg.Request, about ...int16) kmsg.Response {
	return x.sendTo(func() int32 { return broker }, req, about...)
}

// sendTo is send to a broker that is found again for each try.
func (x *exam) sendTo(find func() int32, req kmsg.Request, about ...int16) kmsg.Response {
	until := time.Now().Add(x.options.Patience)
	for {
		resp, err := x.try(find(), req)
		x.must(err == nil, "a readable answer", "%v", err)
		waits := slices.ContainsFunc(codesIn(resp), func(c int16) bool { return slices.Contains(passing(), c) && !slices.Contains(about, c) })
		if !waits || time.Now().After(until) {
			return resp
		}
		if err := pause(x.ctx, retryPause); err != nil {
			x.must(false, "an answer that is not to be tried again", "%v", err)
		}
	}
}

// ask is send to any broker, with the answer's type.
func ask[R kmsg.Response](x *exam, req kmsg.Request, about ...int16) R {
	return answerOf[R](x, x.send(x.any(), req, about...))
}

// askAt is ask of one broker.
func askAt[R kmsg.Response](x *exam, broker int32, req kmsg.Request, about ...int16) R {
	return answerOf[R](x, x.send(broker, req, about...))
}

// once sends a request to one broker once: its answer counts, also when it is one that passes by itself.
func once[R kmsg.Response](x *exam, broker int32, req kmsg.Request) R {
	resp, err := x.try(broker, req)
	x.must(err == nil, "a readable answer", "%v", err)
	return answerOf[R](x, resp)
}

// askGroup is ask of the coordinator of a group.
func askGroup[R kmsg.Response](x *exam, group string, req kmsg.Request, about ...int16) R {
	return answerOf[R](x, x.sendTo(func() int32 { return x.coordinator(coordinatorGroup, group) }, req, about...))
}

// askTxn is ask of the coordinator of a transactional id.
func askTxn[R kmsg.Response](x *exam, id string, req kmsg.Request, about ...int16) R {
	return answerOf[R](x, x.sendTo(func() int32 { return x.coordinator(coordinatorTxn, id) }, req, about...))
}

// askLeader is ask of the leader of partition 0.
func askLeader[R kmsg.Response](x *exam, t *topic, req kmsg.Request, about ...int16) R {
	return answerOf[R](x, x.sendTo(func() int32 { return x.leader(t, 0) }, req, about...))
}

func answerOf[R kmsg.Response](x *exam, resp kmsg.Response) R {
	r, ok := resp.(R)
	if !ok {
		panic(fmt.Sprintf("%s: the rule awaits another answer than %T", x.rule.name, resp)) // a mistake in this package
	}
	return r
}

// any is the broker that requests go to which may go to any.
func (x *exam) any() int32 { return x.cluster.nodes()[0] }

// other is a broker that is not id, or id where there is none.
func (x *exam) other(id int32) int32 {
	for _, n := range x.cluster.nodes() {
		if n != id {
			return n
		}
	}
	return id
}

// Kinds of coordinators.
const (
	coordinatorGroup = 0
	coordinatorTxn   = 1
	coordinatorShare = 2
)

// coordinator finds a coordinator, and waits while it is being made.
func (x *exam) coordinator(kind int8, key string) int32 {
	said := x.request
	defer func() { x.request = said }()
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.Version, req.CoordinatorKey, req.CoordinatorType = min(2, x.cluster.highest(req.Key())), key, kind
	resp := ask[*kmsg.FindCoordinatorResponse](x, req)
	x.ok("a coordinator:", resp.ErrorCode)
	return resp.NodeID
}

// codesIn are all error codes of an answer.
func codesIn(resp kmsg.Response) []int16 {
	var out []int16
	collectCodes(reflect.ValueOf(resp), &out)
	return out
}

func collectCodes(v reflect.Value, out *[]int16) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			collectCodes(v.Elem(), out)
		}
	case reflect.Slice:
		if k := v.Type().Elem().Kind(); k == reflect.Struct || k == reflect.Pointer {
			for i := range v.Len() {
				collectCodes(v.Index(i), out)
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			if strings.HasSuffix(f.Name, "ErrorCode") && f.Type.Kind() == reflect.Int16 {
				*out = append(*out, int16(v.Field(i).Int()))
				continue
			}
			collectCodes(v.Field(i), out)
		}
	}
}

// describeBytes bounds how much of a request a report shows.
const describeBytes = 600

// describe renders a request for the report.
func describe(req kmsg.Request) string {
	b, err := json.Marshal(req)
	if err != nil {
		return where(kmsg.Key(req.Key()), req.GetVersion())
	}
	s := string(b)
	if len(s) > describeBytes {
		s = s[:describeBytes] + "..."
	}
	return where(kmsg.Key(req.Key()), req.GetVersion()) + " " + s
}

func hostPort(host string, port int32) string { return net.JoinHostPort(host, strconv.Itoa(int(port))) }

func ptr[T any](v T) *T { return &v }
