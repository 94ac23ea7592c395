package controller

import (
	"math"
	"net/netip"
	"slices"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Parts of what a quota is for.
const (
	entityUser     = "user"
	entityClientID = "client-id"
	entityIP       = "ip"
)

func (b *batch) alterClientQuotas(req *kmsg.AlterClientQuotasRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.AlterClientQuotasResponse)
	for _, e := range req.Entries {
		out := kmsg.NewAlterClientQuotasResponseEntry()
		var entity []meta.QuotaEntity
		for _, part := range e.Entity {
			entity = append(entity, meta.QuotaEntity{EntityType: part.Type, EntityName: part.Name})
			outPart := kmsg.NewAlterClientQuotasResponseEntryEntity()
			outPart.Type, outPart.Name = part.Type, part.Name
			out.Entity = append(out.Entity, outPart)
		}
		out.ErrorCode, out.ErrorMessage = b.alterQuota(entity, e.Ops).outcome()
		resp.Entries = append(resp.Entries, out)
	}
	if req.ValidateOnly {
		b.dry()
	}
	return resp
}

func (b *batch) alterQuota(entity []meta.QuotaEntity, ops []kmsg.AlterClientQuotasRequestEntryOp) *Error {
	keys, err := quotaKeys(entity)
	if err != nil {
		return err
	}
	now := map[string]float64{}
	if q := b.img.Quota(entity); q != nil {
		now = q.Values
	}
	var records []meta.Record
	seen := map[string]bool{}
	for _, op := range ops {
		if !slices.Contains(keys, op.Key) {
			return refuse(kerr.InvalidRequest, "Invalid configuration key %s", op.Key)
		}
		if seen[op.Key] {
			return refuse(kerr.InvalidRequest, "Quota %s is given more than once", op.Key)
		}
		seen[op.Key] = true
		was, set := now[op.Key]
		if op.Remove {
			if set {
				records = append(records, &meta.ClientQuotaRecord{Entity: entity, Key: op.Key, Remove: true})
			}
			continue
		}
		if err := checkQuota(op.Key, op.Value); err != nil {
			return err
		}
		if !set || was != op.Value {
			records = append(records, &meta.ClientQuotaRecord{Entity: entity, Key: op.Key, Value: op.Value})
		}
	}
	b.add(records...)
	return nil
}

// quotaKeys are the quotas that an entity may have, if it is one.
func quotaKeys(entity []meta.QuotaEntity) ([]string, *Error) {
	if len(entity) == 0 {
		return nil, refuse(kerr.InvalidRequest, "Invalid empty client quota entity")
	}
	has := map[string]bool{}
	for _, e := range entity {
		if e.EntityType != entityUser && e.EntityType != entityClientID && e.EntityType != entityIP {
			return nil, refuse(kerr.InvalidRequest, "Unhandled client quota entity type: %s", e.EntityType)
		}
		if has[e.EntityType] {
			return nil, refuse(kerr.InvalidRequest, "Invalid client quota entity, contains duplicate entity type: %s", e.EntityType)
		}
		has[e.EntityType] = true
		if e.EntityName != nil && *e.EntityName == "" {
			return nil, refuse(kerr.InvalidRequest, "Empty %s not supported", e.EntityType)
		}
	}
	if has[entityIP] {
		if len(entity) > 1 {
			return nil, refuse(kerr.InvalidRequest, "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId")
		}
		if name := entity[0].EntityName; name != nil {
			if _, err := netip.ParseAddr(*name); err != nil {
				return nil, refuse(kerr.InvalidRequest, "%s is not a valid IP or resolvable host.", *name)
			}
		}
		return []string{"connection_creation_rate"}, nil
	}
	return []string{"producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"}, nil
}

func checkQuota(key string, v float64) *Error {
	if math.IsNaN(v) || math.IsInf(v, 0) || v <= 0 {
		return refuse(kerr.InvalidRequest, "Quota %s must be greater than 0", key)
	}
	if key == "request_percentage" || key == "controller_mutation_rate" {
		return nil
	}
	whole := math.Trunc(v)
	if math.Abs(v-whole) > 1e-6 {
		return refuse(kerr.InvalidRequest, "%s cannot be a fractional value.", key)
	}
	if limit := map[bool]float64{true: math.MaxInt32, false: math.MaxInt64}[key == "connection_creation_rate"]; v > limit {
		return refuse(kerr.InvalidRequest, "Proposed value for %s is too large.", key)
	}
	return nil
}
