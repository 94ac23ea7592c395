package cli

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func groupsOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "server to connect to", "The brokers to connect to, as host:port, several with commas.")
	s.arg("command-config", "command config property file", "A properties file for the admin client.")
	s.arg("group", "consumer group", "The group to act on; may be given several times.")
	s.flag("all-groups", "Act on all groups.")
	s.arg("topic", "topic", "The topic, or topic:0,1 for some partitions, whose offsets to reset or delete; may be given several times.")
	s.flag("all-topics", "Reset the offsets of all topics that the group has offsets of.")
	s.flag("list", "List the groups.")
	s.flag("describe", "Show a group's offsets and lag, its members, or its state.")
	s.flag("delete", "Delete groups and their offsets.")
	s.flag("reset-offsets", "Move a group's offsets; only shown unless --execute is given.")
	s.flag("delete-offsets", "Delete a group's offsets of topics.")
	s.flag("dry-run", "Only show what --reset-offsets would do.")
	s.flag("execute", "Do what --reset-offsets shows.")
	s.flag("export", "Print the result of --reset-offsets as CSV.")
	s.arg("to-offset", "offset", "Reset to this offset.").ofKind(longValue)
	s.arg("to-datetime", "datetime", "Reset to the first record at or after a time: 2026-01-31T15:30:00.000, with an offset such as +09:00 or without.")
	s.arg("by-duration", "duration", "Reset to the first record of the last such time: P1DT2H3M4S.")
	s.flag("to-earliest", "Reset to the first record.")
	s.flag("to-latest", "Reset to the end.")
	s.flag("to-current", "Reset to where the group is.")
	s.arg("shift-by", "number-of-offsets", "Move by so many offsets, back if negative.").ofKind(longValue)
	s.arg("from-file", "path to CSV file", "Reset as a CSV file says: topic,partition,offset or group,topic,partition,offset.")
	s.arg("timeout", "timeout (ms)", "How long --describe and others may wait for the group.").ofKind(longValue).withDefault("30000")
	s.flag("members", "With --describe: the members.").onlyWith("describe")
	s.flag("offsets", "With --describe: the offsets; this is the default.").onlyWith("describe")
	s.flag("state", "With --describe: the state. With --list: show states, or only groups in the states given.").takesMaybe("").onlyWith("describe", "list")
	s.flag("type", "With --list: show types, or only groups of the types given.").takesMaybe("").onlyWith("list")
	s.flag("verbose", "With --describe: more columns.").onlyWith("describe")
	s.arg("validate-regex", "regex", "Check a regular expression as the broker's subscriptions take it.")
	s.byName["bootstrap-server"].unmarked = true // --validate-regex does without
	s.formatOption()
	return s
}

func groupsRequired() []string { return []string{"bootstrap-server"} }

type groupsTool struct {
	*run
	p             *parsed
	c             *client.Client
	brokersKnown  bool
	laterThanZero bool                    // a time before 1970 is refused at once
	remarkEmpty   func(tp topicPartition) // tells that no record is so new; nil warns of it
	filePlan      resetPlan               // what --from-file holds, once it is read
	// remarkClamp tells that a wanted offset lies outside a partition; nil logs it.
	remarkClamp func(tp topicPartition, want, limit int64, tooHigh bool)
}

func runConsumerGroups(r *run, args []string) int {
	p, err := groupsOptions().parse(args)
	if err != nil {
		return r.failln(err.Error(), 1)
	}
	err = r.checkGroupsArgs(p)
	if err == nil && p.has("validate-regex") {
		return r.validateRegex(p.value("validate-regex"))
	}
	if err == nil {
		g := &groupsTool{run: r, p: p}
		err = g.execute()
	}
	return r.groupsOutcome(p, err)
}

// groupsOutcome words what went wrong: wrong use prints the table and exits 1,
// everything else exits 0 as Kafka's tool does.
func (r *run) groupsOutcome(p *parsed, err error) int {
	var use *optionError
	var je *javaError
	fe := new(client.FileError)
	switch code, ok := exitCode(err); {
	case err == nil:
		return 0
	case errors.As(err, &fe) && fe.Malformed():
		return r.outcome(err) // Kafka's tool does not catch it
	case ok:
		return code
	case errors.As(err, &use):
		code, _ := exitCode(r.usage(p.set, groupsRequired(), use.msg))
		return code
	}
	text := withFileClass(err)
	if errors.As(err, &je) {
		text = je.text
	}
	r.report("\nError: Executing consumer group command failed due to %s\n", text)
	r.errorln(err.Error())
	r.explainConstruct(err)
	return r.fail(0)
}

func resetScenarios() []string {
	return []string{"by-duration", "from-file", "shift-by", "to-current", "to-datetime", "to-earliest", "to-latest", "to-offset"}
}

func (r *run) checkGroupsArgs(p *parsed) error {
	req := groupsRequired()
	if err := r.helpOrVersion(p, req, "This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, or reset consumer group offsets."); err != nil {
		return err
	}
	if p.has("bootstrap-server") || !p.has("validate-regex") { // which asks nobody
		if err := r.checkRequired(p, req, "bootstrap-server"); err != nil {
			return err
		}
	}
	if err := r.readFormat(p, "list", "describe"); err != nil {
		return err
	}
	bad := func(format string, args ...any) error { return r.usage(p.set, req, fmt.Sprintf(format, args...)) }
	selected := p.hasAny("group", "all-groups")
	if p.has("describe") {
		if !selected {
			return bad("Option [describe] takes one of these options: [group], [all-groups]")
		}
		if countGiven(p, "members", "offsets", "state") > 1 {
			return bad("Option [describe] takes at most one of these options: [members], [offsets], [state]")
		}
		if len(p.all("state")) > 0 {
			return bad("Option [describe] does not take a value for [state]")
		}
	}
	if p.has("delete") {
		if !selected {
			return bad("Option [delete] takes one of these options: [group], [all-groups]")
		}
		if p.has("topic") {
			return bad("The consumer does not support topic-specific offset deletion from a consumer group.")
		}
	}
	if p.has("delete-offsets") && !(p.has("group") && p.has("topic")) {
		return bad("Option [delete-offsets] takes the following options: [group], [topic]")
	}
	if p.has("reset-offsets") {
		if err := r.checkReset(p, req, selected); err != nil {
			return err
		}
	}
	if err := r.checkGroupCombinations(p, req); err != nil {
		return err
	}
	if countGiven(p, "list", "describe", "delete", "reset-offsets", "delete-offsets", "validate-regex") != 1 {
		return bad("Command must include exactly one action: --list, --describe, --delete, --reset-offsets, --delete-offsets, --validate-regex")
	}
	return nil
}

func (r *run) checkReset(p *parsed, req []string, selected bool) error {
	if p.has("dry-run") && p.has("execute") {
		return r.usage(p.set, req, "Option [reset-offsets] only accepts one of [execute] and [dry-run]")
	}
	if !p.has("dry-run") && !p.has("execute") {
		r.errorln("WARN: No action will be performed as the --execute option is missing. In version 5.0, this command will require either --dry-run or --execute to be specified. You should add the --dry-run option explicitly if you are scripting this command and want to keep the current default behavior without prompting.")
	}
	if !selected {
		return r.usage(p.set, req, "Option [reset-offsets] takes one of these options: [group], [all-groups]")
	}
	for _, s := range []string{"to-offset", "to-datetime", "by-duration", "to-earliest", "to-latest", "to-current", "shift-by", "from-file"} {
		var others []string
		for _, o := range resetScenarios() {
			if o != s {
				others = append(others, o)
			}
		}
		if err := r.checkInvalid(p, req, s, others...); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) checkGroupCombinations(p *parsed, req []string) error {
	if err := r.checkInvalid(p, req, "group", "all-groups"); err != nil {
		return err
	}
	if err := r.checkInvalid(p, req, "group", "list"); err != nil {
		return err
	}
	return r.checkInvalid(p, req, "topic", "list", "describe", "delete")
}

func countGiven(p *parsed, names ...string) int {
	n := 0
	for _, name := range names {
		if p.has(name) {
			n++
		}
	}
	return n
}

func (g *groupsTool) execute() error {
	if err := g.readOnce(); err != nil {
		return err
	}
	for _, o := range resetScenarios() { // of these the first counts
		if vs := g.p.values[o]; len(vs) > 1 && o != "shift-by" {
			g.p.values[o] = vs[:1]
		}
	}
	// Kafka's tool reads its numbers late: a wrong one is a failure of the command and not of its use.
	for _, o := range []string{"timeout", "to-offset", "shift-by"} {
		if g.p.value(o); g.p.err != nil {
			return errors.New(g.p.err.Error())
		}
	}
	props := client.Properties{}
	if f := g.p.value("command-config"); f != "" {
		loaded, err := client.LoadProperties(f)
		if err != nil {
			return err
		}
		props = loaded
	}
	if g.p.has("timeout") || props["default.api.timeout.ms"] == "" && props["request.timeout.ms"] == "" {
		props.Merge(g.callTimeout(props))
	}
	c, err := g.open(client.Admin, g.p.value("bootstrap-server"), "", props)
	if err != nil {
		return err
	}
	defer c.Close()
	g.c = c
	switch {
	case g.p.has("list"):
		return g.list()
	case g.p.has("describe"):
		return g.describe()
	case g.p.has("delete"):
		return g.deleteGroups()
	case g.p.has("reset-offsets"):
		return g.reset()
	}
	return g.deleteOffsets()
}

// readOnce refuses options that are there twice and can count only once.
func (g *groupsTool) readOnce() error {
	once := []string{"bootstrap-server", "command-config", "timeout", "by-duration"}
	if g.p.has("delete-offsets") {
		once = append(once, "group")
	}
	var twice *consumerFailure
	if err := g.p.repeated(once...); errors.As(err, &twice) {
		return &javaError{text: twice.error.Error(), plain: twice.error.Error()}
	}
	return nil
}

func (r *run) validateRegex(expr string) int {
	// Brokers match by RE2, of which Go's expressions are a dialect with the same complaints.
	if _, err := syntax.Parse(expr, syntax.Perl); err != nil {
		text := err.Error()
		if se := new(syntax.Error); errors.As(err, &se) {
			text = string(se.Code)
		}
		r.failed = true
		r.printf("The regular expression `%s` is invalid: %s.\n", expr, text)
		return 0
	}
	r.printf("The regular expression `%s` is valid.\n", expr)
	return 0
}

// isConsumerGroup keeps the groups that this tool is for: those of consumers,
// and classic ones that never had a protocol.
func isConsumerGroup(rg kmsg.ListGroupsResponseGroup) bool {
	switch strings.ToLower(rg.GroupType) {
	case "share", "streams":
		return false
	}
	return rg.ProtocolType == "consumer" || rg.ProtocolType == ""
}

// selectedGroups are those named, or all.
func (g *groupsTool) selectedGroups() ([]string, error) {
	if !g.p.has("all-groups") {
		var ids []string
		for _, id := range g.p.all("group") {
			if !contains(ids, id) {
				ids = append(ids, id)
			}
		}
		return ids, nil
	}
	all, err := g.listGroups(g.c, nil, nil)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, rg := range all {
		if isConsumerGroup(rg) {
			ids = append(ids, rg.Group)
		}
	}
	return ids, nil
}

func groupStates() []string {
	return []string{"Assigning", "CompletingRebalance", "Dead", "Empty", "PreparingRebalance", "Reconciling", "Stable"}
}

// parseListed reads a comma-separated value without regard to case.
func parseListed(values []string, known []string, complaint string) ([]string, error) {
	var out []string
	for _, v := range values {
		if v == "" {
			continue // as if it were not there
		}
		for _, s := range strings.Split(v, ",") {
			found := ""
			for _, k := range known {
				if strings.EqualFold(strings.TrimSpace(s), k) {
					found = k
				}
			}
			if found == "" {
				return nil, &optionError{fmt.Sprintf(complaint, v, strings.Join(known, ", "))}
			}
			out = append(out, found)
		}
	}
	return out, nil
}

// hintListed names what was probably meant by the words of an option that takes several.
func (g *groupsTool) hintListed(what, option string, known []string) {
	for _, v := range g.p.all(option) {
		for _, word := range strings.Split(v, ",") {
			g.hintNearestWord(what, strings.TrimSpace(word), known)
		}
	}
}

func (g *groupsTool) list() error {
	states, err := parseListed(g.p.all("state"), groupStates(), "Invalid state list '%s'. Valid states are: %s")
	if err != nil {
		g.hintListed("state", "state", groupStates())
		return err
	}
	types, err := parseListed(g.p.all("type"), []string{"Classic", "Consumer"}, "Invalid types list '%s'. Valid types are: %s")
	if err != nil {
		g.hintListed("group type", "type", []string{"classic", "consumer"})
		return err
	}
	all, err := g.listGroups(g.c, states, types)
	if err != nil {
		return err
	}
	var shown []kmsg.ListGroupsResponseGroup
	width := minColumn
	for _, rg := range all {
		if isConsumerGroup(rg) {
			shown = append(shown, rg)
			width = max(width, len(rg.Group))
		}
	}
	if g.json {
		for _, rg := range shown {
			g.row("group", rg.Group, "type", groupTypeText(rg.GroupType), "state", rg.GroupState)
		}
		return nil
	}
	width += 10 // as wide as Kafka makes it
	withType, withState := g.p.has("type"), g.p.has("state")
	row := func(group, typ, state string) {
		switch {
		case withType && withState:
			g.printf("%-*s %-20s %-20s\n", width, group, typ, state)
		case withType:
			g.printf("%-*s %-20s\n", width, group, typ)
		case withState:
			g.printf("%-*s %-20s\n", width, group, state)
		default:
			g.println(group)
		}
	}
	if withType || withState {
		row("GROUP", "TYPE", "STATE")
	}
	for _, rg := range shown {
		row(rg.Group, groupTypeText(rg.GroupType), rg.GroupState)
	}
	return nil
}

func groupTypeText(t string) string {
	switch strings.ToLower(t) {
	case "consumer":
		return "Consumer"
	case "share":
		return "Share"
	case "streams":
		return "Streams"
	case "classic":
		return "Classic"
	}
	return "Unknown"
}

func (g *groupsTool) deleteGroups() error {
	ids, err := g.selectedGroups()
	if err != nil {
		return err
	}
	ids = hashMapOrder(ids)
	failures := map[string]error{}
	var deleted []string
	lost := func(id string, err error) { failures[id] = err }
	results, err := g.sendDelete(ids, lost)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if code, ok := results[id]; ok && code == 0 {
			deleted = append(deleted, "'"+id+"'")
		} else if ok {
			failures[id] = client.CodeError(code, nil)
		}
	}
	if len(failures) == 0 {
		g.printf("Deletion of requested consumer groups (%s) was successful.\n", strings.Join(deleted, ", "))
		return nil
	}
	g.failed = true
	g.printf("\nError: Deletion of some consumer groups failed:")
	for _, id := range ids {
		if err, ok := failures[id]; ok {
			g.printf("\n* Group '%s' could not be deleted due to: %s", id, withClass(err))
			g.hintNearestGroup(g.c, id)
		}
	}
	g.println("")
	if len(deleted) > 0 {
		g.printf("\nThese consumer groups were deleted successfully: %s\n", strings.Join(deleted, ", "))
	}
	return nil
}

func (g *groupsTool) sendDelete(ids []string, lost func(string, error)) (map[string]int16, error) {
	type answer struct {
		id   string
		code int16
	}
	answers := make(chan answer, len(ids))
	err := g.eachCoordinator("deleteConsumerGroups(api=FIND_COORDINATOR)", ids, lost, func(node kmsg.FindCoordinatorResponseCoordinator, ids []string) error {
		req := kmsg.NewPtrDeleteGroupsRequest()
		req.Groups = ids
		resp, err := g.c.OnBroker(g.ctx, "deleteConsumerGroups(api=DELETE_GROUPS)", node.NodeID, req)
		if err != nil {
			return err
		}
		for _, rg := range resp.(*kmsg.DeleteGroupsResponse).Groups {
			answers <- answer{rg.Group, rg.ErrorCode}
		}
		return nil
	})
	close(answers)
	if te := new(client.TimeoutError); errors.As(err, &te) {
		for _, id := range ids {
			lost(id, err)
		}
		err = nil
	}
	out := map[string]int16{}
	for a := range answers {
		out[a.id] = a.code
	}
	return out, err
}
