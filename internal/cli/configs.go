package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func configsOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "server to connect to", "The brokers to connect to, as host:port, several with commas.")
	s.arg("bootstrap-controller", "controller to connect to", "The controllers to connect to, as host:port, several with commas.")
	s.arg("command-config", "command config property file", "A properties file for the admin client.")
	s.flag("alter", "Change the configs of an entity.")
	s.flag("describe", "Show the configs of an entity.")
	s.flag("all", "With --describe: show static configs and defaults too.")
	s.arg("entity-type", "", "topics, clients, users, brokers, broker-loggers, ips, client-metrics or groups.")
	s.arg("entity-name", "", "The entity's name.")
	s.flag("entity-default", "The default of clients, users, brokers or ips.")
	s.arg("add-config", "", "What to set: k1=v1,k2=[v1,v2,v2],k3=v3.")
	s.arg("add-config-file", "", "A properties file with what to set.")
	s.arg("delete-config", "", "The keys to delete: k1,k2.").separatedBy(",")
	for _, e := range shortEntities() {
		if e.isDefault {
			s.flag(e.option, "The default config of "+e.entityType+".")
			continue
		}
		s.arg(e.option, "", "The name of one of "+e.entityType+".")
	}
	s.formatOption()
	return s
}

type shortEntity struct {
	option, entityType string
	isDefault          bool
}

func shortEntities() []shortEntity {
	return []shortEntity{
		{"topic", "topics", false}, {"client", "clients", false}, {"client-defaults", "clients", true},
		{"user", "users", false}, {"user-defaults", "users", true}, {"broker", "brokers", false},
		{"broker-defaults", "brokers", true}, {"broker-logger", "broker-loggers", false}, {"ip", "ips", false},
		{"ip-defaults", "ips", true}, {"client-metrics", "client-metrics", false}, {"group", "groups", false},
	}
}

// entity is what a command is about; users and clients may come together.
type entity struct {
	typ       string
	name      string
	named     bool
	isDefault bool
}

// singular is how Kafka names one of a type.
func (e entity) singular() string { return strings.TrimSuffix(e.typ, "s") }

func runConfigs(r *run, args []string) int {
	p, err := configsOptions().parse(args)
	if err == nil {
		t := &configsTool{run: r, p: p}
		err = t.execute()
	}
	if err == nil {
		return 0
	}
	if code, ok := exitCode(err); ok {
		return code
	}
	var use *optionError
	if !errors.As(err, &use) {
		r.errorf("Error while executing config command with args '%s'\n", strings.Join(args, " "))
	}
	if ke := new(client.KafkaError); errors.As(err, &ke) && ke.Message == "" {
		r.errorln(ke.ClassName() + ": ") // there is nothing else to go by
	} else {
		r.errorln(err.Error())
	}
	r.explainConstruct(err)
	return r.fail(1)
}

type configsTool struct {
	*run
	p        *parsed
	c        *client.Client
	entities []entity
	add      client.Properties
	del      []string
}

// illegal is a mistake that Kafka's tool reports without the command line.
func illegal(format string, args ...any) error { return &optionError{fmt.Sprintf(format, args...)} }

func (t *configsTool) execute() error {
	if err := t.checkArgs(); err != nil {
		return err
	}
	if err := t.readFormat(t.p, "describe"); err != nil {
		return err
	}
	c, err := t.openEither(t.p)
	if err != nil {
		return err
	}
	defer c.Close()
	t.c = c
	if t.p.has("describe") {
		return t.describe()
	}
	return t.alter()
}

func (t *configsTool) checkArgs() error {
	p := t.p
	if err := t.helpOrVersion(p, nil, "This tool helps to manipulate and describe entity config for a topic, client, user, broker, ip, client-metrics or group"); err != nil {
		return err
	}
	if countGiven(p, "alter", "describe") != 1 {
		return t.usage(p.set, nil, "Command must include exactly one action: --describe, --alter")
	}
	for _, o := range []string{"alter", "describe"} {
		invalid := map[string][]string{"alter": {"describe"}, "describe": {"alter", "add-config", "delete-config"}}[o]
		if err := t.checkInvalid(p, nil, o, invalid...); err != nil {
			return err
		}
	}
	if err := t.readEntities(); err != nil {
		return err
	}
	if !p.hasAny("bootstrap-server", "bootstrap-controller") {
		return illegal("Either --bootstrap-server or --bootstrap-controller must be specified.")
	}
	if err := t.checkEntities(); err != nil {
		return err
	}
	if p.has("alter") {
		return t.readChanges()
	}
	return p.err
}

// readEntities walks the options in their order: a name belongs to the type
// that stands at the same place among the types.
func (t *configsTool) readEntities() error {
	p := t.p
	types := p.all("entity-type")
	for _, typ := range types {
		t.entities = append(t.entities, entity{typ: typ})
	}
	at, names := 0, p.all("entity-name")
	for _, o := range p.order {
		if (o != "entity-name" && o != "entity-default") || at >= len(t.entities) {
			continue
		}
		if o == "entity-name" {
			t.entities[at].name, t.entities[at].named, names = names[0], true, names[1:]
		} else {
			t.entities[at].isDefault = true
		}
		at++
	}
	for _, e := range namesThenDefaults(shortEntities()) {
		if p.has(e.option) {
			t.entities = append(t.entities, entity{typ: e.entityType, name: p.first(e.option), named: !e.isDefault, isDefault: e.isDefault})
		}
	}
	return p.err
}

func namesThenDefaults(all []shortEntity) []shortEntity {
	var names, defaults []shortEntity
	for _, e := range all {
		if e.isDefault {
			defaults = append(defaults, e)
		} else {
			names = append(names, e)
		}
	}
	return append(names, defaults...)
}

func entityTypes() []string {
	return []string{"topics", "clients", "users", "brokers", "ips", "client-metrics", "groups", "broker-loggers"}
}

func (t *configsTool) checkEntities() error {
	if len(t.entities) == 0 {
		return illegal("At least one entity type must be specified")
	}
	seen := map[string]bool{}
	for _, e := range t.entities {
		if seen[e.typ] {
			return illegal("Duplicate entity type(s) specified: %s", e.typ)
		}
		seen[e.typ] = true
	}
	for _, e := range t.entities {
		if !contains(entityTypes(), e.typ) {
			t.hintNearest("entity type", e.typ, entityTypes())
			return illegal("Invalid entity type %s, the entity type must be one of %s with a --bootstrap-server or --bootstrap-controller argument", e.typ, strings.Join(entityTypes(), ", "))
		}
	}
	if t.p.has("bootstrap-server") && t.p.has("bootstrap-controller") {
		return illegal("Only one of --bootstrap-server or --bootstrap-controller can be specified")
	}
	if t.p.hasAny("entity-type", "entity-name", "entity-default") {
		for _, e := range shortEntities() {
			if t.p.has(e.option) {
				return illegal("--entity-{type,name,default} should not be used in conjunction with specific entity flags")
			}
		}
	}
	if len(t.entities) > 1 && !t.isUserClient() {
		return illegal("Only 'users' and 'clients' entity types may be specified together")
	}
	for _, e := range shortEntities() {
		if !e.isDefault && t.p.has(e.option) {
			t.p.value(e.option) // which complains if it is there twice
		}
	}
	if t.p.err != nil {
		return t.p.err
	}
	return t.checkAction(t.entities[0])
}

// checkAction checks that what is to be done goes with the entities, of which first is the first.
func (t *configsTool) checkAction(first entity) error {
	if t.p.has("describe") && (first.isDefault || t.p.has("entity-default")) && (first.typ == "topics" || first.typ == "client-metrics" || first.typ == "groups" || first.typ == "broker-loggers") {
		return illegal("--entity-default must not be specified with --describe of %s", first.typ)
	}
	for _, e := range t.entities {
		if (e.typ == "brokers" || e.typ == "broker-loggers") && e.named && e.name != "" {
			if _, err := brokerID(e.name); err != nil {
				return illegal("The entity name for %s must be a valid integer broker id, but it is: %s", e.typ, e.name)
			}
		}
	}
	if first.typ == "broker-loggers" && (!first.named || first.name == "") {
		return illegal("An entity name must be specified with --%s of broker-loggers", map[bool]string{true: "alter", false: "describe"}[t.p.has("alter")])
	}
	if t.p.has("alter") && (!first.named || first.name == "") {
		switch first.typ {
		case "topics", "client-metrics", "groups":
			return illegal("An entity name must be specified with --alter of %s", first.typ)
		}
	}
	if t.p.has("alter") && !first.named && !first.isDefault {
		return illegal("An entity-name or default entity must be specified with --alter of users, clients, brokers or ips")
	}
	if t.p.has("alter") && !t.p.hasAny("add-config", "add-config-file", "delete-config") {
		return illegal("At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter")
	}
	if t.p.has("alter") && t.p.has("add-config") && t.p.has("add-config-file") {
		return illegal("Only one of --add-config or --add-config-file must be specified")
	}
	for _, e := range t.entities {
		if t.p.has("alter") && !e.named && !e.isDefault {
			return illegal("An entity name must be specified for every entity type")
		}
	}
	if given := len(t.p.all("entity-name")) + count(t.p.order, "entity-default"); t.p.has("alter") && given > len(t.entities) {
		return illegal("An entity name must be specified for every entity type")
	}
	return t.checkName(first)
}

func count(list []string, s string) (n int) {
	for _, x := range list {
		if x == s {
			n++
		}
	}
	return n
}

// checkName refuses names that cannot be.
func (t *configsTool) checkName(e entity) error {
	if !e.named || e.name == "" && e.typ != "topics" {
		return nil
	}
	switch e.typ {
	case "topics":
		if (t.p.has("alter") || t.p.has("all")) && e.name != "" {
			return nil // the broker looks, or describeOne, under the title
		}
		if err := checkTopicName(e.name); err != nil {
			return illegal("%s", err)
		}
	case "ips":
		ctx, cancel := context.WithTimeout(t.ctx, nameTimeout)
		defer cancel()
		if _, err := net.DefaultResolver.LookupHost(ctx, e.name); err != nil {
			return illegal("The entity name for ips must be a valid IP or resolvable host, but it is: %s", e.name)
		}
	}
	return nil
}

// nameTimeout bounds the look-up of a name: resolvers give up after about that long themselves.
const nameTimeout = 15 * time.Second

func brokerID(s string) (int32, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return 0, numberFormat(s)
	}
	return int32(n), nil
}

func (t *configsTool) isUserClient() bool {
	for _, e := range t.entities {
		if e.typ != "users" && e.typ != "clients" {
			return false
		}
	}
	return true
}

func (t *configsTool) readChanges() error {
	p := t.p
	t.add = client.Properties{}
	if p.has("add-config-file") {
		loaded, err := client.LoadProperties(cmp.Or(p.value("add-config-file"), "."))
		if err != nil {
			return err
		}
		t.add = loaded
	}
	if p.has("add-config") {
		parsed, err := parseAddConfig(p.value("add-config"))
		if err != nil {
			return err
		}
		t.add.Merge(parsed)
	}
	for _, k := range p.all("delete-config") {
		if k = strings.TrimSpace(k); k != "" {
			t.del = append(t.del, k)
		}
	}
	return p.err
}

// parseAddConfig reads k1=v1,k2=[a,b]: commas and equals signs inside brackets do not separate.
func parseAddConfig(s string) (client.Properties, error) {
	out := client.Properties{}
	parts := splitOutsideBrackets(s, ',')
	for len(parts) > 0 && parts[len(parts)-1] == "" && s != "" { // as Java's split leaves them out
		parts = parts[:len(parts)-1]
	}
	for _, part := range parts {
		kv := splitOutsideBrackets(part, '=')
		if len(kv) != 2 {
			return nil, invalidEntityConfig()
		}
		// Kafka's tool drops brackets wherever they stand.
		out[strings.TrimSpace(kv[0])] = strings.TrimSpace(strings.NewReplacer("[", "", "]", "").Replace(kv[1]))
	}
	return out, nil
}

func invalidEntityConfig() error {
	return illegal(`requirement failed: Invalid entity config: all configs to be added must be in the format "key=val" or  "key=[val1,val2]" to group values which contain commas.`)
}

// splitOutsideBrackets splits where the next bracket, if there is one, opens.
func splitOutsideBrackets(s string, sep byte) []string {
	var out []string
	from := 0
	for i := range len(s) {
		if s[i] != sep {
			continue
		}
		if next := strings.IndexAny(s[i:], "[]"); next < 0 || s[i+next] == '[' {
			out = append(out, s[from:i])
			from = i + 1
		}
	}
	return append(out, s[from:])
}

func (t *configsTool) resourceType() kmsg.ConfigResourceType {
	switch t.entities[0].typ {
	case "topics":
		return resourceTopic
	case "brokers":
		return resourceBroker
	case "broker-loggers":
		return resourceBrokerLogger
	case "client-metrics":
		return resourceClientMetrics
	}
	return resourceGroup
}

func (t *configsTool) alter() error {
	e := t.entities[0]
	var err error
	switch e.typ {
	case "users", "clients":
		err = t.alterUserClient()
	case "ips":
		err = t.alterIP()
	default:
		err = t.alterResource(e)
	}
	if err != nil {
		return err
	}
	if e.isDefault || e.name == "" {
		t.printf("Completed updating default config for %s in the cluster.\n", e.typ)
		return nil
	}
	t.printf("Completed updating config for %s %s.\n", e.singular(), e.name)
	return nil
}

func (t *configsTool) alterResource(e entity) error {
	if e.typ == "broker-loggers" {
		if err := t.checkLoggers(e); err != nil {
			return err
		}
	}
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = t.resourceType(), e.name
	for _, k := range t.add.Keys() {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value, c.Op = k, kmsg.StringPtr(t.add[k]), kmsg.IncrementalAlterConfigOpSet
		res.Configs = append(res.Configs, c)
	}
	for _, k := range t.del {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Op = k, kmsg.IncrementalAlterConfigOpDelete
		res.Configs = append(res.Configs, c)
	}
	req.Resources = append(req.Resources, res)
	typ := t.resourceType()
	if typ == resourceBroker && t.c.Settings.BootstrapIsQuorum {
		typ = resourceTopic // controllers take it for any broker
	}
	resp, err := t.sendConfigs(t.c, typ, []string{e.name}, req, "incrementalAlterConfigs")
	if client.IsCode(err, client.CodeUnsupportedVersion) {
		return illegal("The INCREMENTAL_ALTER_CONFIGS API is not supported by the cluster. The API is supported starting from version 2.3.0. You may want to use an older version of this tool to interact with your cluster, or upgrade your brokers to version 2.3.0 or newer to avoid this error.")
	}
	if err != nil {
		return err
	}
	t.hintNearestKeys(e) // brokers take some keys that there are not
	for _, rr := range resp.(*kmsg.IncrementalAlterConfigsResponse).Resources {
		if err := client.CodeError(rr.ErrorCode, rr.ErrorMessage); err != nil {
			t.hintNearestEntity(e)
			return err
		}
	}
	return nil
}

func (t *configsTool) checkLoggers(e entity) error {
	configs, err := t.describeConfigs(t.c, resourceBrokerLogger, []string{e.name}, false)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, c := range configs[e.name] {
		known[c.Name] = true
	}
	var bad []string
	for _, k := range append(t.add.Keys(), t.del...) {
		if !known[k] {
			bad = append(bad, k)
		}
	}
	if len(bad) > 0 {
		return illegal("Invalid broker logger(s): %s", strings.Join(bad, ","))
	}
	return nil
}
