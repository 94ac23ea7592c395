package controller

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const minInsyncReplicas = "min.insync.replicas"

func (b *batch) incrementalAlterConfigs(req *kmsg.IncrementalAlterConfigsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	resources := make([]meta.ConfigResource, len(req.Resources))
	for i, r := range req.Resources {
		resources[i] = meta.ConfigResource{Type: int8(r.ResourceType), Name: r.ResourceName}
	}
	for i, err := range b.alterEach(resources, func(i int) *Error { return b.alterSome(resources[i], req.Resources[i].Configs) }) {
		out := kmsg.NewIncrementalAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = req.Resources[i].ResourceType, resources[i].Name
		out.ErrorCode, out.ErrorMessage = err.outcome()
		resp.Resources = append(resp.Resources, out)
	}
	if req.ValidateOnly {
		b.dry()
	}
	return resp
}

func (b *batch) alterConfigs(req *kmsg.AlterConfigsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
	resources := make([]meta.ConfigResource, len(req.Resources))
	for i, r := range req.Resources {
		resources[i] = meta.ConfigResource{Type: int8(r.ResourceType), Name: r.ResourceName}
	}
	for i, err := range b.alterEach(resources, func(i int) *Error { return b.replaceAll(resources[i], req.Resources[i].Configs) }) {
		out := kmsg.NewAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = req.Resources[i].ResourceType, resources[i].Name
		out.ErrorCode, out.ErrorMessage = err.outcome()
		resp.Resources = append(resp.Resources, out)
	}
	if req.ValidateOnly {
		b.dry()
	}
	return resp
}

// alterEach alters those of the resources that exist and are named once; the answer holds an error, or nil, for each.
func (b *batch) alterEach(resources []meta.ConfigResource, alter func(i int) *Error) []*Error {
	count := map[meta.ConfigResource]int{}
	for _, res := range resources {
		count[res]++
	}
	out := make([]*Error, len(resources))
	for i, res := range resources {
		if out[i] = b.checkResource(res, count[res]); out[i] == nil {
			out[i] = alter(i)
		}
	}
	return out
}

// checkResource says whether there is such a thing to configure.
func (b *batch) checkResource(res meta.ConfigResource, count int) *Error {
	if count > 1 {
		return refuse(kerr.InvalidRequest, "Each resource must appear at most once.")
	}
	switch res.Type {
	case meta.ResourceTopic:
		if res.Name == "" {
			return refuse(kerr.InvalidRequest, "Default topic resources are not allowed.")
		}
		if b.img.Topic(res.Name) == nil {
			return refuse(kerr.UnknownTopicOrPartition, "The topic '%s' does not exist.", res.Name)
		}
	case meta.ResourceBroker:
		if res.Name == "" {
			return nil
		}
		id, err := strconv.ParseInt(res.Name, 10, 32)
		if err != nil || id < 0 {
			return refuse(kerr.InvalidRequest, "Node id must be an integer, but it is: %s", res.Name)
		}
		if b.img.Broker(int32(id)) == nil {
			return refuse(kerr.BrokerIDNotRegistered, "No broker with id %d found.", id)
		}
	case meta.ResourceGroup:
		if res.Name == "" {
			return refuse(kerr.InvalidRequest, "Default group resources are not allowed.")
		}
	case meta.ResourceClientMetrics:
		if res.Name == "" {
			return refuse(kerr.InvalidRequest, "Subscription name can't be empty")
		}
	default:
		return refuse(kerr.InvalidRequest, "Unexpected resource type %d.", res.Type)
	}
	return nil
}

// alterSome applies one resource's operations, all or none.
func (b *batch) alterSome(res meta.ConfigResource, ops []kmsg.IncrementalAlterConfigsRequestResourceConfig) *Error {
	values := maps.Clone(b.img.Config(res.Type, res.Name))
	if values == nil {
		values = map[string]string{}
	}
	seen := map[string]bool{}
	var nulls []string
	for _, op := range ops {
		if seen[op.Name] {
			return refuse(kerr.InvalidRequest, "Error due to duplicate config keys")
		}
		seen[op.Name] = true
		if op.Value == nil && op.Op != kmsg.IncrementalAlterConfigOpDelete {
			nulls = append(nulls, op.Name)
		}
	}
	if len(nulls) > 0 {
		return refuse(kerr.InvalidRequest, "Null value not supported for : %s", strings.Join(nulls, ", "))
	}
	for _, op := range ops {
		switch op.Op {
		case kmsg.IncrementalAlterConfigOpSet:
			values[op.Name] = *op.Value
		case kmsg.IncrementalAlterConfigOpDelete:
			delete(values, op.Name)
		case kmsg.IncrementalAlterConfigOpAppend, kmsg.IncrementalAlterConfigOpSubtract:
			v, err := b.editList(res, op, values)
			if err != nil {
				return err
			}
			values[op.Name] = v
		default:
			return refuse(kerr.InvalidRequest, "Unknown alter config operation %d for %s", op.Op, op.Name)
		}
	}
	return b.setConfigs(res, values)
}

// editList is a list after values were appended to it or taken from it; where it is not set the default is what counts.
func (b *batch) editList(res meta.ConfigResource, op kmsg.IncrementalAlterConfigsRequestResourceConfig, values map[string]string) (string, *Error) {
	verb := "APPEND"
	if op.Op == kmsg.IncrementalAlterConfigOpSubtract {
		verb = "SUBTRACT"
	}
	if b.cfg.Configs != nil && !b.cfg.Configs.IsList(res.Type, op.Name) {
		return "", refuse(kerr.InvalidConfig, "Can't %s to key %s because its type is not LIST.", verb, op.Name)
	}
	old, ok := values[op.Name]
	if !ok && b.cfg.Configs != nil {
		old, _ = b.cfg.Configs.Default(res.Type, op.Name)
	}
	list := splitList(old)
	for _, v := range splitList(*op.Value) {
		i := slices.Index(list, v)
		switch {
		case verb == "APPEND" && i < 0:
			list = append(list, v)
		case verb == "SUBTRACT" && i >= 0:
			list = slices.Delete(list, i, i+1)
		}
	}
	return strings.Join(list, ","), nil
}

func splitList(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// replaceAll makes the given configs the only ones of a resource.
func (b *batch) replaceAll(res meta.ConfigResource, configs []kmsg.AlterConfigsRequestResourceConfig) *Error {
	values := map[string]string{}
	for _, c := range configs {
		if _, twice := values[c.Name]; twice {
			return refuse(kerr.InvalidRequest, "Error due to duplicate config keys")
		}
		if c.Value == nil {
			return refuse(kerr.InvalidRequest, "Null value not supported for : %s", c.Name)
		}
		values[c.Name] = *c.Value
	}
	if b.img.ELREnabled() && res == (meta.ConfigResource{Type: meta.ResourceBroker}) {
		// The cluster-wide value is the controller's own and stays when a user replaces the others.
		if v, ok := b.img.Config(res.Type, res.Name)[minInsyncReplicas]; ok && values[minInsyncReplicas] == "" {
			values[minInsyncReplicas] = v
		}
	}
	return b.setConfigs(res, values)
}

// setConfigs writes what differs between the configs of now and those that are to be.
func (b *batch) setConfigs(res meta.ConfigResource, values map[string]string) *Error {
	old := b.img.Config(res.Type, res.Name)
	if err := b.checkELRConfig(res, old, values); err != nil {
		return err
	}
	if err := b.validateConfigs(res, values); err != nil {
		return err
	}
	var records []meta.Record
	for _, k := range slices.Sorted(maps.Keys(old)) {
		if _, stays := values[k]; !stays {
			records = append(records, &meta.ConfigRecord{ResourceType: res.Type, ResourceName: res.Name, Name: k})
		}
	}
	for _, k := range slices.Sorted(maps.Keys(values)) {
		v := values[k]
		if was, ok := old[k]; !ok || was != v {
			records = append(records, &meta.ConfigRecord{ResourceType: res.Type, ResourceName: res.Name, Name: k, Value: &v})
		}
	}
	if b.img.ELREnabled() && old[minInsyncReplicas] != values[minInsyncReplicas] {
		// Who was eligible under the old minimum need not be under the new one.
		records = append(records, &meta.ClearELRRecord{TopicName: res.Name})
	}
	b.add(records...)
	return nil
}

// checkELRConfig guards the one config that elections rest on.
func (b *batch) checkELRConfig(res meta.ConfigResource, old, values map[string]string) *Error {
	if !b.img.ELREnabled() || res.Type != meta.ResourceBroker || old[minInsyncReplicas] == values[minInsyncReplicas] {
		return nil
	}
	if res.Name != "" {
		return refuse(kerr.InvalidConfig, "Broker-level min.insync.replicas cannot be altered while ELR is enabled.")
	}
	if _, stays := values[minInsyncReplicas]; !stays {
		return refuse(kerr.InvalidConfig, "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.")
	}
	return nil
}

func (b *batch) validateConfigs(res meta.ConfigResource, values map[string]string) *Error {
	if b.cfg.Configs == nil {
		return nil
	}
	if err := b.cfg.Configs.Validate(res, values); err != nil {
		return asError(err, kerr.InvalidConfig)
	}
	return nil
}
