package cli

import (
	"encoding/hex"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/internal/client"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// metaNode is a directory, or a file when children is nil, of the tree that the
// metadata shell shows.
type metaNode struct {
	children map[string]*metaNode
	text     string
}

func metaDir() *metaNode { return &metaNode{children: map[string]*metaNode{}} }

func (n *metaNode) dir(name string) *metaNode {
	if n.children[name] == nil {
		n.children[name] = metaDir()
	}
	return n.children[name]
}

func (n *metaNode) file(name, text string) { n.children[name] = &metaNode{text: text} }

func (n *metaNode) names() []string { return sortedKeys(n.children) }

// readMetadata builds the image of a metadata log or snapshot file.
func readMetadata(path string) (*meta.Image, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &client.FileError{Path: path, Cause: err}
	}
	replay := meta.NewReplay(meta.NewImage())
	for rest := data; len(rest) > 0; {
		at := len(data) - len(rest)
		b, next, err := record.Next(rest)
		if err == nil {
			err = b.Validate()
		}
		if err == nil && !b.IsControl() {
			err = replayBatch(replay, b)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read %s at position %d: %w", path, at, err)
		}
		rest = next
	}
	return replay.Image(), nil
}

func replayBatch(replay *meta.Replay, b record.Batch) error {
	var records []meta.Record
	err := b.ForEach(func(r record.Record) error {
		m, err := meta.Parse(r.Value)
		records = append(records, m)
		return err
	})
	if err != nil {
		return err
	}
	_, _, err = replay.Batch(records, b.LastOffset(), b.PartitionLeaderEpoch(), b.MaxTimestamp())
	return err
}

// metadataTree lays an image out as Kafka's shell does.
func metadataTree(img *meta.Image, version string) *metaNode {
	root := metaDir()
	image := root.dir("image")
	aclNodes(image.dir("acls").dir("byId"), img)
	quotaNodes(image.dir("clientQuotas"), img)
	clusterNodes(image.dir("cluster"), img)
	configNodes(image.dir("configs"), img)
	tokens := image.dir("delegationToken")
	for _, t := range img.DelegationTokens() {
		tokens.dir("tokens").file(t.TokenID, fmt.Sprintf("TokenInformation(owner=%s, requester=%s, renewers=[%s], issueTimestamp=%d, maxTimestamp=%d, expiryTimestamp=%d)",
			t.Owner, t.Requester, strings.Join(t.Renewers, ", "), t.IssueTimestamp, t.MaxTimestamp, t.ExpirationTimestamp))
	}
	featureNodes(image.dir("features"), img)
	image.dir("producerIds").file("nextProducerId", strconv.FormatInt(img.NextProducerID(), 10))
	image.file("provenance", fmt.Sprintf("offset %d, epoch %d, time %s[UTC]", img.Offset(), img.Epoch(), time.UnixMilli(img.TimestampMs()).UTC().Format("2006-01-02T15:04:05.000Z")))
	scramNodes(image.dir("scram"), img)
	topicNodes(image.dir("topics"), img)
	root.dir("local").file("version", version)
	root.dir("local").file("commitId", version)
	return root
}

func aclNodes(n *metaNode, img *meta.Image) {
	for _, a := range img.ACLs() {
		n.file(uuidString(a.ID), fmt.Sprintf("StandardAcl[resourceType=%s, resourceName=%s, patternType=%s, principal=%s, host=%s, operation=%s, permissionType=%s]",
			resourceTypeName(kmsg.ACLResourceType(a.ResourceType)), a.ResourceName, patternName(kmsg.ACLResourcePatternType(a.PatternType)), a.Principal, a.Host,
			operationName(kmsg.ACLOperation(a.Operation)), permissionName(kmsg.ACLPermissionType(a.PermissionType))))
	}
}

func quotaNodes(n *metaNode, img *meta.Image) {
	for _, q := range img.Quotas() {
		names := map[string]string{}
		for _, e := range q.Entity {
			if e.EntityName != nil {
				names[e.EntityType] = strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(*e.EntityName)
			} else {
				names[e.EntityType] = ""
			}
		}
		var parts []string
		for _, typ := range []string{"client-id", "ip", "user"} {
			if name, ok := names[typ]; ok {
				if name == "" {
					continue
				}
				label := map[string]string{"client-id": "clientId"}[typ]
				if label == "" {
					label = typ
				}
				parts = append(parts, label+"("+name+")")
			}
		}
		name := strings.Join(parts, "_")
		d := n.dir(name)
		for k, v := range q.Values {
			d.file(k, javaDouble(v, 64))
		}
	}
}

func endpointsText(eps []meta.Endpoint) string {
	protocols := []string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}
	var out []string
	for _, e := range eps {
		p := "UNKNOWN"
		if e.SecurityProtocol >= 0 && int(e.SecurityProtocol) < len(protocols) {
			p = protocols[e.SecurityProtocol]
		}
		out = append(out, fmt.Sprintf("Endpoint(listenerName='%s', securityProtocol=%s, host='%s', port=%d)", e.Name, p, e.Host, e.Port))
	}
	sort.Strings(out)
	return "[" + strings.Join(out, ", ") + "]"
}

func rangesText(fs []meta.FeatureRange) string {
	var out []string
	for _, f := range fs {
		out = append(out, fmt.Sprintf("%s: %s", f.Name, rangeText(f.MinSupportedVersion, f.MaxSupportedVersion)))
	}
	sort.Strings(out)
	return "{" + strings.Join(out, ", ") + "}"
}

func rangeText(low, high int16) string {
	if low == high {
		return strconv.Itoa(int(low))
	}
	return fmt.Sprintf("%d-%d", low, high)
}

func uuidsText(ids []meta.UUID) string {
	var out []string
	for _, id := range ids {
		out = append(out, uuidString(id))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func clusterNodes(n *metaNode, img *meta.Image) {
	brokers, controllers := n.dir("brokers"), n.dir("controllers")
	for _, b := range img.Brokers() {
		rack := "Optional.empty"
		if b.Rack != nil {
			rack = "Optional[" + *b.Rack + "]"
		}
		brokers.file(strconv.Itoa(int(b.ID)), fmt.Sprintf("BrokerRegistration(id=%d, epoch=%d, incarnationId=%s, listeners=%s, supportedFeatures=%s, rack=%s, fenced=%t, inControlledShutdown=%t, isMigratingZkBroker=%t, directories=%s, cordonedDirectories=%s)",
			b.ID, b.Epoch, uuidString(b.IncarnationID), endpointsText(b.Listeners), rangesText(b.Features), rack, b.Fenced, b.InControlledShutdown, b.IsMigratingZkBroker, uuidsText(b.LogDirs), uuidsText(b.CordonedLogDirs)))
	}
	for _, c := range img.Controllers() {
		controllers.file(strconv.Itoa(int(c.ID)), fmt.Sprintf("ControllerRegistration(id=%d, incarnationId=%s, zkMigrationReady=%t, listeners=%s, supportedFeatures=%s)",
			c.ID, uuidString(c.IncarnationID), c.ZkMigrationReady, endpointsText(c.Listeners), rangesText(c.Features)))
	}
}

func configNodes(n *metaNode, img *meta.Image) {
	types := map[int8]string{2: "TOPIC", 4: "BROKER", 8: "BROKER_LOGGER", 16: "CLIENT_METRICS", 32: "GROUP"}
	for res, configs := range img.Configs() {
		name := types[res.Type]
		if res.Name != "" {
			name += ":" + res.Name
		}
		d := n.dir(name)
		for k, v := range configs {
			d.file(k, v)
		}
	}
}

func featureNodes(n *metaNode, img *meta.Image) {
	metadata := "Optional.empty"
	for name, level := range img.Features() {
		if name == metadataVersionFeature {
			metadata = "Optional[" + metadataName(level) + "]"
			continue
		}
		n.file("finalized_"+name, strconv.Itoa(int(level)))
	}
	n.file("metadataVersion", metadata)
}

func scramNodes(n *metaNode, img *meta.Image) {
	n.dir("SCRAM-SHA-256")
	n.dir("SCRAM-SHA-512")
	for _, c := range img.ScramCredentials() {
		n.dir(scramName(c.Mechanism)).file(c.User, fmt.Sprintf("ScramCredentialData(salt=%s, storedKey=%s, serverKey=%s, iterations=%d)",
			hex.EncodeToString(c.Salt), hex.EncodeToString(c.StoredKey), hex.EncodeToString(c.ServerKey), c.Iterations))
	}
}

func topicNodes(n *metaNode, img *meta.Image) {
	byID, byName := n.dir("byId"), n.dir("byName")
	img.Topics(func(t *meta.Topic) bool {
		d := metaDir()
		d.file("id", uuidString(t.ID))
		d.file("name", t.Name)
		for i, p := range t.Partitions {
			if p != nil {
				d.file(strconv.Itoa(i), partitionText(p))
			}
		}
		byID.children[uuidString(t.ID)], byName.children[t.Name] = d, d
		return true
	})
}

func partitionText(p *meta.Partition) string {
	recovery := "RECOVERED"
	if p.RecoveryState == 1 {
		recovery = "RECOVERING"
	}
	return fmt.Sprintf("PartitionRegistration(replicas=[%s], directories=%s, isr=[%s], removingReplicas=[%s], addingReplicas=[%s], elr=[%s], lastKnownElr=[%s], leader=%d, leaderRecoveryState=%s, leaderEpoch=%d, partitionEpoch=%d)",
		joinInts(p.Replicas, ", "), uuidsText(p.Directories), joinInts(p.ISR, ", "), joinInts(p.Removing, ", "), joinInts(p.Adding, ", "), joinInts(p.ELR, ", "), joinInts(p.LastKnownELR, ", "),
		p.Leader, recovery, p.LeaderEpoch, p.PartitionEpoch)
}
