package cli

import (
	"strings"
)

func streamsGroupsOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "server to connect to", "The brokers to connect to, as host:port, several with commas.")
	s.arg("command-config", "command config property file", "A properties file for the admin client.")
	s.arg("group", "streams group", "The group to act on; may be given several times.")
	s.flag("all-groups", "Act on all streams groups.")
	s.arg("input-topic", "topic", "The input topic, or topic:0,1 for some partitions; may be given several times.")
	s.flag("all-input-topics", "All input topics of the group.")
	s.flag("list", "List the streams groups.")
	s.flag("describe", "Show a group's offsets and lag, its members, or its state.")
	s.flag("delete", "Delete groups.")
	s.flag("reset-offsets", "Move a group's offsets of its input topics.")
	s.flag("delete-offsets", "Delete a group's offsets of input topics.")
	s.flag("dry-run", "Only show what --reset-offsets would do.")
	s.flag("execute", "Do what --reset-offsets shows.")
	s.flag("export", "Print the result of --reset-offsets as CSV.")
	s.arg("to-offset", "offset", "Reset to this offset.").ofKind(longValue)
	s.arg("to-datetime", "datetime", "Reset to the first record at or after a time: 2026-01-31T15:30:00.000.")
	s.arg("by-duration", "duration", "Reset to the first record of the last such time: P1DT2H3M4S.")
	s.flag("to-earliest", "Reset to the first record.")
	s.flag("to-latest", "Reset to the end.")
	s.flag("to-current", "Reset to where the group is.")
	s.arg("shift-by", "number-of-offsets", "Move by so many offsets, back if negative.").ofKind(longValue)
	s.arg("from-file", "path to CSV file", "Reset as a CSV file says.")
	s.arg("delete-internal-topic", "", "With --reset-offsets: delete this internal topic; may be given several times.")
	s.flag("delete-all-internal-topics", "With --reset-offsets: delete all internal topics of the application.")
	s.arg("timeout", "timeout (ms)", "How long to wait for the group.").ofKind(longValue).withDefault("30000")
	s.flag("members", "With --describe: the members.").onlyWith("describe")
	s.flag("offsets", "With --describe: the offsets; this is the default.").onlyWith("describe")
	s.flag("state", "With --describe: the state. With --list: show states, or only groups in the states given.").takesMaybe("").onlyWith("describe", "list")
	s.flag("verbose", "With --describe: more columns.").onlyWith("describe")
	s.formatOption()
	return s
}

func runStreamsGroups(r *run, args []string) int {
	p, err := streamsGroupsOptions().parse(args)
	if err != nil {
		return r.failln(err.Error(), 1)
	}
	g := &streamsTool{groupsTool{run: r, p: p}}
	if err = g.check(); err == nil {
		err = g.execute()
	}
	return r.groupFailure(p, err, "streams", 1)
}

// streamsTool is the groups tool for groups of Kafka Streams.
type streamsTool struct{ groupsTool }

func (g *streamsTool) check() error {
	p, req := g.p, groupsRequired()
	if err := g.helpOrVersion(p, req, "This tool helps to list, describe, reset and delete streams groups."); err != nil {
		return err
	}
	bad := func(msg string) error { return g.usage(p.set, req, msg) }
	if err := g.checkDescribe(req); err != nil {
		return err
	}
	selected := p.hasAny("group", "all-groups")
	switch {
	case p.has("delete") && !selected:
		return bad("Option [delete] takes one of these options: [group], [all-groups]")
	case p.has("delete") && p.hasAny("input-topic", "all-input-topics"):
		return bad("Kafka Streams does not support topic-specific offset deletion from a streams group.")
	case p.has("delete-offsets") && !(p.has("group") && p.hasAny("all-input-topics", "input-topic")):
		return bad("Option [delete-offsets] takes the [group] and one of these options: all-input-topics, input-topic")
	case p.has("delete-all-internal-topics") && !p.hasAny("delete", "reset-offsets"):
		return bad("Option [delete-all-internal-topics] takes one of these options: [delete], [reset-offsets]")
	case p.has("reset-offsets"):
		if err := g.checkStreamsReset(bad, selected); err != nil {
			return err
		}
	case p.has("delete-internal-topic"):
		return bad("Option [delete-internal-topic] takes [reset-offsets] when [execute] is used.")
	case p.hasAny("dry-run", "execute"):
		return bad("Only Option [reset-offsets] accepts [execute] or [dry-run]")
	}
	if err := g.checkExclusions(p, req, []exclusion{
		{"group", []string{"all-groups", "list"}},
		{"input-topic", []string{"list", "describe"}},
	}); err != nil {
		return err
	}
	if err := g.checkOneAction(req, "--list, --describe, --delete, --reset-offsets, or --delete-offsets."); err != nil {
		return err
	}
	p.value("by-duration")
	for _, o := range []string{"timeout", "to-offset", "shift-by"} {
		if !g.unreadTwice(o) {
			p.number(o)
		}
	}
	return p.err
}

// unreadTwice tells of an offset that is there twice, which matters to nobody where nothing is reset.
func (g *streamsTool) unreadTwice(option string) bool {
	return option == "to-offset" && len(g.p.all(option)) > 1 && !g.p.has("reset-offsets")
}

func (g *streamsTool) checkStreamsReset(bad func(string) error, selected bool) error {
	p := g.p
	switch {
	case p.has("dry-run") && p.has("execute"):
		return bad("Option [reset-offsets] only accepts one of [execute] and [dry-run]")
	case !p.hasAny("dry-run", "execute"):
		return bad("Option [reset-offsets] takes the option: [execute] or [dry-run]")
	case !selected:
		return bad("Option [reset-offsets] takes one of these options: [group], [all-groups]")
	case countGiven(p, resetScenarios()...) > 1:
		return bad("Option [reset-offsets] takes one of these options: " + strings.Join(resetScenarios(), ", "))
	case p.has("dry-run") && p.has("delete-all-internal-topics"):
		return bad("Option [delete-all-internal-topics] takes [execute] when [reset-offsets] is used.")
	case p.has("dry-run") && p.has("delete-internal-topic"):
		return bad("Option [delete-internal-topic] takes [reset-offsets] when [execute] is used.")
	}
	return nil
}

func (g *streamsTool) execute() error {
	c, err := g.openServers(g.p, g.timeoutProperties())
	if err != nil {
		return err
	}
	defer c.Close()
	g.c = c
	switch {
	case g.p.has("list"):
		return g.listOfType("streams", []string{"Assigning", "Dead", "Empty", "NotReady", "Reconciling", "Stable"})
	case g.p.has("describe"):
		return g.describe()
	case g.p.has("delete"):
		return g.deleteOfType("streams", "Group '%s' does not exist or is not a streams group.", "''")
	case g.p.has("reset-offsets"):
		return g.reset()
	}
	return g.deleteOffsets()
}
