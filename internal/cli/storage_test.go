package cli

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recordingStorage writes meta.properties as files and remembers the rest.
type recordingStorage struct {
	bootstraps []string
	voters     []string
}

func (s *recordingStorage) writer() StorageWriter {
	return StorageWriter{
		MetaProperties: func(dir string, m MetaProperties) error {
			text := fmt.Sprintf("version=1\ncluster.id=%s\nnode.id=%d\ndirectory.id=%s\n", m.ClusterID, m.NodeID, uuidString(m.DirectoryID))
			return os.WriteFile(filepath.Join(dir, "meta.properties"), []byte(text), 0o644)
		},
		Bootstrap: func(dir string, b BootstrapMetadata) error {
			s.bootstraps = append(s.bootstraps, fmt.Sprintf("%s %d %v %d", filepath.Base(dir), b.MetadataVersion, b.Features, len(b.Scram)))
			return nil
		},
		Voters: func(dir string, kraft int16, v []Voter) error {
			s.voters = append(s.voters, fmt.Sprintf("%s %d %d@%s:%d %s", filepath.Base(dir), kraft, v[0].ID, v[0].Host, v[0].Port, v[0].Listener))
			return nil
		},
	}
}

const (
	staticNode  = "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@localhost:9093\nlisteners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\ncontroller.listener.names=CONTROLLER\nlog.dirs=%s/s1\n"
	dynamicNode = "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.bootstrap.servers=localhost:9093\nlisteners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\ncontroller.listener.names=CONTROLLER\nlog.dirs=%[1]s/d1,%[1]s/d2\n"
	brokerNode  = "process.roles=broker\nnode.id=2\ncontroller.quorum.bootstrap.servers=localhost:9093\nlisteners=PLAINTEXT://localhost:9092\ncontroller.listener.names=CONTROLLER\nlog.dirs=%s/b1\n"

	bootstrapLine = "Bootstrap metadata: BootstrapMetadata(records=[ApiMessageAndVersion(FeatureLevelRecord(name='metadata.version', featureLevel=30) at version 0), ApiMessageAndVersion(FeatureLevelRecord(name='eligible.leader.replicas.version', featureLevel=1) at version 0), ApiMessageAndVersion(FeatureLevelRecord(name='group.version', featureLevel=1) at version 0), ApiMessageAndVersion(FeatureLevelRecord(name='share.version', featureLevel=1) at version 0), ApiMessageAndVersion(FeatureLevelRecord(name='streams.version', featureLevel=1) at version 0), ApiMessageAndVersion(FeatureLevelRecord(name='transaction.version', featureLevel=2) at version 0)], metadataVersionLevel=30, source=format command)\n"
)

func TestFormatOfAStaticQuorum(t *testing.T) {
	s := offline(t)
	rec := &recordingStorage{}
	s.storage = rec.writer()
	s.file("s.properties", fmt.Sprintf(staticNode, s.dir))
	s.expect("kafka-storage format -t 4L6g3nShT-eMCtK--X86sw -c $W/s.properties", "", bootstrapLine+"Formatting metadata directory "+s.dir+"/s1 with metadata.version 4.3-IV0.\n", 0)
	s.complains("kafka-storage format -t 4L6g3nShT-eMCtK--X86sw -c $W/s.properties", 1, "is already formatted. Use --ignore-formatted")
	s.expect("kafka-storage format --cluster-id=4L6g3nShT-eMCtK--X86sw --conf $W/s.properties -g", "", "All of the log directories are already formatted.\n", 0)
	s.complains("kafka-storage format -t other -c $W/s.properties -g", 1, "Expected other, but read 4L6g3nShT-eMCtK--X86sw")
	o := s.run("kafka-storage info -c $W/s.properties", "")
	if !strings.HasPrefix(o.stdout, "Found log directory:\n  "+s.dir+"/s1\n\nFound metadata: {cluster.id=4L6g3nShT-eMCtK--X86sw, directory.id=") || !strings.HasSuffix(o.stdout, ", node.id=1, version=1}\n\n") || o.code != 0 {
		t.Errorf("info:\n%s", o.stdout)
	}
	s.complains("kafka-storage format -t x -c $W/s.properties --standalone -g", 1, "You cannot specify controller.quorum.voters and format the node with")
	if len(rec.voters) != 0 || len(rec.bootstraps) != 1 {
		t.Errorf("wrote %v and voters %v", rec.bootstraps, rec.voters)
	}
}

func TestFormatOfADynamicQuorum(t *testing.T) {
	s := offline(t)
	rec := &recordingStorage{}
	s.storage = rec.writer()
	s.file("dyn.properties", fmt.Sprintf(dynamicNode, s.dir))
	s.complains("kafka-storage format -t x -c $W/dyn.properties", 1, "you must specify one of the following: --standalone")
	s.complains("kafka-storage format -t x -c $W/dyn.properties -s -N", 1, "with argument --standalone/-s")
	s.complains("kafka-storage format -t x -c $W/dyn.properties -I nonsense", 1, "No @ found in dynamic voter string.")
	s.complains("kafka-storage format -t x -c $W/dyn.properties -I 1@localhost:9093", 1, "No colon following port could be found.")
	s.expect("kafka-storage format -t x -c $W/dyn.properties --standalone", "", bootstrapLine+
		"Formatting dynamic metadata voter directory "+s.dir+"/d1 with metadata.version 4.3-IV0.\n"+
		"Formatting data directory "+s.dir+"/d2 with metadata.version 4.3-IV0.\n", 0)
	if len(rec.voters) != 1 || rec.voters[0] != "d1 1 1@localhost:9093 CONTROLLER" || len(rec.bootstraps) != 2 {
		t.Errorf("wrote %v and voters %v", rec.bootstraps, rec.voters)
	}
	if err := os.RemoveAll(filepath.Join(s.dir, "d2")); err != nil {
		t.Fatal(err)
	}
	o := s.run("kafka-storage info -c $W/dyn.properties", "")
	if o.code != 1 || !strings.Contains(o.stdout, "Found problem:\n  "+s.dir+"/d2 does not exist\n") {
		t.Errorf("info: exit %d\n%s", o.code, o.stdout)
	}
}

func TestFormatRefusals(t *testing.T) {
	s := offline(t)
	s.storage = (&recordingStorage{}).writer()
	s.file("b.properties", fmt.Sprintf(brokerNode, s.dir))
	s.file("zk.properties", "broker.id=1\nzookeeper.connect=localhost:2181\n")
	for flags, words := range map[string]string{
		"--standalone":                       "You can only use --standalone on a controller.",
		"--release-version 1.0":              "Unknown metadata.version '1.0'. Supported metadata.version are: 3.3-IV3, 3.4-IV0,",
		"--feature no.such=1":                "Unsupported feature: no.such. Supported features are: eligible.leader.replicas.version, group.version, kraft.version, share.version, streams.version, transaction.version",
		"--feature group.version=9":          "No feature:group.version with feature level 9",
		"--feature group.version":            "Can't parse feature=level string group.version: equals sign not found.",
		"--feature kraft.version=0":          "Cannot set kraft.version to 0",
		"--add-scram MD5=[name=a]":           "The add-scram mechanism MD5 is not supported.",
		"--add-scram foo":                    "Failed to find equals sign in SCRAM argument 'foo'",
		"--add-scram SCRAM-SHA-256=name":     "Expected configuration string to start with [",
		"--add-scram SCRAM-SHA-256=[name=a]": "You must supply one of 'password' or 'saltedpassword' to add-scram",
		"--add-scram SCRAM-SHA-256=[name=a,password=p,iterations=100]":           "The 'iterations' value must be >= 4096 for add-scram using SCRAM_SHA_256",
		"--add-scram SCRAM-SHA-256=[name=a,password=p,foo=1]":                    "Unknown SCRAM configurations: foo",
		"--release-version 3.3-IV3 --feature eligible.leader.replicas.version=1": "eligible.leader.replicas.version could not be set to 1 because it depends on metadata.version level 23",
	} {
		s.complains("kafka-storage format -t x -c $W/b.properties "+flags, 1, words)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "b1")); !os.IsNotExist(err) {
		t.Error("a refused format left a directory behind")
	}
	s.complains("kafka-storage info -c $W/zk.properties", 1, `Missing required configuration "process.roles" which has no default value.`)
	s.complains("kafka-storage format -c x", 1, "kafka-storage: error: argument --cluster-id/-t is required")
	s.complains("kafka-storage", 1, "kafka-storage: error: too few arguments")
	s.complains("kafka-storage nonsense", 1, "invalid  choice:  'nonsense'")
}

// The credential of RFC 7677's example: user "user", password "pencil".
func TestScramCredentialOfTheStandardsExample(t *testing.T) {
	c, err := parseScram("SCRAM-SHA-256=[name=user,password=pencil,iterations=4096,salt=W22ZaJ0SNY7soEsUEjb6gQ==]")
	if err != nil {
		t.Fatal(err)
	}
	if c.User != "user" || c.Iterations != 4096 || c.Mechanism != 1 {
		t.Errorf("%+v", c)
	}
	// The exchange of the example, whose server signature the standard gives.
	const auth = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	mac := hmac.New(sha256.New, c.ServerKey)
	mac.Write([]byte(auth))
	if got := base64.StdEncoding.EncodeToString(mac.Sum(nil)); got != "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" {
		t.Errorf("the server's signature is %s", got)
	}
}

func TestVersionMapping(t *testing.T) {
	s := offline(t)
	s.expect("kafka-storage version-mapping", "", "metadata.version=30 (4.3-IV0)\nkraft.version=1\ntransaction.version=2\ngroup.version=1\neligible.leader.replicas.version=1\nshare.version=1\nstreams.version=1\n", 0)
	s.expect("kafka-storage version-mapping -r 4.0", "", "metadata.version=25 (4.0)\nkraft.version=1\ntransaction.version=2\ngroup.version=1\neligible.leader.replicas.version=0\nshare.version=0\nstreams.version=0\n", 0)
	s.expect("kafka-storage feature-dependencies --feature eligible.leader.replicas.version=1 --feature streams.version=1", "", "eligible.leader.replicas.version=1 requires:\n    metadata.version=23 (4.0-IV1)\nstreams.version=1 has no dependencies.\n", 0)
	s.complains("kafka-storage feature-dependencies --feature transaction.version=77", 1, "Feature level 77 is not supported for feature transaction.version")
	if o := s.run("kafka-storage random-uuid", ""); len(o.stdout) != 23 || o.code != 0 {
		t.Errorf("random-uuid: %q", o.stdout)
	}
}
