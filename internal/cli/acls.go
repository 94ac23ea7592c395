package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func aclsOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "server to connect to", "The brokers to connect to, as host:port, several with commas.")
	s.arg("bootstrap-controller", "controller to connect to", "The controllers to connect to, as host:port, several with commas.")
	s.flag("command-config", "A properties file for the admin client.").takesMaybe("command-config")
	s.flag("add", "Add ACLs.")
	s.flag("remove", "Remove ACLs.")
	s.flag("list", "List ACLs, all or those of the given resources.")
	s.arg("topic", "topic", "A topic; * for all. May be given several times, as the other resources.")
	s.flag("cluster", "The cluster itself.")
	s.arg("group", "group", "A consumer group; * for all.")
	s.arg("transactional-id", "transactional-id", "A transactional id; * for all.")
	s.arg("delegation-token", "delegation-token", "A delegation token; * for all.")
	s.arg("user-principal", "user-principal", "A user, for operations on users such as CreateTokens.")
	s.arg("resource-pattern-type", "", "How the resource's name is meant. literal and prefixed also when adding; any finds both, match all that concern the name.").withDefault("LITERAL").typeLabel = "ANY|MATCH|LITERAL|PREFIXED"
	s.arg("operation", "", "The operation: All, Read, Write, Create, Delete, Alter, Describe, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite, CreateTokens, DescribeTokens, TwoPhaseCommit. May be given several times.").withDefault("All")
	s.arg("allow-principal", "allow-principal", "Who is allowed, as User:name.")
	s.arg("deny-principal", "deny-principal", "Who is denied, as User:name; wins over what is allowed.")
	s.flag("principal", "With --list: only ACLs of this principal.").takesMaybe("principal")
	s.arg("allow-host", "allow-host", "From which host; * if left out.")
	s.arg("deny-host", "deny-host", "From which host; * if left out.")
	s.flag("producer", "What a producer needs: WRITE, DESCRIBE and CREATE on the topic.")
	s.flag("consumer", "What a consumer needs: READ and DESCRIBE on the topic, READ on the group.")
	s.flag("idempotent", "With --producer: idempotence for brokers that check it.")
	s.flag("force", "Do not ask.")
	s.formatOption()
	return s
}

func runACLs(r *run, args []string) int {
	set := aclsOptions()
	p, err := set.parse(args)
	if err != nil {
		code, _ := exitCode(r.usage(set, nil, err.Error()))
		return code
	}
	t := &aclsTool{run: r, p: p}
	err = t.check()
	if err == nil {
		err = t.execute()
	}
	if err == nil {
		return 0
	}
	if code, ok := exitCode(err); ok {
		return code
	}
	r.report("Error while executing ACL command: %s\n", withClass(err))
	r.explainConstruct(err)
	return r.fail(1)
}

type aclsTool struct {
	*run
	p       *parsed
	c       *client.Client
	pattern kmsg.ACLResourcePatternType
}

func (t *aclsTool) check() error {
	p := t.p
	if err := t.helpOrVersion(p, nil, "This tool helps to manage acls on kafka."); err != nil {
		return err
	}
	bad := func(msg string) error { return t.usage(p.set, nil, msg) }
	switch {
	case p.has("bootstrap-server") && p.has("bootstrap-controller"):
		return bad("Only one of --bootstrap-server or --bootstrap-controller must be specified")
	case !p.hasAny("bootstrap-server", "bootstrap-controller"):
		return bad("One of --bootstrap-server or --bootstrap-controller must be specified")
	case countGiven(p, "add", "remove", "list") != 1:
		return bad("Command must include exactly one action: --list, --add, --remove. ")
	}
	for _, c := range []struct {
		used    string
		invalid []string
	}{
		{"list", []string{"producer", "consumer", "allow-host", "allow-principal", "deny-host", "deny-principal"}},
		{"producer", []string{"operation", "deny-principal", "deny-host"}},
		{"consumer", []string{"operation", "deny-principal", "deny-host"}},
	} {
		if err := t.checkInvalid(p, nil, c.used, c.invalid...); err != nil {
			return err
		}
	}
	switch {
	case p.has("producer") && !p.has("topic"):
		return bad("With --producer you must specify a --topic")
	case p.has("idempotent") && !p.has("producer"):
		return bad("The --idempotent option is only available if --producer is set")
	case p.has("consumer") && (!p.hasAny("topic") || !p.has("group") || !p.has("producer") && p.hasAny("cluster", "transactional-id")):
		return bad("With --consumer you must specify a --topic and a --group and no --cluster or --transactional-id option should be specified.")
	case p.has("principal") && !p.has("list"):
		return bad("The --principal option is only available if --list is set")
	}
	if err := t.readFormat(p, "list"); err != nil {
		return err
	}
	var err error
	if t.pattern, err = patternType(p.value("resource-pattern-type")); err != nil {
		t.hintNearestWord("pattern type", p.value("resource-pattern-type"), []string{"any", "match", "literal", "prefixed"})
	}
	if err == nil && p.has("add") && t.pattern != kmsg.ACLResourcePatternTypeLiteral && t.pattern != kmsg.ACLResourcePatternTypePrefixed {
		return bad(fmt.Sprintf("A '--resource-pattern-type' value of '%s' is not valid when adding acls.", patternName(t.pattern)))
	}
	return err
}

func patternType(s string) (kmsg.ACLResourcePatternType, error) {
	for t, name := range patternNames() {
		if strings.EqualFold(s, name) {
			return t, nil
		}
	}
	return 0, fmt.Errorf("Cannot parse argument '%s' of option resource-pattern-type", s)
}

func (t *aclsTool) execute() error {
	work, err := t.plan()
	if err != nil {
		return err
	}
	c, err := t.openEither(t.p)
	if err != nil {
		return err
	}
	defer c.Close()
	t.c = c
	switch {
	case t.p.has("list"):
		return t.list(work)
	case t.p.has("add"):
		return t.add(work)
	}
	return t.remove(work)
}

// resource is a resource of the command line: a pattern or a filter of patterns.
type resource struct {
	typ     kmsg.ACLResourceType
	name    string
	pattern kmsg.ACLResourcePatternType
}

func (res resource) String() string {
	return fmt.Sprintf("ResourcePattern(resourceType=%s, name=%s, patternType=%s)", resourceTypeName(res.typ), res.name, patternName(res.pattern))
}

// entry is who may do what from where.
type aclEntry struct {
	principal, host string
	operation       kmsg.ACLOperation
	permission      kmsg.ACLPermissionType
}

func (e aclEntry) String() string {
	return fmt.Sprintf("(principal=%s, host=%s, operation=%s, permissionType=%s)", e.principal, e.host, operationName(e.operation), permissionName(e.permission))
}

// aclWork is what the command line says of one resource.
type aclWork struct {
	res     resource
	entries []aclEntry
}

const clusterResourceName = "kafka-cluster"

// resources are those named, in Kafka's order.
func (t *aclsTool) resources() []resource {
	var out []resource
	add := func(typ kmsg.ACLResourceType, names ...string) {
		for _, n := range names {
			res := resource{typ, strings.TrimSpace(n), t.pattern}
			for _, have := range out {
				if have == res {
					return
				}
			}
			out = append(out, res)
		}
	}
	add(kmsg.ACLResourceTypeTopic, t.p.all("topic")...)
	switch { // an idempotent producer needs the cluster itself, however its topics are named
	case t.p.has("idempotent"):
		out = append(out, resource{kmsg.ACLResourceTypeCluster, clusterResourceName, kmsg.ACLResourcePatternTypeLiteral})
	case t.p.has("cluster") && t.pattern == kmsg.ACLResourcePatternTypeLiteral:
		add(kmsg.ACLResourceTypeCluster, clusterResourceName)
	}
	add(kmsg.ACLResourceTypeGroup, t.p.all("group")...)
	add(kmsg.ACLResourceTypeTransactionalId, t.p.all("transactional-id")...)
	add(kmsg.ACLResourceTypeDelegationToken, t.p.all("delegation-token")...)
	add(kmsg.ACLResourceTypeUser, t.p.all("user-principal")...)
	return out
}

// plan pairs resources with the entries that are to be added or removed.
func (t *aclsTool) plan() ([]aclWork, error) {
	resources := t.resources()
	if len(resources) == 0 && !t.p.has("list") {
		return nil, t.usage(t.p.set, nil, "You must provide at least one resource: --topic <topic> or --cluster or --group <group> or --delegation-token <Delegation Token ID>")
	}
	if t.p.has("list") {
		var out []aclWork
		for _, res := range resources {
			out = append(out, aclWork{res: res})
		}
		return out, nil
	}
	if t.p.has("add") && !t.p.hasAny("allow-principal", "deny-principal") {
		return nil, t.usage(t.p.set, nil, "You must specify one of: --allow-principal, --deny-principal when trying to add ACLs.")
	}
	var out []aclWork
	for _, res := range resources {
		entries, err := t.entriesFor(res)
		if err != nil {
			return nil, err
		}
		if entries != nil || !t.p.hasAny("producer", "consumer") {
			out = append(out, aclWork{res, entries})
		}
	}
	return out, nil
}

func (t *aclsTool) entriesFor(res resource) ([]aclEntry, error) {
	if !t.p.hasAny("producer", "consumer") {
		ops, err := t.operations()
		if err != nil {
			return nil, err
		}
		for _, op := range ops {
			if op == kmsg.ACLOperationAny && t.p.has("add") {
				return nil, errors.New("operation must not be ANY")
			}
			if !supports(res.typ, op) {
				return nil, t.usage(t.p.set, nil, fmt.Sprintf("ResourceType %s only supports operations [%s]", resourceTypeName(res.typ), supportedText(res.typ)))
			}
		}
		return t.entries(ops)
	}
	var ops []kmsg.ACLOperation
	add := func(more ...kmsg.ACLOperation) {
		for _, op := range more {
			if !hasOperation(ops, op) {
				ops = append(ops, op)
			}
		}
	}
	if t.p.has("producer") {
		switch res.typ {
		case kmsg.ACLResourceTypeTopic:
			add(kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe, kmsg.ACLOperationCreate)
		case kmsg.ACLResourceTypeTransactionalId:
			add(kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe)
		case kmsg.ACLResourceTypeCluster:
			if t.p.has("idempotent") {
				add(kmsg.ACLOperationIdempotentWrite)
			}
		}
	}
	if t.p.has("consumer") {
		switch res.typ {
		case kmsg.ACLResourceTypeTopic:
			add(kmsg.ACLOperationRead, kmsg.ACLOperationDescribe)
		case kmsg.ACLResourceTypeGroup:
			add(kmsg.ACLOperationRead)
		}
	}
	return t.entries(ops)
}

func (t *aclsTool) operations() ([]kmsg.ACLOperation, error) {
	names := t.p.all("operation")
	if len(names) == 0 {
		names = []string{"All"}
	}
	var out []kmsg.ACLOperation
	for _, n := range names {
		op := parseOperation(strings.TrimSpace(n))
		if op == kmsg.ACLOperationUnknown {
			t.hintNearestWord("operation", strings.TrimSpace(n), plainOperationNames())
		}
		if !hasOperation(out, op) {
			out = append(out, op)
		}
	}
	return out, nil
}

func checkPrincipal(s string) error {
	if !strings.Contains(s, ":") {
		return errors.New("expected a string in format principalType:principalName but got " + s)
	}
	return nil
}

// entries makes one entry for each principal, host and operation. None, but not nil, are those of nobody: with --remove they
// stand for all.
func (t *aclsTool) entries(ops []kmsg.ACLOperation) ([]aclEntry, error) {
	var out []aclEntry
	if len(ops) > 0 {
		out = []aclEntry{}
	}
	for _, side := range []struct {
		principals, hosts string
		permission        kmsg.ACLPermissionType
	}{
		{"allow-principal", "allow-host", kmsg.ACLPermissionTypeAllow},
		{"deny-principal", "deny-host", kmsg.ACLPermissionTypeDeny},
	} {
		hosts := t.p.all(side.hosts)
		if len(hosts) == 0 {
			hosts = []string{"*"}
		}
		for _, principal := range t.p.all(side.principals) {
			principal = strings.TrimSpace(principal)
			if err := checkPrincipal(principal); err != nil {
				return nil, err
			}
			for _, host := range hosts {
				for _, op := range ops {
					out = append(out, aclEntry{principal, host, op, side.permission})
				}
			}
		}
	}
	return out, nil
}
