package cli

import (
	"errors"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func allGroupsOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "server to connect to", "The brokers to connect to, as host:port, several with commas.")
	s.arg("command-config", "command config property file", "A properties file for the admin client.")
	s.flag("list", "List the groups.")
	s.arg("group-type", "type", "Only groups of this type: classic, consumer, share or streams.")
	s.arg("protocol", "protocol", "Only groups of this protocol.")
	s.flag("consumer", "Only consumer groups, classic ones included.")
	s.flag("share", "Only share groups.")
	s.flag("streams", "Only streams groups.")
	s.byName["bootstrap-server"].starred = true
	s.formatOption()
	return s
}

func runGroups(r *run, args []string) int {
	p, err := allGroupsOptions().parse(args)
	if err == nil {
		err = r.allGroups(p)
	}
	if err == nil {
		return 0
	}
	if code, ok := exitCode(err); ok {
		return code
	}
	var ke *client.KafkaError
	var te *client.TimeoutError
	var je *javaError
	var ce *client.ConstructError
	if errors.As(err, &ke) || errors.As(err, &te) || errors.As(err, &je) || errors.As(err, &ce) {
		r.report("Error while executing groups command : %s\n", err)
		cause := withClass(err)
		if je != nil {
			cause = strings.TrimPrefix(je.text, "java.util.concurrent.ExecutionException: ")
		}
		if ce != nil {
			cause = "org.apache.kafka.common.KafkaException: " + ce.Message
		}
		r.logError("org.apache.kafka.tools.GroupsCommand", cause, nil)
		r.explainConstruct(err)
		return r.fail(1)
	}
	return r.outcome(err)
}

func (r *run) allGroups(p *parsed) error {
	req := []string{"bootstrap-server"}
	if err := r.helpOrVersion(p, req, "This tool helps to list groups of all types."); err != nil {
		return err
	}
	if !p.has("bootstrap-server") {
		return r.usage(p.set, req, "Missing required option(s) [bootstrap-server]")
	}
	if !p.has("list") {
		return r.usage(p.set, req, "Command must include exactly one action: --list.")
	}
	r.json, _ = p.wantsJSON() // what fails before the listing must know
	selectors := []string{"consumer", "share", "streams"}
	for _, s := range selectors {
		var others []string
		for _, o := range append(selectors, "group-type", "protocol") {
			if o != s {
				others = append(others, o)
			}
		}
		if err := r.checkInvalid(p, req, s, others...); err != nil {
			return err
		}
	}
	wanted := strings.ToLower(p.value("group-type"))
	if p.err != nil {
		return p.err
	}
	if p.has("group-type") && groupTypeText(wanted) == "Unknown" {
		r.hintNearestWord("group type", p.value("group-type"), []string{"classic", "consumer", "share", "streams"})
		return errors.New("--group-type must be a valid group type.")
	}
	c, err := r.openServers(p)
	if err != nil {
		return err
	}
	defer c.Close()
	all, err := r.listGroups(c, nil, nil)
	if err != nil {
		return err
	}
	if p.value("protocol"); p.err != nil { // read last: a failure of the command and not of its use
		return &javaError{text: p.err.Error(), plain: p.err.Error()}
	}
	return r.printGroups(p, all, wanted)
}

func (r *run) printGroups(p *parsed, all []kmsg.ListGroupsResponseGroup, wanted string) error {
	var shown []kmsg.ListGroupsResponseGroup
	width := 20
	for _, g := range all {
		typ := strings.ToLower(g.GroupType)
		keep := (!p.has("group-type") || typ == wanted) && (!p.has("protocol") || g.ProtocolType == p.value("protocol"))
		switch {
		case p.has("consumer"):
			keep = typ == "consumer" || isConsumerGroup(g)
		case p.has("share"):
			keep = typ == "share"
		case p.has("streams"):
			keep = typ == "streams"
		}
		if keep {
			shown = append(shown, g)
			width = max(width, len(g.Group))
		}
	}
	if err := r.readFormat(p); err != nil {
		return err
	}
	rows := [][]string{{"GROUP", "TYPE", "PROTOCOL"}}
	for _, g := range shown {
		if r.json {
			r.row("group", g.Group, "type", groupTypeText(g.GroupType), "protocol", g.ProtocolType)
			continue
		}
		rows = append(rows, []string{g.Group, groupTypeText(g.GroupType), g.ProtocolType})
	}
	if r.json {
		return nil
	}
	for _, row := range rows {
		r.printf("%-*s %-*s %s\n", width, row[0], width, row[1], row[2])
	}
	return nil
}
