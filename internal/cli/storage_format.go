package cli

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// formatPlan is everything that a format will write, settled before the first
// file is touched.
type formatPlan struct {
	node      *nodeStorage
	clusterID string
	todo      []string
	bootstrap BootstrapMetadata
	kraft     int16
	dynamic   bool // --standalone or --initial-controllers: voters are written
	voters    []Voter
	ownDirID  [16]byte // this node's directory id as a voter
}

func runStorageFormat(r *run, a *subArgs) int {
	node, err := readNodeStorage(a.value("config"))
	if err != nil {
		return r.failln(err.Error(), 1)
	}
	p := &formatPlan{node: node, clusterID: a.value("cluster-id")}
	if err := p.plan(a); err != nil {
		return r.failln(err.Error(), 1)
	}
	done, err := p.findUnformatted(a.has("ignore-formatted"))
	if err != nil {
		return r.failln(err.Error(), 1)
	}
	if done {
		r.println("All of the log directories are already formatted.")
		return 0
	}
	if err := p.write(r); err != nil {
		return r.failln(err.Error(), 1)
	}
	return 0
}

func (p *formatPlan) plan(a *subArgs) error {
	if err := p.checkQuorum(a); err != nil {
		return err
	}
	if err := p.planFeatures(a); err != nil {
		return err
	}
	for _, s := range a.all("add-scram") {
		c, err := parseScram(s)
		if err != nil {
			return err
		}
		p.bootstrap.Scram = append(p.bootstrap.Scram, c)
	}
	return p.planVoters(a)
}

func (p *formatPlan) checkQuorum(a *subArgs) error {
	n := p.node
	chosen := a.has("standalone") || a.has("initial-controllers") || a.has("no-initial-controllers")
	switch {
	case n.staticVoters && (a.has("standalone") || a.has("initial-controllers")):
		return errors.New("You cannot specify controller.quorum.voters and format the node with --initial-controllers or --standalone. If you want to use dynamic quorum, please remove controller.quorum.voters and specify controller.quorum.bootstrap.servers instead.")
	case a.has("standalone") && !n.controller:
		return errors.New("You can only use --standalone on a controller.")
	case n.quorumMissing() != nil:
		return n.quorumMissing()
	case n.controller && !n.staticVoters && !chosen:
		return errors.New("Because controller.quorum.voters is not set on this controller, you must specify one of the following: --standalone, --initial-controllers, or --no-initial-controllers.")
	}
	return nil
}

func (p *formatPlan) planFeatures(a *subArgs) error {
	level := int16(latestStableMetadata)
	if a.has("release-version") {
		var err error
		if level, err = releaseLevel(a.value("release-version"), false); err != nil {
			return err
		}
	}
	asked := map[string]int16{}
	for _, s := range a.all("feature") {
		name, l, err := splitFeature(s)
		if err != nil {
			return err
		}
		asked[name] = l
	}
	if l, ok := asked[metadataVersionFeature]; ok {
		if a.has("release-version") {
			return errors.New("Use --release-version instead of --feature metadata.version=X to avoid ambiguity.")
		}
		if l < minMetadataVersion || l > latestMetadata {
			return fmt.Errorf("No MetadataVersion with feature level %d. Valid feature levels are from %d to %d.", l, minMetadataVersion, latestMetadata)
		}
		if l > latestStableMetadata {
			return fmt.Errorf("No feature:metadata.version with feature level %d", l)
		}
		level = l
		delete(asked, metadataVersionFeature)
	}
	levels, err := effectiveFeatures(level, asked)
	if err != nil {
		return err
	}
	if l, ok := asked[kraftVersionFeature]; ok {
		if l == 0 && !p.node.staticVoters {
			return errors.New("Cannot set kraft.version to 0 if controller.quorum.voters is empty and one of the flags --standalone, --initial-controllers, or --no-initial-controllers is used. For dynamic controllers support, try removing the --feature flag for kraft.version.")
		}
		if l > 0 && p.node.staticVoters {
			return fmt.Errorf("Cannot set kraft.version to %d unless controller.quorum.voters is empty and one of the flags --standalone, --initial-controllers, or --no-initial-controllers is used. For dynamic controllers support, try using one of --standalone, --initial-controllers, or --no-initial-controllers and removing controller.quorum.voters.", l)
		}
	}
	p.kraft = levels[kraftVersionFeature]
	p.bootstrap.MetadataVersion = level
	for name, l := range levels {
		if l > 0 && name != kraftVersionFeature {
			p.bootstrap.Features = append(p.bootstrap.Features, FeatureLevel{name, l})
		}
	}
	sort.Slice(p.bootstrap.Features, func(i, j int) bool { return p.bootstrap.Features[i].Name < p.bootstrap.Features[j].Name })
	return nil
}

func (p *formatPlan) planVoters(a *subArgs) error {
	var err error
	switch {
	case a.has("initial-controllers"):
		p.dynamic = true
		for _, s := range strings.Split(a.value("initial-controllers"), ",") {
			v, err := parseVoter(strings.TrimSpace(s), p.node.listener)
			if err != nil {
				return err
			}
			for _, other := range p.voters {
				if other.ID == v.ID {
					return fmt.Errorf("Node id %d appears more than once in the initial controllers.", v.ID)
				}
			}
			p.voters = append(p.voters, v)
			if v.ID == p.node.nodeID {
				p.ownDirID = v.DirectoryID
			}
		}
	case a.has("standalone"):
		p.dynamic = true
		if p.ownDirID, err = newUUID(); err != nil {
			return err
		}
		host, port, err := voterAddress(p.node.advertised)
		if err != nil {
			return fmt.Errorf("Cannot find the address of controller listener %s in listeners or advertised.listeners: %w", p.node.listener, err)
		}
		p.voters = []Voter{{ID: p.node.nodeID, DirectoryID: p.ownDirID, Host: host, Port: port, Listener: p.node.listener}}
	}
	return nil
}

func voterAddress(s string) (host string, port uint16, err error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", 0, fmt.Errorf("%q is not host:port", s)
	}
	n, err := strconv.ParseUint(s[i+1:], 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%q has no port", s)
	}
	host = strings.Trim(s[:i], "[]")
	if host == "" {
		if host, err = os.Hostname(); err != nil {
			return "", 0, fmt.Errorf("cannot learn this machine's name: %w", err)
		}
	}
	return host, uint16(n), nil
}

// parseVoter reads id@host:port:directoryId.
func parseVoter(s, listener string) (Voter, error) {
	v := Voter{Listener: listener}
	idText, rest, ok := strings.Cut(s, "@")
	if !ok {
		return v, errors.New("No @ found in dynamic voter string.")
	}
	id, err := strconv.ParseInt(idText, 10, 32)
	if err != nil {
		return v, fmt.Errorf("Failed to parse node id in dynamic voter string: %s", idText)
	}
	if id < 0 {
		return v, fmt.Errorf("Invalid negative node id %d in dynamic voter string.", id)
	}
	v.ID = int32(id)
	if strings.HasPrefix(rest, "[") {
		end := strings.IndexByte(rest, ']')
		if end < 0 {
			return v, errors.New("Hostname began with left bracket, but no right bracket was found.")
		}
		v.Host, rest = rest[1:end], rest[end+1:]
		rest = strings.TrimPrefix(rest, ":")
	} else {
		v.Host, rest, ok = strings.Cut(rest, ":")
		if !ok {
			return v, errors.New("No colon following hostname could be found.")
		}
	}
	portText, dirText, ok := strings.Cut(rest, ":")
	if !ok {
		return v, errors.New("No colon following port could be found.")
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return v, fmt.Errorf("Failed to parse port in dynamic voter string: %s", portText)
	}
	v.Port = uint16(port)
	if v.DirectoryID, err = parseUUID(dirText); err != nil {
		return v, fmt.Errorf("Failed to parse directory ID in dynamic voter string: %w", err)
	}
	return v, nil
}

// findUnformatted fills todo. A directory that belongs to another cluster or
// node is refused before anything is written.
func (p *formatPlan) findUnformatted(ignore bool) (done bool, err error) {
	for _, path := range p.node.dirs {
		d := inspectDir(path)
		if d.meta == nil {
			if d.fault != "" && !strings.HasSuffix(d.fault, " does not exist") {
				return false, fmt.Errorf("I/O error trying to read log directory %s: %s", path, d.fault)
			}
			p.todo = append(p.todo, path)
			continue
		}
		name := filepath.Join(path, "meta.properties")
		if got, known := d.meta["cluster.id"]; known && got != p.clusterID {
			return false, fmt.Errorf("Invalid cluster.id in: %s. Expected %s, but read %s", name, p.clusterID, got)
		}
		if got := d.meta["node.id"]; got != "" && got != strconv.Itoa(int(p.node.nodeID)) {
			return false, fmt.Errorf("Stored node id %s doesn't match previous node id %d in: %s. If you moved your data, make sure your configured node id matches. If you intend to create a new node, you should remove all data in your data directories.", got, p.node.nodeID, name)
		}
		if !ignore {
			return false, fmt.Errorf("Log directory %s is already formatted. Use --ignore-formatted to ignore this directory and format the others.", path)
		}
	}
	return len(p.todo) == 0, nil
}

func (p *formatPlan) write(r *run) error {
	w := r.Storage
	if w.MetaProperties == nil || w.Bootstrap == nil || w.Voters == nil {
		return errors.New("this program was built without the part that formats directories")
	}
	r.println("Bootstrap metadata: " + p.bootstrap.text())
	for _, dir := range p.todo {
		kind, id, err := p.kindOf(dir)
		if err != nil {
			return err
		}
		r.printf("Formatting %s %s with metadata.version %s.\n", kind, dir, metadataName(p.bootstrap.MetadataVersion))
		if err := p.writeDir(w, dir, kind, id); err != nil {
			return fmt.Errorf("Error while writing directory %s: %w", dir, err)
		}
	}
	return nil
}

const voterDirectory = "dynamic metadata voter directory"

func (p *formatPlan) kindOf(dir string) (kind string, id [16]byte, err error) {
	if dir == p.node.metadataDir && p.dynamic && p.ownDirID != ([16]byte{}) {
		return voterDirectory, p.ownDirID, nil
	}
	id, err = newUUID()
	switch {
	case dir != p.node.metadataDir:
		return "data directory", id, err
	case p.dynamic:
		return "dynamic metadata directory", id, err
	}
	return "metadata directory", id, err
}

// writeDir leaves meta.properties for last: a directory is formatted once that
// is there, so an interrupted format starts again.
func (p *formatPlan) writeDir(w StorageWriter, dir, kind string, id [16]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := w.Bootstrap(dir, p.bootstrap); err != nil {
		return err
	}
	if kind == voterDirectory {
		if err := w.Voters(dir, p.kraft, p.voters); err != nil {
			return err
		}
	}
	return w.MetaProperties(dir, MetaProperties{ClusterID: p.clusterID, NodeID: p.node.nodeID, DirectoryID: id})
}

// The bounds of SCRAM iterations, as brokers enforce them.
const (
	minScramIterations = 4096
	maxScramIterations = 16384
)

// scramSaltBytes is as random as the key it protects.
const scramSaltBytes = 32

type scramMechanism struct {
	name string // with an underscore, as messages have it
	code int8
	hash func() hash.Hash
}

func scramMechanismOf(name string) (scramMechanism, bool) {
	switch name {
	case "SCRAM-SHA-256":
		return scramMechanism{"SCRAM_SHA_256", 1, sha256.New}, true
	case "SCRAM-SHA-512":
		return scramMechanism{"SCRAM_SHA_512", 2, sha512.New}, true
	}
	return scramMechanism{}, false
}

// parseScram reads MECHANISM=[name=alice,password=secret,...].
func parseScram(s string) (ScramCredential, error) {
	var c ScramCredential
	mechanism, config, ok := strings.Cut(s, "=")
	if !ok {
		return c, fmt.Errorf("Failed to find equals sign in SCRAM argument '%s'", s)
	}
	m, ok := scramMechanismOf(mechanism)
	if !ok {
		return c, fmt.Errorf("The add-scram mechanism %s is not supported.", mechanism)
	}
	if !strings.HasPrefix(config, "[") {
		return c, errors.New("Expected configuration string to start with [")
	}
	if !strings.HasSuffix(config, "]") {
		return c, errors.New("Expected configuration string to end with ]")
	}
	values := map[string]string{}
	for _, kv := range strings.Split(config[1:len(config)-1], ",") {
		k, v, _ := strings.Cut(kv, "=")
		v = strings.Trim(v, `"`)
		values[k] = v
	}
	return m.credential(values)
}

func (m scramMechanism) credential(values map[string]string) (ScramCredential, error) {
	c := ScramCredential{Mechanism: m.code, Iterations: minScramIterations}
	take := func(k string) (string, bool) { v, ok := values[k]; delete(values, k); return v, ok }
	var ok bool
	if c.User, ok = take("name"); !ok {
		return c, errors.New("You must supply 'name' to add-scram")
	}
	if text, ok := take("salt"); ok {
		salt, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return c, fmt.Errorf("Failed to decode given salt: %s", text)
		}
		c.Salt = salt
	}
	if text, ok := take("iterations"); ok {
		n, err := strconv.Atoi(text)
		if err != nil {
			return c, fmt.Errorf("Failed to parse iterations count: %s", text)
		}
		if n < minScramIterations {
			return c, fmt.Errorf("The 'iterations' value must be >= %d for add-scram using %s", minScramIterations, m.name)
		}
		if n > maxScramIterations {
			return c, fmt.Errorf("The 'iterations' value must be <= %d for add-scram using %s", maxScramIterations, m.name)
		}
		c.Iterations = int32(n)
	}
	password, hasPassword := take("password")
	salted, hasSalted := take("saltedpassword")
	switch {
	case hasPassword && hasSalted:
		return c, errors.New("You must only supply one of 'password' or 'saltedpassword' to add-scram")
	case !hasPassword && !hasSalted:
		return c, errors.New("You must supply one of 'password' or 'saltedpassword' to add-scram")
	case hasSalted && c.Salt == nil:
		return c, errors.New("You must supply 'salt' with 'saltedpassword' to add-scram")
	}
	if len(values) > 0 {
		return c, fmt.Errorf("Unknown SCRAM configurations: %s", strings.Join(sortedKeys(values), ", "))
	}
	return m.derive(c, password, salted, hasSalted)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// derive computes the stored keys of RFC 5802.
func (m scramMechanism) derive(c ScramCredential, password, salted string, hasSalted bool) (ScramCredential, error) {
	if c.Salt == nil {
		c.Salt = make([]byte, scramSaltBytes)
		if _, err := rand.Read(c.Salt); err != nil {
			return c, fmt.Errorf("cannot make a salt: %w", err)
		}
	}
	key, err := saltedPassword(m.hash, password, c.Salt, int(c.Iterations))
	if hasSalted {
		if key, err = base64.StdEncoding.DecodeString(salted); err != nil {
			return c, fmt.Errorf("Failed to decode given saltedPassword: %s", salted)
		}
	}
	if err != nil {
		return c, err
	}
	mac := func(text string) []byte {
		h := hmac.New(m.hash, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := m.hash()
	stored.Write(mac("Client Key"))
	c.StoredKey, c.ServerKey = stored.Sum(nil), mac("Server Key")
	return c, nil
}

func saltedPassword(h func() hash.Hash, password string, salt []byte, iterations int) ([]byte, error) {
	key, err := pbkdf2.Key(h, password, salt, iterations, h().Size())
	if err != nil {
		return nil, fmt.Errorf("cannot derive a key from the password: %w", err)
	}
	return key, nil
}
