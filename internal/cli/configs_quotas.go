package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// quotaType is the protocol's name of an entity type.
func quotaType(typ string) string {
	return map[string]string{"users": "user", "clients": "client-id", "ips": "ip"}[typ]
}

func quotaLabel(typ string) string {
	return map[string]string{"user": "user-principal", "client-id": "client-id", "ip": "ip"}[typ]
}

// describeQuotas prints quotas, and for users their SCRAM credentials.
func (t *configsTool) describeQuotas() error {
	req := kmsg.NewPtrDescribeClientQuotasRequest()
	req.Strict = true
	for _, e := range t.entities {
		c := kmsg.NewDescribeClientQuotasRequestComponent()
		c.EntityType = quotaType(e.typ)
		switch {
		case e.named && e.name != "":
			c.MatchType, c.Match = kmsg.QuotasMatchTypeExact, kmsg.StringPtr(e.name)
		case e.isDefault || e.named:
			c.MatchType = kmsg.QuotasMatchTypeDefault
		default:
			c.MatchType = kmsg.QuotasMatchTypeAny
		}
		req.Components = append(req.Components, c)
	}
	entries, err := t.quotas(req)
	if err != nil {
		return err
	}
	for _, en := range entries {
		if t.json {
			t.jsonQuota(en)
			continue
		}
		t.printf("Quota configs for %s are %s\n", quotaEntity(en.Entity), quotaValues(en.Values))
	}
	if len(t.entities) == 1 && t.entities[0].typ == "users" && !t.entities[0].isDefault {
		return t.describeScram(t.entities[0])
	}
	return nil
}

func (t *configsTool) quotas(req *kmsg.DescribeClientQuotasRequest) ([]kmsg.DescribeClientQuotasResponseEntry, error) {
	resp, err := t.c.Any(t.ctx, "describeClientQuotas", req)
	if err != nil {
		return nil, err
	}
	qr := resp.(*kmsg.DescribeClientQuotasResponse)
	return qr.Entries, client.CodeError(qr.ErrorCode, qr.ErrorMessage)
}

// quotaEntity prints `user-principal 'alice', the default client-id`.
func quotaEntity(parts []kmsg.DescribeClientQuotasResponseEntryEntity) string {
	parts = append([]kmsg.DescribeClientQuotasResponseEntryEntity(nil), parts...)
	sort.Slice(parts, func(i, j int) bool { return parts[i].Type > parts[j].Type })
	var out []string
	for _, p := range parts {
		if p.Name == nil {
			out = append(out, "the default "+quotaLabel(p.Type))
			continue
		}
		out = append(out, fmt.Sprintf("%s '%s'", quotaLabel(p.Type), *p.Name))
	}
	return strings.Join(out, ", ")
}

// jsonQuota writes a row for each value of an entity.
func (t *configsTool) jsonQuota(en kmsg.DescribeClientQuotasResponseEntry) {
	for _, v := range en.Values {
		var pairs []any
		for _, p := range en.Entity {
			pairs = append(pairs, p.Type, p.Name)
		}
		t.row(append(pairs, "name", v.Key, "value", v.Value)...)
	}
}

func quotaValues(values []kmsg.DescribeClientQuotasResponseEntryValue) string {
	var keys []string
	byKey := map[string]float64{}
	for _, v := range values {
		keys = append(keys, v.Key)
		byKey[v.Key] = v.Value
	}
	var out []string
	for _, k := range sizedMapOrder(keys) {
		out = append(out, k+"="+javaDouble(byKey[k], 64))
	}
	return strings.Join(out, ", ")
}

func (t *configsTool) describeScram(e entity) error {
	req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
	if e.named {
		u := kmsg.NewDescribeUserSCRAMCredentialsRequestUser()
		u.Name = e.name
		req.Users = append(req.Users, u)
	}
	resp, err := t.c.Any(t.ctx, "describeUserScramCredentials", req)
	if isUnsupported(err) {
		return nil
	}
	if err != nil {
		return err
	}
	sr := resp.(*kmsg.DescribeUserSCRAMCredentialsResponse)
	if err := client.CodeError(sr.ErrorCode, sr.ErrorMessage); err != nil {
		return err
	}
	for _, res := range sr.Results {
		const resourceNotFound = 91
		if res.ErrorCode == resourceNotFound {
			continue
		}
		if err := client.CodeError(res.ErrorCode, res.ErrorMessage); err != nil {
			return err
		}
		var infos []string
		for _, ci := range res.CredentialInfos {
			infos = append(infos, fmt.Sprintf("%s=iterations=%d", scramName(ci.Mechanism), ci.Iterations))
		}
		if t.json {
			for _, ci := range res.CredentialInfos {
				t.row("user", res.User, "name", scramName(ci.Mechanism), "iterations", ci.Iterations)
			}
			continue
		}
		t.printf("SCRAM credential configs for user-principal '%s' are %s\n", res.User, strings.Join(infos, ", "))
	}
	return nil
}

func scramName(m int8) string {
	switch m {
	case 1:
		return "SCRAM-SHA-256"
	case 2:
		return "SCRAM-SHA-512"
	}
	return "UNKNOWN"
}

func quotaKeys() []string {
	return []string{"producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"}
}

// unexpected returns those of keys that are neither in known nor SCRAM mechanisms
// where those are allowed.
func unexpected(keys, known []string, scram bool) []string {
	var out []string
	for _, k := range keys {
		if _, isScram := scramMechanismOf(k); !contains(known, k) && !(scram && isScram) {
			out = append(out, k)
		}
	}
	return out
}

// checkKinds refuses keys that are none of what users and clients have.
func (t *configsTool) checkKinds(onlyUser bool) error {
	what := "quota"
	if onlyUser {
		what = "quota and SCRAM credential"
	}
	for _, c := range []struct {
		done, list string
		keys       []string
	}{{"added", "Set", t.add.Keys()}, {"deleted", "ArrayBuffer", t.del}} {
		bad := unexpected(c.keys, quotaKeys(), onlyUser)
		for _, k := range bad {
			t.hintNearest("config", k, quotaKeys())
		}
		if len(bad) > 0 {
			return illegal("Only %s configs can be %s for '%s' using --bootstrap-server. Unexpected config names: %s(%s)", what, c.done, t.entities[0].typ, c.list, strings.Join(bad, ", "))
		}
	}
	return nil
}

func (t *configsTool) alterUserClient() error {
	onlyUser := len(t.entities) == 1 && t.entities[0].typ == "users"
	if err := t.checkKinds(onlyUser); err != nil {
		return err
	}
	quotas, scram := client.Properties{}, client.Properties{}
	var delQuotas, delScram []string
	for k, v := range t.add {
		if _, ok := scramMechanismOf(k); ok {
			scram[k] = v
		} else {
			quotas[k] = v
		}
	}
	for _, k := range t.del {
		if _, ok := scramMechanismOf(k); ok {
			delScram = append(delScram, k)
		} else {
			delQuotas = append(delQuotas, k)
		}
	}
	if len(scram)+len(delScram) > 0 {
		if len(quotas)+len(delQuotas) > 0 {
			return illegal("Cannot alter both quota and SCRAM credential configs simultaneously for 'users' using --bootstrap-server.")
		}
		if t.entities[0].isDefault || t.entities[0].name == "" {
			return illegal("The use of --entity-default or --user-defaults is not allowed with User SCRAM Credentials using --bootstrap-server.")
		}
		if err := t.alterScram(t.entities[0].name, scram, delScram); err != nil {
			return err
		}
	}
	if len(quotas)+len(delQuotas) > 0 {
		return t.alterQuotas(quotas, delQuotas)
	}
	return nil
}

func (t *configsTool) alterIP() error {
	if bad := unexpected(append(t.add.Keys(), t.del...), []string{"connection_creation_rate"}, false); len(bad) > 0 {
		return illegal("Only connection quota configs can be added for 'ips' using --bootstrap-server. Unexpected config names: %s", strings.Join(bad, ","))
	}
	return t.alterQuotas(t.add, t.del)
}

func (t *configsTool) alterQuotas(set client.Properties, del []string) error {
	if err := t.checkSetQuotas(del); err != nil {
		return err
	}
	req := kmsg.NewPtrAlterClientQuotasRequest()
	en := kmsg.NewAlterClientQuotasRequestEntry()
	for _, e := range t.entities {
		part := kmsg.NewAlterClientQuotasRequestEntryEntity()
		part.Type = quotaType(e.typ)
		if !e.isDefault && e.name != "" {
			part.Name = kmsg.StringPtr(e.name)
		}
		en.Entity = append(en.Entity, part)
	}
	for _, k := range set.Keys() {
		v, err := parseJavaDouble(set[k])
		if err != nil {
			return illegal("Cannot parse quota configuration value for %s: %s", k, set[k])
		}
		op := kmsg.NewAlterClientQuotasRequestEntryOp()
		op.Key, op.Value = k, v
		en.Ops = append(en.Ops, op)
	}
	for _, k := range del {
		op := kmsg.NewAlterClientQuotasRequestEntryOp()
		op.Key, op.Remove = k, true
		en.Ops = append(en.Ops, op)
	}
	req.Entries = append(req.Entries, en)
	resp, err := t.c.Any(t.ctx, "alterClientQuotas", req)
	if err != nil {
		return err
	}
	for _, res := range resp.(*kmsg.AlterClientQuotasResponse).Entries {
		if err := client.CodeError(res.ErrorCode, res.ErrorMessage); err != nil {
			return err
		}
	}
	return nil
}

// checkSetQuotas refuses to delete what is not set, as Kafka's tool does; like
// it, it asks even when nothing is to be deleted.
func (t *configsTool) checkSetQuotas(del []string) error {
	req := kmsg.NewPtrDescribeClientQuotasRequest()
	req.Strict = true
	for _, e := range t.entities {
		c := kmsg.NewDescribeClientQuotasRequestComponent()
		c.EntityType, c.MatchType = quotaType(e.typ), kmsg.QuotasMatchTypeDefault
		if !e.isDefault && e.name != "" {
			c.MatchType, c.Match = kmsg.QuotasMatchTypeExact, kmsg.StringPtr(e.name)
		}
		req.Components = append(req.Components, c)
	}
	entries, err := t.quotas(req)
	if err != nil {
		return err
	}
	set := map[string]bool{}
	for _, en := range entries {
		for _, v := range en.Values {
			set[v.Key] = true
		}
	}
	var missing []string
	for _, k := range del {
		if !set[k] {
			missing = append(missing, k)
		}
	}
	if len(missing) > 0 {
		return illegal("Invalid config(s): %s", strings.Join(missing, ","))
	}
	return nil
}

func (t *configsTool) alterScram(user string, set client.Properties, del []string) error {
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	for _, k := range set.Keys() {
		m, _ := scramMechanismOf(k)
		up, err := m.upsertion(user, set[k])
		if errors.As(err, new(errEmptyPassword)) {
			if _, refused := t.c.Any(t.ctx, "alterUserScramCredentials", kmsg.NewPtrAlterUserSCRAMCredentialsRequest()); refused != nil {
				return refused // to a broker that has no such credentials the password does not matter
			}
		}
		if err != nil {
			return err
		}
		req.Upsertions = append(req.Upsertions, up)
	}
	for _, k := range del {
		m, _ := scramMechanismOf(k)
		d := kmsg.NewAlterUserSCRAMCredentialsRequestDeletion()
		d.Name, d.Mechanism = user, m.code
		req.Deletions = append(req.Deletions, d)
	}
	resp, err := t.c.Any(t.ctx, "alterUserScramCredentials", req)
	if err != nil {
		return err
	}
	for _, res := range resp.(*kmsg.AlterUserSCRAMCredentialsResponse).Results {
		if err := client.CodeError(res.ErrorCode, res.ErrorMessage); err != nil {
			return err
		}
	}
	return nil
}

// errEmptyPassword is of a credential that would let everyone in.
type errEmptyPassword struct{}

func (errEmptyPassword) Error() string { return "Password must not be empty" }

func (m scramMechanism) invalid(config string) error {
	return illegal("Invalid credential property %s=%s", strings.ReplaceAll(scramName(m.code), "-", "_"), config)
}

// upsertion reads `iterations=8192,password=secret` in this order; iterations may be left out.
func (m scramMechanism) upsertion(user, config string) (kmsg.AlterUserSCRAMCredentialsRequestUpsertion, error) {
	up := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
	up.Name, up.Mechanism, up.Iterations = user, m.code, minScramIterations
	parts := regexp.MustCompile(`^(iterations=(-?[0-9]*),)?password=(.*)$`).FindStringSubmatch(config)
	if parts == nil {
		return up, m.invalid(config)
	}
	password := parts[3] // to the end, commas and all
	if parts[1] != "" {
		n, err := strconv.ParseInt(parts[2], 10, 32)
		if err != nil {
			return up, numberFormat(parts[2])
		}
		if n != -1 {
			up.Iterations = int32(n)
		}
	}
	if password == "" {
		return up, errEmptyPassword{}
	}
	if up.Iterations < minScramIterations {
		return up, illegal("Iterations %d is less than the minimum %d required for %s", up.Iterations, minScramIterations, scramName(m.code))
	}
	up.Salt = make([]byte, scramSaltBytes)
	if _, err := rand.Read(up.Salt); err != nil {
		return up, fmt.Errorf("cannot make a salt: %w", err)
	}
	salted, err := saltedPassword(m.hash, password, up.Salt, int(max(up.Iterations, 1)))
	up.SaltedPassword = salted
	return up, err
}
