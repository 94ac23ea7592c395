package cli

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"

	"github.com/moldau-stream/moldau/internal/client"
	"github.com/moldau-stream/moldau/internal/config"
)

// StorageWriter is how kafka-storage format leaves its marks in a directory.
// Each function must be durable when it returns.
type StorageWriter struct {
	// MetaProperties writes dir/meta.properties (version 1).
	MetaProperties func(dir string, m MetaProperties) error
	// Bootstrap writes dir/bootstrap.checkpoint: a snapshot of feature levels
	// and SCRAM credentials.
	Bootstrap func(dir string, b BootstrapMetadata) error
	// Voters writes the first checkpoint of dir/__cluster_metadata-0, which
	// names the first voters of a dynamic quorum.
	Voters func(dir string, kraftVersion int16, voters []Voter) error
}

// MetaProperties is the content of a directory's meta.properties.
type MetaProperties struct {
	ClusterID   string
	NodeID      int32
	DirectoryID [16]byte
}

// BootstrapMetadata is what a new cluster starts with.
type BootstrapMetadata struct {
	MetadataVersion int16
	// Features are the levels above zero, without metadata.version and
	// kraft.version, sorted by name.
	Features []FeatureLevel
	Scram    []ScramCredential
}

// FeatureLevel is one finalized feature.
type FeatureLevel struct {
	Name  string
	Level int16
}

// ScramCredential is a user's SCRAM secret in the form that is stored.
type ScramCredential struct {
	User       string
	Mechanism  int8 // 1 SCRAM-SHA-256, 2 SCRAM-SHA-512
	Salt       []byte
	StoredKey  []byte
	ServerKey  []byte
	Iterations int32
}

// Voter is a member of a dynamic quorum.
type Voter struct {
	ID          int32
	DirectoryID [16]byte
	Host        string
	Port        uint16
	Listener    string
}

func storageTool() *subTool {
	config := subOption{long: "config", short: "c", metavar: "CONFIG", required: true, doc: "The node's properties file."}
	release := subOption{long: "release-version", short: "r", metavar: "RELEASE_VERSION", doc: "The release whose feature levels to use."}
	return &subTool{
		name:    "kafka-storage",
		usage:   "usage: kafka-storage [-h]\n                     {info,format,version-mapping,feature-dependencies,random-uuid}\n                     ...",
		purpose: "Formats and inspects the directories of a node.",
		commands: []subcommand{
			{name: "info", run: runStorageInfo, doc: "Show the state of the directories.",
				usage: "usage: kafka-storage info [-h] --config CONFIG", options: []subOption{config}},
			{name: "format", run: runStorageFormat, doc: "Prepare the directories for a cluster.",
				usage: "usage: kafka-storage format [-h] --config CONFIG --cluster-id CLUSTER_ID\n                     [--add-scram ADD_SCRAM] [--ignore-formatted]\n                     [--release-version RELEASE_VERSION]\n                     [--feature FEATURE] [--standalone |\n                     --no-initial-controllers |\n                     --initial-controllers INITIAL_CONTROLLERS]",
				options: []subOption{config,
					{long: "cluster-id", short: "t", metavar: "CLUSTER_ID", required: true, doc: "The cluster's id; random-uuid makes one."},
					{long: "add-scram", short: "S", metavar: "ADD_SCRAM", doc: "A user to start with: 'SCRAM-SHA-256=[name=alice,password=secret]', or with iterations, salt or saltedpassword."},
					{long: "ignore-formatted", short: "g", doc: "Leave directories that are formatted as they are."},
					release,
					{long: "feature", short: "f", metavar: "FEATURE", doc: "A feature's level, as name=level."},
					{long: "standalone", short: "s", exclusive: "quorum", doc: "Make this controller the only voter of a dynamic quorum."},
					{long: "no-initial-controllers", short: "N", exclusive: "quorum", doc: "Format a controller that will be added to a dynamic quorum later."},
					{long: "initial-controllers", short: "I", metavar: "INITIAL_CONTROLLERS", exclusive: "quorum", doc: "The first voters of a dynamic quorum: id@host:port:directoryId, several with commas."},
				}},
			{name: "version-mapping", run: runVersionMapping, doc: "Show which feature levels belong to a release.",
				usage: "usage: kafka-storage version-mapping [-h]\n                     [--release-version RELEASE_VERSION]", options: listing(release)},
			{name: "feature-dependencies", run: runFeatureDependencies, doc: "Show what a feature's level needs.",
				usage:   "usage: kafka-storage feature-dependencies [-h] --feature FEATURE",
				options: listing(subOption{long: "feature", short: "f", metavar: "FEATURE", required: true, doc: "A feature's level, as name=level; may be repeated."})},
			{name: "random-uuid", run: runRandomUUID, doc: "Print a new id.", usage: "usage: kafka-storage random-uuid [-h]"},
		},
	}
}

func runStorage(r *run, args []string) int { return r.runSubTool(storageTool(), args) }

func runRandomUUID(r *run, _ *subArgs) int {
	id, err := newUUID()
	if err != nil {
		return r.failln(err.Error(), 1)
	}
	r.println(uuidString(id))
	return 0
}

// newUUID makes a random id as Kafka does: one whose text begins with a dash
// would look like an option, so it is thrown away.
func newUUID() ([16]byte, error) {
	var id [16]byte
	for {
		if _, err := rand.Read(id[:]); err != nil {
			return id, fmt.Errorf("cannot make a random id: %w", err)
		}
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
		if uuidString(id)[0] != '-' {
			return id, nil
		}
	}
}

// nodeStorage is what the tool needs of a node's properties.
type nodeStorage struct {
	nodeID       int32
	controller   bool
	staticVoters bool
	// bootstrapVoters: controller.quorum.bootstrap.servers says where controllers are.
	bootstrapVoters bool
	dirs            []string // in the order given, without repeats
	metadataDir     string
	listener        string // the first controller listener's name
	advertised      string // its host:port, for --standalone
}

func readNodeStorage(path string) (*nodeStorage, error) {
	p, err := client.LoadProperties(cmp.Or(path, "."))
	if err != nil {
		return nil, err
	}
	n := &nodeStorage{nodeID: -1}
	roles, ok := p["process.roles"]
	if !ok {
		return nil, fmt.Errorf("Missing required configuration \"process.roles\" which has no default value.")
	}
	n.controller = contains(commaList(roles), "controller")
	id := strings.TrimSpace(cmp.Or(p["node.id"], p["broker.id"]))
	if id == "" {
		return nil, fmt.Errorf("Missing required configuration \"node.id\" which has no default value.")
	}
	v, err := strconv.ParseInt(id, 10, 32)
	if err != nil { // the older name is the first that is read
		return nil, fmt.Errorf("Invalid value %s for configuration broker.id: Not a number of type INT", id)
	}
	n.nodeID = int32(v)
	if err := config.CheckNode(p); err != nil {
		return nil, err
	}
	if err := n.checkController(p); err != nil {
		return nil, err
	}
	n.staticVoters = len(commaList(p["controller.quorum.voters"])) > 0
	n.bootstrapVoters = len(commaList(p["controller.quorum.bootstrap.servers"])) > 0
	n.readDirs(p)
	n.readListener(p)
	return n, nil
}

// checkController judges what a controller must say of itself and of the quorum.
func (n *nodeStorage) checkController(p client.Properties) error {
	voters := commaList(p["controller.quorum.voters"])
	own := false
	for _, voter := range voters {
		id, address, _ := strings.Cut(voter, "@")
		number, err := strconv.ParseInt(id, 10, 32)
		if err != nil || !client.ValidHostPorts(address) {
			return errors.New("Invalid configuration value for controller.quorum.voters. Each entry should be in the form `{id}@{host}:{port}`.")
		}
		own = own || int32(number) == n.nodeID
	}
	switch {
	case !n.controller:
		return nil
	case len(voters) > 0 && !own:
		return fmt.Errorf("requirement failed: If process.roles contains the 'controller' role, the node id %d must be included in the set of voters controller.quorum.voters=Set(%s)", n.nodeID, voterIDs(voters))
	case len(commaList(p["controller.listener.names"])) == 0:
		return errors.New("Missing required configuration \"controller.listener.names\" which has no default value.")
	}
	return nil
}

func voterIDs(voters []string) string {
	var ids []string
	for _, v := range voters {
		id, _, _ := strings.Cut(v, "@")
		ids = append(ids, id)
	}
	return strings.Join(ids, ", ")
}

// quorumMissing is what is to be said of a node that does not say where the controllers are.
func (n *nodeStorage) quorumMissing() error {
	if n.staticVoters || n.bootstrapVoters {
		return nil
	}
	return errors.New("If using process.roles, either controller.quorum.bootstrap.servers must contain the set of bootstrap controllers or controller.quorum.voters must contain a parseable set of controllers.")
}

func (n *nodeStorage) readDirs(p client.Properties) {
	dirs := commaList(p["log.dirs"])
	if len(dirs) == 0 {
		dirs = commaList(p["log.dir"])
	}
	if len(dirs) == 0 {
		dirs = []string{"/tmp/kafka-logs"}
	}
	n.metadataDir = strings.TrimSpace(p["metadata.log.dir"])
	if n.metadataDir == "" {
		n.metadataDir = dirs[0]
	}
	for _, d := range append(dirs, n.metadataDir) {
		if !contains(n.dirs, d) {
			n.dirs = append(n.dirs, d)
		}
	}
	sort.Strings(n.dirs)
}

func (n *nodeStorage) readListener(p client.Properties) {
	names := commaList(p["controller.listener.names"])
	if len(names) == 0 {
		return
	}
	n.listener = names[0]
	for _, key := range []string{"advertised.listeners", "listeners"} {
		for _, l := range commaList(p[key]) {
			if name, address, ok := strings.Cut(l, "://"); ok && strings.EqualFold(name, n.listener) && n.advertised == "" {
				n.advertised = address
			}
		}
	}
}

func commaList(s string) []string {
	var out []string
	for _, x := range strings.Split(s, ",") {
		if x = strings.TrimSpace(x); x != "" {
			out = append(out, x)
		}
	}
	return out
}

// dirState is what is found in a log directory.
type dirState struct {
	path  string
	meta  client.Properties // nil: not formatted
	fault string            // "": usable
}

func inspectDir(path string) dirState {
	d := dirState{path: path}
	info, err := os.Stat(path)
	switch {
	case os.IsNotExist(err), errors.Is(err, syscall.ENOTDIR):
		d.fault = path + " does not exist"
		return d
	case err != nil:
		d.fault = (&client.FileError{Path: path, Cause: err}).Error()
		return d
	case !info.IsDir():
		d.fault = path + " is not a directory"
		return d
	}
	name := filepath.Join(path, "meta.properties")
	meta, err := client.LoadProperties(name)
	if os.IsNotExist(rootOf(err)) {
		return d
	}
	if err != nil {
		d.fault = "Error reading " + name + ": " + err.Error()
		return d
	}
	d.meta = meta
	return d
}

// metaProblem is what is wrong with what a directory says of itself, "" if nothing is. Of before version 1 little is known.
func metaProblem(meta client.Properties) string {
	version, ok := meta["version"]
	if meta == nil || !ok || version == "0" {
		return ""
	}
	number, err := strconv.Atoi(version)
	switch {
	case err != nil:
		return "Invalid meta.properties version string '" + version + "'"
	case number != 1:
		return fmt.Sprintf("Unknown meta.properties version number %d", number)
	}
	if _, ok := meta["cluster.id"]; !ok {
		return "cluster.id was not found."
	}
	id, ok := meta["node.id"]
	if !ok {
		return "Failed to find node.id"
	}
	if _, err := strconv.ParseInt(id, 10, 32); err != nil {
		return "Unable to read node.id as a base-10 number."
	}
	if directory, ok := meta["directory.id"]; ok {
		if _, err := parseUUID(directory); err != nil {
			return "Unable to read directory.id as a Uuid: " + err.Error()
		}
	}
	return ""
}

func rootOf(err error) error {
	if fe, ok := err.(*client.FileError); ok {
		return fe.Cause
	}
	return err
}

func runStorageInfo(r *run, a *subArgs) int {
	n, err := readNodeStorage(a.value("config"))
	if err == nil {
		err = n.quorumMissing()
	}
	if err != nil {
		return r.failln(err.Error(), 1)
	}
	var found, problems []string
	var first client.Properties
	for _, path := range n.dirs {
		d := inspectDir(path)
		if d.fault != "" {
			problems = append(problems, d.fault)
			continue
		}
		found = append(found, path)
		if problem := metaProblem(d.meta); problem != "" {
			problems = append(problems, "Error loading "+filepath.Join(path, "meta.properties")+": "+problem)
			continue
		}
		switch {
		case d.meta == nil:
			problems = append(problems, path+" is not formatted.")
		case first == nil:
			first = d.meta
		case d.meta["cluster.id"] != first["cluster.id"]:
			problems = append(problems, "Mismatched cluster IDs between storage directories.")
		case d.meta["node.id"] != first["node.id"]:
			problems = append(problems, "Mismatched node IDs between storage directories.")
		}
	}
	r.printBlock("Found log director", "y:", "ies:", found)
	if first != nil {
		r.printf("Found metadata: {%s}\n\n", propertiesText(first))
	}
	r.printBlock("Found problem", ":", "s:", problems)
	if len(problems) > 0 {
		return r.fail(1)
	}
	return 0
}

func (r *run) printBlock(title, one, many string, lines []string) {
	if len(lines) == 0 {
		return
	}
	if len(lines) == 1 {
		many = one
	}
	r.println(title + many)
	for _, l := range lines {
		r.println("  " + l)
	}
	r.println("")
}

func propertiesText(p client.Properties) string {
	var parts []string
	for _, k := range p.Keys() {
		parts = append(parts, k+"="+p[k])
	}
	return strings.Join(parts, ", ")
}

// bootstrapText is the line that format prints first.
func (b BootstrapMetadata) text() string {
	var records []string
	add := func(s string) { records = append(records, "ApiMessageAndVersion("+s+" at version 0)") }
	add(fmt.Sprintf("FeatureLevelRecord(name='metadata.version', featureLevel=%d)", b.MetadataVersion))
	for _, f := range b.Features {
		add(fmt.Sprintf("FeatureLevelRecord(name='%s', featureLevel=%d)", f.Name, f.Level))
	}
	for _, s := range b.Scram {
		add(fmt.Sprintf("UserScramCredentialRecord(name='%s', mechanism=%d, salt=%s, storedKey=%s, serverKey=%s, iterations=%d)", s.User, s.Mechanism, javaBytes(s.Salt), javaBytes(s.StoredKey), javaBytes(s.ServerKey), s.Iterations))
	}
	return fmt.Sprintf("BootstrapMetadata(records=[%s], metadataVersionLevel=%d, source=format command)", strings.Join(records, ", "), b.MetadataVersion)
}

func javaBytes(b []byte) string {
	var out bytes.Buffer
	out.WriteByte('[')
	for i, c := range b {
		if i > 0 {
			out.WriteString(", ")
		}
		out.WriteString(strconv.Itoa(int(int8(c))))
	}
	out.WriteByte(']')
	return out.String()
}
