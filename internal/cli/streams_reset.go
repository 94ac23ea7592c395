package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func streamsResetOptions() *optionSet {
	s := newOptions()
	s.arg("application-id", "id", "REQUIRED: The application's id, which is its consumer group.").starred = true
	s.arg("bootstrap-server", "server to connect to", "The brokers to connect to, as host:port, several with commas.").withDefault("localhost:9092")
	s.arg("input-topics", "list", "Input topics, with commas: their offsets are moved, to the first record unless another place is given.").separatedBy(",")
	s.arg("intermediate-topics", "list", "DEPRECATED: topics through which the application sends, with commas: their offsets move to the end.").separatedBy(",")
	s.arg("internal-topics", "list", "Internal topics to delete, with commas; all of the application's if left out.").separatedBy(",")
	s.arg("to-offset", "", "Reset to this offset.").ofKind(longValue)
	s.arg("to-datetime", "", "Reset to the first record at or after a time: 2026-01-31T15:30:00.000.")
	s.flag("to-earliest", "Reset to the first record.")
	s.flag("to-latest", "Reset to the end.")
	s.arg("from-file", "", "Reset as a CSV file says.")
	s.arg("shift-by", "number-of-offsets", "Move by so many offsets, back if negative.").ofKind(longValue)
	s.arg("by-duration", "", "Reset to the first record of the last such time: P1DT2H3M4S.")
	s.arg("config-file", "file name", "DEPRECATED: the old name of --command-config.")
	s.arg("command-config", "file name", "A properties file for the clients.")
	s.flag("force", "Take members that are still there out of the group.")
	s.flag("dry-run", "Only show what would be done.")
	return s
}

func runStreamsReset(r *run, args []string) int {
	set := streamsResetOptions()
	p, err := set.parse(args)
	if err != nil {
		code, _ := exitCode(r.usage(set, nil, err.Error()))
		return code
	}
	t := &streamsReset{groupsTool: groupsTool{run: r, p: p}}
	if err := t.check(); err != nil {
		return r.outcome(err)
	}
	err = t.execute()
	var code *exitError
	switch {
	case err == nil && t.missing:
		return r.fail(1)
	case err == nil:
		return 0
	case errors.As(err, &code):
		return code.code
	}
	r.errorf("ERROR: %s\n", withClass(err))
	r.explainConstruct(err)
	return r.fail(1)
}

type streamsReset struct {
	groupsTool
	id      string
	missing bool // a topic that was named is not there
}

func (t *streamsReset) check() error {
	p := t.p
	if err := t.helpOrVersion(p, nil, "This tool helps to quickly reset an application in order to reprocess its data from scratch."); err != nil {
		return err
	}
	if !p.has("application-id") {
		return t.usage(p.set, nil, "Missing required option(s) [application-id]")
	}
	scenarios := []string{"to-offset", "to-datetime", "by-duration", "to-earliest", "to-latest", "from-file", "shift-by"}
	for _, s := range scenarios {
		var others []string
		for _, o := range scenarios {
			if o != s {
				others = append(others, o)
			}
		}
		if err := t.checkInvalid(p, nil, s, others...); err != nil {
			return err
		}
	}
	if err := t.checkInvalid(p, nil, "config-file", "command-config"); err != nil {
		return err
	}
	if p.has("config-file") {
		t.println("Option --config-file has been deprecated and will be removed in a future version. Use --command-config instead.")
	}
	if t.id = p.value("application-id"); p.err != nil {
		return fmt.Errorf("ERROR: %s", p.err)
	}
	return nil
}

func (t *streamsReset) execute() error {
	for _, o := range []string{"bootstrap-server", "command-config", "config-file"} {
		if t.p.value(o); t.p.err != nil {
			return t.p.err
		}
	}
	c, err := t.open(client.Admin, t.p.value("bootstrap-server"), t.p.value("command-config")+t.p.value("config-file"))
	if err != nil {
		return err
	}
	defer c.Close()
	t.c = c
	if err := t.noMembers(); err != nil {
		return err
	}
	if t.p.has("dry-run") {
		t.println("----Dry run displays the actions which will be performed when running Streams Reset Tool----")
	}
	all, err := t.topicNames(c, false)
	if err != nil {
		return err
	}
	if err := t.moveOffsets(all); err != nil {
		return err
	}
	return t.deleteInternals(all)
}

// noMembers refuses a running application; with --force its members are taken
// out of the group.
func (t *streamsReset) noMembers() error {
	infos, err := t.describeGroups([]string{t.id})
	if err != nil {
		return err
	}
	info := infos[t.id]
	if info == nil || client.IsCode(info.err, client.CodeGroupIDNotFound) {
		return nil
	}
	if info.err != nil {
		return info.err
	}
	if len(info.members) == 0 {
		return nil
	}
	if !t.p.has("force") {
		var names []string
		for _, m := range info.members {
			names = append(names, memberText(m))
		}
		return fmt.Errorf("Consumer group '%s' is still active and has following members: [%s]. Make sure to stop all running application instances before running the reset tool. You can use option '--force' to remove active members from the group.", t.id, strings.Join(names, ", "))
	}
	t.println("Force deleting all active members in the group: " + t.id)
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = t.id
	for _, m := range info.members {
		lm := kmsg.NewLeaveGroupRequestMember()
		lm.MemberID = m.id
		if m.instance != "" {
			lm.InstanceID = kmsg.StringPtr(m.instance)
		}
		req.Members = append(req.Members, lm)
	}
	resp, err := t.c.OnBroker(t.ctx, "removeMembersFromConsumerGroup(api=LEAVE_GROUP)", info.coordinator.NodeID, req)
	if err != nil {
		return err
	}
	lr := resp.(*kmsg.LeaveGroupResponse)
	return client.CodeError(lr.ErrorCode, nil)
}

// memberText is a classic group's member as Kafka's tool prints it.
func memberText(m groupMember) string {
	instance, parts := "null", make([]string, len(m.assigned))
	if m.instance != "" {
		instance = "Optional[" + m.instance + "]"
	}
	for i, tp := range m.assigned {
		parts[i] = tp.String()
	}
	return fmt.Sprintf("(memberId=%s, groupInstanceId=%s, rackId=null, clientId=%s, host=%s, assignment=(topicPartitions=%s), targetAssignment=Optional.empty, memberEpoch=null, upgraded=null)",
		m.id, instance, m.clientID, m.host, strings.Join(parts, ","))
}

// split parts the topics that are there from those that are not.
func split(names, all []string) (there, gone []string) {
	for _, n := range names {
		switch n = strings.TrimSpace(n); {
		case contains(there, n):
		case contains(all, n):
			there = append(there, n)
		default:
			gone = append(gone, n)
		}
	}
	return there, gone
}

func bracketed(names []string) string { return "[" + strings.Join(names, ", ") + "]" }

func (t *streamsReset) moveOffsets(all []string) error {
	inputs, middles := t.p.all("input-topics"), t.p.all("intermediate-topics")
	if len(middles) > 0 {
		t.println("WARN: `--intermediate-topics` is deprecated and will be removed in a future release")
	}
	if len(inputs) == 0 && len(middles) == 0 {
		t.println("No input or intermediate topics specified. Skipping seek.")
		return nil
	}
	if len(inputs) > 0 {
		t.println("Reset-offsets for input topics " + bracketed(inputs))
	}
	if len(middles) > 0 {
		t.println("Seek-to-end for intermediate topics " + bracketed(middles))
	}
	inputsThere, inputsGone := split(inputs, all)
	middlesThere, middlesGone := split(middles, all)
	t.tellMissing("input", "Topic: ", inputsGone)
	t.tellMissing("intermediate", "Topic:", middlesGone)
	middlesThere = slices.DeleteFunc(middlesThere, func(n string) bool { return contains(inputsThere, n) }) // a topic that is both is moved as an input
	if len(inputsThere)+len(middlesThere) == 0 {
		return nil
	}
	want := map[topicPartition]int64{}
	if err := t.inputOffsets(inputsThere, want); err != nil {
		return err
	}
	if err := t.middleOffsets(middlesThere, want); err != nil {
		return err
	}
	if !t.p.has("dry-run") {
		if err := t.commit(t.id, want); err != nil {
			return err
		}
	}
	t.println("Done.")
	return nil
}

func (t *streamsReset) tellMissing(kind, before string, gone []string) {
	if len(gone) == 0 {
		return
	}
	t.missing = true
	t.hintNearestTopics(t.c, gone...)
	t.printf("Following %s topics are not found, skipping them\n", kind)
	for _, n := range gone {
		t.println(before + n)
	}
}

func (t *streamsReset) inputOffsets(topics []string, want map[topicPartition]int64) error {
	if len(topics) == 0 {
		return nil
	}
	sub := *t.p
	sub.given, sub.values = map[string]bool{"topic": true}, map[string][]string{"topic": topics}
	scenario := false
	for _, o := range resetScenarios() {
		if t.p.has(o) {
			sub.given[o], sub.values[o], scenario = true, t.p.values[o], true
		}
	}
	if !scenario {
		sub.given["to-earliest"] = true
	}
	inner := t.groupsTool
	inner.p = &sub
	inner.remarkClamp = func(_ topicPartition, want, limit int64, tooHigh bool) {
		beyond := "lower than earliest"
		if tooHigh {
			beyond = "higher than latest"
		}
		t.printf("New offset (%d) is %s offset. Value will be set to %d\n", want, beyond, limit)
	}
	inner.laterThanZero = true
	inner.remarkEmpty = func(tp topicPartition) {
		t.printf("Partition %d from topic %s is empty, without a committed record. Falling back to latest known offset.\n", tp.partition, tp.topic)
	}
	t.printf("Following input topics offsets will be reset to (for consumer group %s)\n", t.id)
	for _, o := range []string{"by-duration", "from-file", "to-datetime"} {
		if t.p.value(o); t.p.err != nil {
			return t.p.err
		}
	}
	for _, o := range []string{"to-offset", "shift-by"} {
		if sub.number(o); sub.err != nil {
			return sub.err
		}
	}
	offsets, err := t.newInputOffsets(&inner)
	if err != nil {
		if je := new(javaError); errors.As(err, &je) && (strings.HasPrefix(je.text, "java.text.ParseException") || strings.HasPrefix(je.text, "java.io.IOException")) {
			t.errorln("ERROR: Resetting offsets failed.") // of two kinds of failure Kafka's tool says so twice
		}
		return err
	}
	for _, tp := range sortedPartitions(offsets) {
		t.printf("Topic: %s Partition: %d Offset: %d\n", tp.topic, tp.partition, offsets[tp])
		want[tp] = offsets[tp]
	}
	return nil
}

// newInputOffsets are a file's, read by stricter rules than those of groups, or what the groups' code works out.
func (t *streamsReset) newInputOffsets(inner *groupsTool) (map[topicPartition]int64, error) {
	if t.p.has("from-file") {
		want, err := readApplicationPlan(t.p.value("from-file"))
		if err != nil {
			return nil, err
		}
		if err := inner.checkTopicsOf(want); err != nil {
			return nil, err
		}
		return inner.clamped(want)
	}
	return inner.newOffsets(t.id, []string{t.id})
}

// readApplicationPlan reads lines of topic,partition,offset.
func readApplicationPlan(path string) (map[topicPartition]int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		text := "Unable to read file " + path
		return nil, &javaError{text: "java.io.IOException: " + text, plain: text, cause: err}
	}
	wrong := func(text string) error { return &javaError{text: "java.text.ParseException: " + text, plain: text} }
	if len(text) == 0 {
		return nil, wrong("Error parsing reset plan CSV file. It is empty,")
	}
	want := map[topicPartition]int64{}
	for _, line := range javaSplit(strings.TrimPrefix(string(text), byteOrderMark), "\n") {
		cells := javaSplit(strings.TrimSuffix(line, "\r"), ",")
		if len(cells) != 3 {
			return nil, wrong("Reset plan CSV file is not following the format `TOPIC,PARTITION,OFFSET`.")
		}
		partition, err := strconv.ParseInt(cells[1], 10, 32)
		if err != nil {
			return nil, numberFormat(cells[1])
		}
		offset, err := strconv.ParseInt(cells[2], 10, 64)
		if err != nil {
			return nil, numberFormat(cells[2])
		}
		want[topicPartition{cells[0], int32(partition)}] = offset
	}
	return want, nil
}

func (t *streamsReset) middleOffsets(topics []string, want map[topicPartition]int64) error {
	if len(topics) == 0 {
		return nil
	}
	tps, err := t.topicPartitions(topics)
	if err != nil {
		return err
	}
	ends, err := t.offsetsAt(tps, latestOffset)
	if err != nil {
		return err
	}
	t.printf("Following intermediate topics offsets will be reset to end (for consumer group %s)\n", t.id)
	for _, tp := range sortedPartitions(ends) {
		t.println("Topic: " + tp.topic)
		want[tp] = ends[tp]
	}
	return nil
}

// inferred reports whether the application made a topic: by the names that
// Kafka Streams gives.
func inferred(application, topic string) bool {
	rest, ok := strings.CutPrefix(topic, application+"-")
	if !ok {
		return false
	}
	if strings.HasSuffix(rest, "-changelog") || strings.HasSuffix(rest, "-repartition") {
		return true
	}
	return strings.HasPrefix(rest, "KTABLE-FK-JOIN-SUBSCRIPTION-") && strings.HasSuffix(rest, "-topic")
}

func (t *streamsReset) deleteInternals(all []string) error {
	var doomed []string
	for _, n := range hashMapOrder(slices.DeleteFunc(slices.Clone(all), isInternalTopic)) {
		if inferred(t.id, n) {
			doomed = append(doomed, n)
		}
	}
	if named := t.p.all("internal-topics"); len(named) > 0 {
		for _, n := range named {
			if !contains(doomed, n) {
				return &javaError{text: "java.lang.IllegalArgumentException", plain: "java.lang.IllegalArgumentException: Invalid topic specified in the --internal-topics option. Ensure that the topics specified are all internal topics. Do a dry run without the --internal-topics option to see the list of all internal topics that can be deleted."}
			}
		}
		doomed = named
		t.println("Deleting specified internal topics " + bracketed(doomed))
	} else {
		t.println("Deleting inferred internal topics " + bracketed(doomed))
	}
	if !t.p.has("dry-run") {
		if err := t.deleteTopics(t.c, doomed); err != nil {
			return err
		}
	}
	t.println("Done.")
	return nil
}
