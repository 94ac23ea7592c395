package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func shareGroupsOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "server to connect to", "The brokers to connect to, as host:port, several with commas.")
	s.arg("command-config", "command config property file", "A properties file for the admin client.")
	s.arg("group", "share group", "The group to act on; may be given several times.")
	s.arg("topic", "topic", "The topic whose offsets to reset or delete; may be given several times.")
	s.flag("all-topics", "Reset the offsets of all topics of the group.")
	s.flag("all-groups", "Act on all share groups.")
	s.flag("list", "List the share groups.")
	s.flag("describe", "Show a group's offsets and lag, its members, or its state.")
	s.flag("delete", "Delete groups.")
	s.flag("reset-offsets", "Move a group's start offsets.")
	s.flag("delete-offsets", "Delete a group's offsets of topics.")
	s.flag("dry-run", "Only show what --reset-offsets would do.")
	s.flag("execute", "Do what --reset-offsets shows.")
	s.arg("to-datetime", "datetime", "Reset to the first record at or after a time: 2026-01-31T15:30:00.000.")
	s.flag("to-earliest", "Reset to the first record.")
	s.flag("to-latest", "Reset to the end.")
	s.arg("timeout", "timeout (ms)", "How long to wait for the group.").ofKind(longValue).withDefault("30000")
	s.flag("members", "With --describe: the members.").onlyWith("describe")
	s.flag("offsets", "With --describe: the offsets; this is the default.").onlyWith("describe")
	s.flag("state", "With --describe: the state. With --list: show states, or only groups in the states given.").takesMaybe("").onlyWith("describe", "list")
	s.flag("verbose", "With --describe: more columns.").onlyWith("describe")
	s.formatOption()
	return s
}

func runShareGroups(r *run, args []string) int {
	p, err := shareGroupsOptions().parse(args)
	if err != nil {
		return r.failln(err.Error(), 1)
	}
	g := &shareTool{groupsTool{run: r, p: p}}
	if err = g.check(); err == nil {
		err = g.execute()
	}
	return r.groupFailure(p, err, "share", 0)
}

// groupFailure words what went wrong: wrong use prints the table and exits 1,
// everything else exits with code.
func (r *run) groupFailure(p *parsed, err error, kind string, code int) int {
	var use *optionError
	var je *javaError
	switch c, ok := exitCode(err); {
	case err == nil:
		return 0
	case ok:
		return c
	case errors.As(err, &use):
		c, _ := exitCode(r.usage(p.set, groupsRequired(), use.msg))
		return c
	}
	text := withFileClass(err)
	if errors.As(err, &je) {
		text = je.text
	}
	r.report("\nError: Executing %s group command failed due to %s\n", kind, text)
	r.errorln(err.Error())
	r.explainConstruct(err)
	return r.fail(code)
}

// shareTool is the groups tool for share groups.
type shareTool struct{ groupsTool }

func (g *shareTool) check() error {
	p, req := g.p, groupsRequired()
	if err := g.helpOrVersion(p, req, "This tool helps to list, describe, reset and delete share groups."); err != nil {
		return err
	}
	bad := func(msg string) error { return g.usage(p.set, req, msg) }
	if err := g.checkDescribe(req); err != nil {
		return err
	}
	switch {
	case p.has("delete") && !p.hasAny("group", "all-groups"):
		return bad("Option [delete] takes the options [group] or [all-groups]")
	case p.has("delete") && p.has("group") && p.has("all-groups"):
		return bad("Option [delete] takes either [group] or [all-groups], not both.")
	case p.has("delete") && p.has("topic"):
		return bad("Option [delete] does not take the option: [topic]")
	case p.has("delete-offsets") && !(p.has("group") && p.has("topic")):
		return bad("Option [delete-offsets] takes the following options: [group], [topic]")
	case p.has("reset-offsets"):
		if err := g.checkShareReset(bad); err != nil {
			return err
		}
	}
	if err := g.checkExclusions(p, req, []exclusion{
		{"group", []string{"all-groups", "list"}},
		{"all-groups", []string{"reset-offsets", "delete-offsets"}},
		{"topic", []string{"list", "describe"}},
	}); err != nil {
		return err
	}
	return g.checkOneAction(req, "--list, --describe, --delete, --reset-offsets, --delete-offsets.")
}

// checkOneAction comes behind all that is to be said of each action.
func (g *groupsTool) checkOneAction(req []string, actions string) error {
	if countGiven(g.p, "list", "describe", "delete", "reset-offsets", "delete-offsets") != 1 {
		return g.usage(g.p.set, req, "Command must include exactly one action: "+actions)
	}
	return nil
}

// checkDescribe checks what the tools of share groups and of streams groups check alike first.
func (g *groupsTool) checkDescribe(req []string) error {
	p := g.p
	if err := g.checkRequired(p, req, "bootstrap-server"); err != nil {
		return err
	}
	if err := g.readFormat(p, "list", "describe"); err != nil {
		return err
	}
	msg := ""
	switch {
	case !p.has("describe"):
		return nil
	case !p.hasAny("group", "all-groups"):
		msg = "Option [describe] takes one of these options: [group], [all-groups]"
	case countGiven(p, "members", "offsets", "state") > 1:
		msg = "Option [describe] takes at most one of these options: [members], [offsets], [state]"
	case len(p.all("state")) > 0:
		msg = "Option [describe] does not take a value for [state]"
	default:
		return nil
	}
	return g.usage(p.set, req, msg)
}

func (g *shareTool) checkShareReset(bad func(string) error) error {
	p := g.p
	switch {
	case p.has("dry-run") && p.has("execute"):
		return bad("Option [reset-offsets] only accepts one of [execute] and [dry-run]")
	case !p.hasAny("dry-run", "execute"):
		return bad("Option [reset-offsets] takes the option: [execute] or [dry-run]")
	case !p.has("group"):
		return bad("Option [reset-offsets] takes the option: [group]")
	case !p.hasAny("topic", "all-topics"):
		return bad("Option [reset-offsets] takes one of these options: [all-topics], [topic]")
	case p.has("to-datetime") && p.hasAny("to-earliest", "to-latest"):
		return bad("Option \"[to-datetime]\" can't be used with option \"[" + map[bool]string{true: "to-earliest", false: "to-latest"}[p.has("to-earliest")] + "]\"")
	case p.has("to-earliest") && p.has("to-latest"):
		return bad("Option \"[to-earliest]\" can't be used with option \"[to-latest]\"")
	case !p.hasAny("to-datetime", "to-earliest", "to-latest"):
		return bad("Option [reset-offsets] takes one of these options: [to-datetime], [to-earliest], [to-latest]")
	}
	return nil
}

func (g *shareTool) execute() error {
	var twice *consumerFailure
	if err := g.p.repeated("bootstrap-server", "command-config"); errors.As(err, &twice) {
		return &javaError{text: twice.error.Error(), plain: twice.error.Error()}
	}
	if g.p.number("timeout"); g.p.err != nil { // read late: a failure of the command and not of its use
		return errors.New(g.p.err.Error())
	}
	c, err := g.openServers(g.p, g.timeoutProperties())
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

// timeoutProperties is --timeout, where it was given.
func (g *groupsTool) timeoutProperties() client.Properties {
	if !g.p.has("timeout") {
		return client.Properties{}
	}
	return g.callTimeout(client.Properties{})
}

// callTimeout lets each call take as long as --timeout says, and no request longer.
func (g *groupsTool) callTimeout(given client.Properties) client.Properties {
	call, err := strconv.ParseInt(g.p.value("timeout"), 10, 64)
	call = int64(int32(call))                 // what is too large goes round, as in Kafka's tools
	ms := strconv.FormatInt(max(call, 0), 10) // no time is over at once, and so is less than none
	out := client.Properties{"default.api.timeout.ms": ms}
	request, bad := strconv.ParseInt(given["request.timeout.ms"], 10, 64)
	if err == nil && (given["request.timeout.ms"] == "" && call < client.RequestTimeoutMs || bad == nil && call < request) {
		out["request.timeout.ms"] = ms
	}
	return out
}

// ofType lists the groups of one type.
func (g *groupsTool) ofType(typ string, states []string) ([]kmsg.ListGroupsResponseGroup, error) {
	all, err := g.listGroups(g.c, states, []string{typ})
	if err != nil {
		return nil, err
	}
	var out []kmsg.ListGroupsResponseGroup
	for _, rg := range all {
		if strings.EqualFold(rg.GroupType, typ) {
			out = append(out, rg)
		}
	}
	return out, nil
}

// namedOrAll are the groups of --group, or all of a type.
func (g *groupsTool) namedOrAll(typ string) ([]string, error) {
	if !g.p.has("all-groups") {
		return g.selectedGroups()
	}
	all, err := g.ofType(typ, nil)
	var ids []string
	for _, rg := range all {
		ids = append(ids, rg.Group)
	}
	return ids, err
}

func (g *shareTool) list() error {
	return g.listOfType("share", []string{"Dead", "Empty", "Stable"})
}

// listOfType prints the groups of a type, with --state their states.
func (g *groupsTool) listOfType(typ string, known []string) error {
	states, err := parseListed(g.p.all("state"), known, "Invalid state list '%s'. Valid states are: %s")
	if err != nil {
		return err
	}
	all, err := g.ofType(typ, states)
	if err != nil {
		return err
	}
	if g.json {
		for _, rg := range all {
			g.row("group", rg.Group, "state", rg.GroupState)
		}
		return nil
	}
	width := minColumn
	for _, rg := range all {
		width = max(width, len(rg.Group))
	}
	if g.p.has("state") {
		g.printf("%-*s %s\n", width, "GROUP", "STATE")
	}
	for _, rg := range all {
		if g.p.has("state") {
			g.printf("%-*s %s\n", width, rg.Group, rg.GroupState)
			continue
		}
		g.println(rg.Group)
	}
	return nil
}

func (g *shareTool) deleteGroups() error {
	return g.deleteOfType("share", "Group '%s' is not a share group.", "")
}

// deleteOfType deletes groups, after a look that each is of the type.
func (g *groupsTool) deleteOfType(typ, wrongType, quote string) error {
	ids, err := g.namedOrAll(typ)
	if err != nil {
		return err
	}
	all, err := g.ofType(typ, nil)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, rg := range all {
		known[rg.Group] = true
	}
	failures := map[string]string{}
	var there []string
	for _, id := range ids {
		if !known[id] {
			failures[id] = "java.lang.IllegalArgumentException: " + fmt.Sprintf(wrongType, id)
			continue
		}
		there = append(there, id)
	}
	if len(there) > 0 {
		codes, err := g.sendDelete(there, func(id string, err error) { failures[id] = withClass(err) })
		if err != nil {
			return err
		}
		for id, code := range codes {
			err := client.CodeError(code, nil)
			if ke := new(client.KafkaError); typ == "share" && errors.As(err, &ke) && ke.Code == client.CodeNonEmptyGroup {
				ke.Message = fmt.Sprintf("Share group '%s' is not EMPTY.", id)
			}
			if err != nil {
				failures[id] = withClass(err)
			}
		}
	}
	g.reportDeleted(typ, ids, failures, quote)
	return nil
}

func (g *groupsTool) reportDeleted(typ string, ids []string, failures map[string]string, quote string) {
	var deleted []string
	for _, id := range ids {
		if _, bad := failures[id]; !bad {
			deleted = append(deleted, "'"+id+"'")
		}
	}
	if len(failures) == 0 {
		list := strings.Join(deleted, ", ")
		if len(deleted) == 0 {
			list = quote
		}
		g.printf("Deletion of requested %s groups (%s) was successful.\n", typ, list)
		return
	}
	g.failed = true
	g.printf("\nError: Deletion of some %s groups failed:", typ)
	for _, id := range ids {
		if text, bad := failures[id]; bad {
			g.printf("\n* Group '%s' could not be deleted due to: %s", id, text)
		}
	}
	g.println("")
	if len(deleted) > 0 {
		g.printf("\nThese %s groups were deleted successfully: %s\n", typ, strings.Join(deleted, ", "))
	}
}
