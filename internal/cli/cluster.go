package cli

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func clusterTool() *subTool {
	common := []subOption{
		{long: "bootstrap-server", short: "b", metavar: "BOOTSTRAP_SERVER", exclusive: "bootstrap", doc: "The brokers to connect to, as host:port."},
		{long: "bootstrap-controller", short: "C", metavar: "BOOTSTRAP_CONTROLLER", exclusive: "bootstrap", doc: "The controllers to connect to, as host:port."},
		{long: "config", metavar: "CONFIG", deprecated: true, doc: "The old name of --command-config."},
		{long: "command-config", short: "c", metavar: "COMMAND_CONFIG", doc: "A properties file for the admin client."},
	}
	tail := "(--bootstrap-server BOOTSTRAP_SERVER |\n                     --bootstrap-controller BOOTSTRAP_CONTROLLER)"
	with := func(more ...subOption) []subOption { return append(append([]subOption(nil), common...), more...) }
	head := "\n                     [--command-config COMMAND_CONFIG]"
	return &subTool{
		name: "kafka-cluster", purpose: "Shows and manages the members of a cluster.", helpCode: 1,
		usage: "usage: kafka-cluster [-h] {cluster-id,unregister,list-endpoints} ...",
		commands: []subcommand{
			{name: "cluster-id", doc: "Show the cluster's id.", oneOf: "bootstrap", run: runClusterID, options: with(formatSubOption()),
				usage: "usage: kafka-cluster cluster-id [-h] [--config CONFIG]" + head + "\n                     " + tail},
			{name: "unregister", doc: "Forget a broker.", oneOf: "bootstrap", run: runUnregister,
				options: with(subOption{long: "id", short: "i", metavar: "ID", kind: "Integer", required: true, doc: "The broker's id."}),
				usage:   "usage: kafka-cluster unregister [-h] [--config CONFIG]" + head + " --id ID\n                     " + tail},
			{name: "list-endpoints", doc: "Show the addresses of the nodes.", oneOf: "bootstrap", run: runListEndpoints,
				options: with(subOption{long: "include-fenced-brokers", doc: "Show fenced brokers too."}, formatSubOption()),
				usage:   "usage: kafka-cluster list-endpoints [-h] [--config CONFIG]" + head + "\n                     [--include-fenced-brokers]\n                     " + tail},
		},
	}
}

func runCluster(r *run, args []string) int { return r.runSubTool(clusterTool(), args) }

// onCluster runs fn with a client and prints what fails as Kafka does.
func (r *run) onCluster(a *subArgs, fn func(*client.Client) error) int {
	if a.has("config") {
		if a.has("command-config") {
			return r.failln("--config and --command-config cannot be specified together.", 1)
		}
		r.println("Option --config has been deprecated and will be removed in a future version. Use --command-config instead.")
	}
	c, err := r.openSub(a)
	if err == nil {
		defer c.Close()
		err = fn(c)
	}
	if err == nil {
		return 0
	}
	r.errorln(err.Error())
	r.explainConstruct(err)
	return r.fail(1)
}

// describeCluster asks brokers, or controllers when that is who was named.
func (r *run) describeCluster(c *client.Client, fenced bool) (*kmsg.DescribeClusterResponse, error) {
	req := kmsg.NewPtrDescribeClusterRequest()
	req.EndpointType = 1
	if c.Settings.BootstrapIsQuorum {
		req.EndpointType = 2
	}
	req.IncludeFencedBrokers = fenced
	resp, err := c.Any(r.ctx, "listNodes", req)
	if err != nil {
		return nil, err
	}
	dr := resp.(*kmsg.DescribeClusterResponse)
	return dr, client.CodeError(dr.ErrorCode, dr.ErrorMessage)
}

func runClusterID(r *run, a *subArgs) int {
	return r.onCluster(a, func(c *client.Client) error {
		dr, err := r.describeCluster(c, false)
		if err != nil {
			return err
		}
		if dr.ClusterID == "" {
			r.println("No cluster ID found. The Kafka version is probably too old.")
			return nil
		}
		if r.json {
			r.row("clusterId", dr.ClusterID)
			return nil
		}
		r.println("Cluster ID: " + dr.ClusterID)
		return nil
	})
}

func runUnregister(r *run, a *subArgs) int {
	id := a.number("id")
	return r.onCluster(a, func(c *client.Client) error {
		req := kmsg.NewPtrUnregisterBrokerRequest()
		req.BrokerID = int32(id)
		resp, err := c.Any(r.ctx, "unregisterBroker", req)
		if err != nil {
			return err
		}
		ur := resp.(*kmsg.UnregisterBrokerResponse)
		if err := client.CodeError(ur.ErrorCode, ur.ErrorMessage); err != nil {
			return err
		}
		r.printf("Broker %d is no longer registered.\n", id)
		return nil
	})
}

func runListEndpoints(r *run, a *subArgs) int {
	if a.has("bootstrap-controller") && a.has("include-fenced-brokers") {
		return r.failln("The option --include-fenced-brokers is only supported with --bootstrap-server option", 1)
	}
	return r.onCluster(a, func(c *client.Client) error {
		dr, err := r.describeCluster(c, a.has("include-fenced-brokers"))
		if err != nil {
			return err
		}
		r.printEndpoints(dr, c.Settings.BootstrapIsQuorum)
		return nil
	})
}

func (r *run) printEndpoints(dr *kmsg.DescribeClusterResponse, controllers bool) {
	nodes := append([]kmsg.DescribeClusterResponseBroker(nil), dr.Brokers...)
	sort.Slice(nodes, func(i, j int) bool { return nodes[i].NodeID < nodes[j].NodeID })
	host, rack := len("HOST"), 10
	racks := make([]string, len(nodes))
	for i, n := range nodes {
		racks[i] = "null"
		if n.Rack != nil {
			racks[i] = *n.Rack
		}
		host, rack = max(host, len(n.Host)), max(rack, len(racks[i]))
	}
	line := func(id, h, port, rk, state, typ string) {
		if controllers {
			r.printf("%-10s %-*s %-10s %-*s %-15s\n", id, host, h, port, rack, rk, typ)
			return
		}
		r.printf("%-10s %-*s %-10s %-*s %-10s %-15s\n", id, host, h, port, rack, rk, state, typ)
	}
	if !r.json {
		line("ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE")
	}
	for i, n := range nodes {
		state, typ := "unfenced", "broker"
		if n.IsFenced {
			state = "fenced"
		}
		if controllers {
			typ = "controller"
		}
		if r.json {
			r.row("id", n.NodeID, "host", n.Host, "port", n.Port, "rack", n.Rack, "state", state, "endpointType", typ)
			continue
		}
		line(strconv.Itoa(int(n.NodeID)), n.Host, strconv.Itoa(int(n.Port)), racks[i], state, typ)
	}
}

func apiVersionsOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "server(s) to use for bootstrapping", "The brokers to connect to, as host:port, several with commas.")
	s.arg("command-config", "command config property file", "A properties file for the admin client.")
	s.formatOption()
	return s
}

func runAPIVersions(r *run, args []string) int {
	p, err := apiVersionsOptions().parse(args)
	if err == nil {
		err = r.apiVersions(p)
	}
	return r.outcome(err)
}

func (r *run) apiVersions(p *parsed) error {
	req := []string{"bootstrap-server"}
	if err := r.helpOrVersion(p, req, "This tool helps to retrieve broker version information."); err != nil {
		return err
	}
	if err := r.checkRequired(p, req, "bootstrap-server"); err != nil {
		return err
	}
	if err := r.readFormat(p); err != nil {
		return err
	}
	bootstrap := p.value("bootstrap-server")
	if p.err != nil {
		return p.err
	}
	if bootstrap == "" {
		return errors.New("Configuration 'bootstrap.servers' must not be empty. Valid values include: any non-empty value")
	}
	config := p.value("command-config")
	if p.err != nil {
		return p.err
	}
	own, err := legacyProperties(config)
	if err != nil {
		return err
	}
	c, err := r.open(client.Admin, bootstrap, "", own)
	if ce := new(client.ConstructError); errors.As(err, &ce) {
		return ce.Cause // there is no Admin that could not be made
	}
	if err != nil {
		return err
	}
	defer c.Close()
	md, err := r.brokersAtOnce(c)
	if err != nil {
		return err
	}
	sort.Slice(md.Brokers, func(i, j int) bool { return md.Brokers[i].NodeID < md.Brokers[j].NodeID })
	for _, b := range md.Brokers {
		rack := "null"
		if b.Rack != nil {
			rack = *b.Rack
		}
		node := fmt.Sprintf("%s:%d (id: %d rack: %s isFenced: false)", b.Host, b.Port, b.NodeID, rack)
		versions := kmsg.NewPtrApiVersionsRequest()
		versions.ClientSoftwareName, versions.ClientSoftwareVersion = "moldau", "1"
		resp, err := c.OnBroker(r.ctx, "apiVersions", b.NodeID, versions)
		if err != nil {
			r.failed = true
			r.printf("%s -> ERROR: %s\n", node, withClass(err))
			continue
		}
		if r.json {
			r.jsonVersions(b, resp.(*kmsg.ApiVersionsResponse))
			continue
		}
		r.printVersions(node, resp.(*kmsg.ApiVersionsResponse))
	}
	return nil
}

// legacyProperties are those of a file that the old admin client of Kafka knows: it does not look at others.
func legacyProperties(file string) (client.Properties, error) {
	if file == "" {
		return nil, nil
	}
	all, err := client.LoadProperties(file)
	if err != nil {
		return nil, err
	}
	own := client.Properties{}
	for k, v := range all {
		switch k {
		case "client.dns.lookup", "security.protocol", "request.timeout.ms", "socket.connection.setup.timeout.ms", "socket.connection.setup.timeout.max.ms":
			own[k] = v
		}
		if strings.HasPrefix(k, "ssl.") || strings.HasPrefix(k, "sasl.") {
			own[k] = v
		}
	}
	return own, nil
}

// brokersAtOnce asks for the brokers without waiting for one that may come.
func (r *run) brokersAtOnce(c *client.Client) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	err := c.OnceEach(r.ctx, req)
	if ue := new(client.UnansweredError); errors.As(err, &ue) {
		return nil, &javaError{plain: ue.Error(), cause: ue.Cause}
	}
	if err != nil {
		return nil, err
	}
	return c.Metadata(r.ctx, "METADATA", nil, false) // the client underneath learns the brokers
}

// jsonVersions writes a row for each API of a broker.
func (r *run) jsonVersions(b kmsg.MetadataResponseBroker, resp *kmsg.ApiVersionsResponse) {
	known := knownAPIs()
	for _, k := range resp.ApiKeys {
		var usable any
		if api, ok := known[k.ApiKey]; ok && min(k.MaxVersion, api.max) >= k.MinVersion {
			usable = min(k.MaxVersion, api.max)
		}
		r.row("broker", b.NodeID, "host", b.Host, "port", b.Port, "apiKey", k.ApiKey, "api", apiName(k.ApiKey), "minVersion", k.MinVersion, "maxVersion", k.MaxVersion, "usable", usable)
	}
}

// printVersions shows what the broker has beside what these tools can use.
func (r *run) printVersions(node string, resp *kmsg.ApiVersionsResponse) {
	broker := map[int16]kmsg.ApiVersionsResponseApiKey{}
	for _, k := range resp.ApiKeys {
		broker[k.ApiKey] = k
	}
	type row struct {
		key  int16
		text string
	}
	var rows []row
	known := knownAPIs()
	for key, api := range known {
		k, ok := broker[key]
		if !ok {
			rows = append(rows, row{key, fmt.Sprintf("%s(%d): UNSUPPORTED", api.name, key)})
			continue
		}
		usable := "UNSUPPORTED"
		if top := min(k.MaxVersion, api.max); top >= k.MinVersion {
			usable = fmt.Sprintf("usable: %d", top)
		}
		rows = append(rows, row{key, fmt.Sprintf("%s(%d): %s [%s]", api.name, key, versionRange(k.MinVersion, k.MaxVersion), usable)})
	}
	for key, k := range broker {
		if _, ok := known[key]; !ok {
			rows = append(rows, row{key, fmt.Sprintf("UNKNOWN(%d): %s", key, versionRange(k.MinVersion, k.MaxVersion))})
		}
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i].key < rows[j].key })
	r.printf("%s -> (\n", node)
	for i, row := range rows {
		comma := ","
		if i == len(rows)-1 {
			comma = ""
		}
		r.printf("\t%s%s\n", row.text, comma)
	}
	r.println(")")
}

func versionRange(low, high int16) string {
	if low == high {
		return strconv.Itoa(int(low))
	}
	return fmt.Sprintf("%d to %d", low, high)
}

type knownAPI struct {
	name string
	max  int16
}

// lastAPI is the highest key of Kafka 4.3, DeleteShareGroupOffsets.
const lastAPI = 92

// knownAPIs are the APIs of a broker's client side, with Kafka's names. Those
// between controllers are no client's business.
func knownAPIs() map[int16]knownAPI {
	out := map[int16]knownAPI{}
	for key := int16(0); key <= lastAPI; key++ {
		if isControllerOnly(key) {
			continue
		}
		if req := kmsg.RequestForKey(key); req != nil {
			out[key] = knownAPI{apiName(key), min(req.MaxVersion(), stableMax(key, req.MaxVersion()))}
		}
	}
	return out
}

// stableMax leaves out versions that no release has finished.
func stableMax(key, max int16) int16 {
	if key == 22 { // InitProducerId 6 is for two-phase commit
		return min(max, 5)
	}
	return max
}

// apiName is Kafka's name; franz-go writes some in another case.
func apiName(key int16) string {
	name := kmsg.NameForKey(key)
	for _, p := range [][2]string{{"SASL", "Sasl"}, {"ACLs", "Acls"}, {"ID", "Id"}, {"SCRAM", "Scram"}, {"AlterPartitionAssignments", "AlterPartitionReassignments"}} {
		name = strings.ReplaceAll(name, p[0], p[1])
	}
	return name
}

func isControllerOnly(key int16) bool {
	switch {
	case key >= 4 && key <= 7: // gone with ZooKeeper
		return true
	case key >= 52 && key <= 54, key == 56, key == 58, key == 59, key == 62, key == 63, key == 67, key == 70, key == 73, key == 82:
		return true
	}
	return false
}
