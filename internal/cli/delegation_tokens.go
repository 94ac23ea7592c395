package cli

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func tokenOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "", "The brokers to connect to, as host:port, several with commas.")
	s.arg("command-config", "", "A properties file for the admin client; tokens need a login.")
	s.flag("create", "Make a token.")
	s.flag("renew", "Let a token live longer.")
	s.flag("expire", "End a token, or make it live shorter.")
	s.flag("describe", "Show tokens.")
	s.flag("owner-principal", "Who owns the token, as User:name; may be given several times with --describe.").takesMaybe("")
	s.flag("renewer-principal", "Who else may renew the token, as User:name; may be given several times.").takesMaybe("")
	s.flag("max-life-time-period", "How long the token may live, in ms; -1 for the broker's limit.").takesMaybe("").ofKind(longValue)
	s.flag("renew-time-period", "How much longer, in ms; -1 for the broker's default.").takesMaybe("").ofKind(longValue)
	s.flag("expiry-time-period", "How long from now, in ms; -1 ends it at once.").takesMaybe("").ofKind(longValue)
	s.flag("hmac", "The token's HMAC.").takesMaybe("")
	s.formatOption()
	return s
}

func runDelegationTokens(r *run, args []string) int {
	p, err := tokenOptions().parse(args)
	if err == nil {
		t := &tokensTool{run: r, p: p}
		if err = t.check(); err == nil {
			err = t.execute()
		}
	}
	return r.outcome(err)
}

type tokensTool struct {
	*run
	p *parsed
	c *client.Client
}

func (t *tokensTool) check() error {
	p, req := t.p, []string{"bootstrap-server", "command-config"}
	if err := t.helpOrVersion(p, req, "This tool helps to create, renew, expire, or describe delegation tokens."); err != nil {
		return err
	}
	if countGiven(p, "create", "renew", "expire", "describe") != 1 {
		return t.usage(p.set, req, "Command must include exactly one action: --create, --renew, --expire or --describe")
	}
	if err := t.checkRequired(p, req, req...); err != nil {
		return err
	}
	for action, needs := range map[string][]string{"create": {"max-life-time-period"}, "renew": {"hmac", "renew-time-period"}, "expire": {"hmac", "expiry-time-period"}} {
		if p.has(action) {
			if err := t.checkRequired(p, req, needs...); err != nil {
				return err
			}
		}
	}
	all := []string{"renewer-principal", "max-life-time-period", "renew-time-period", "expiry-time-period", "hmac", "owner-principal"}
	for action, takes := range map[string][]string{"create": {"renewer-principal", "max-life-time-period", "owner-principal"}, "renew": {"hmac", "renew-time-period"},
		"expire": {"hmac", "expiry-time-period"}, "describe": {"owner-principal", "renewer-principal"}} {
		var invalid []string
		for _, o := range all {
			if !contains(takes, o) {
				invalid = append(invalid, o)
			}
		}
		if err := t.checkInvalid(p, req, action, invalid...); err != nil {
			return err
		}
	}
	if err := t.readFormat(p, "describe"); err != nil {
		return err
	}
	for _, o := range []string{"max-life-time-period", "renew-time-period", "expiry-time-period"} {
		if p.value(o) == "" && p.has(o) {
			return fmt.Errorf("--%s needs a number of milliseconds behind it", o)
		}
	}
	return p.err
}

func (t *tokensTool) execute() error {
	c, err := t.openServers(t.p)
	if err != nil {
		return err
	}
	defer c.Close()
	t.c = c
	switch {
	case t.p.has("create"):
		return t.create()
	case t.p.has("renew"):
		return t.renew()
	case t.p.has("expire"):
		return t.expire()
	}
	return t.describe()
}

// principals reads User:name values.
func (t *tokensTool) principals(option string) ([][2]string, error) {
	var out [][2]string
	for _, s := range t.p.all(option) {
		typ, name, ok := strings.Cut(strings.TrimSpace(s), ":")
		if !ok || typ == "" {
			return nil, errors.New("expected a string in format principalType:principalName but got " + s)
		}
		out = append(out, [2]string{typ, name})
	}
	return out, nil
}

func principalText(ps [][2]string) string {
	var out []string
	for _, p := range ps {
		out = append(out, p[0]+":"+p[1])
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// token is a token as the tables show it.
type token struct {
	id                        string
	hmac                      []byte
	owner, requester          [2]string
	renewers                  [][2]string
	issued, expiry, maxLifeAt int64
}

func (t *tokensTool) create() error {
	renewers, err := t.principals("renewer-principal")
	if err != nil {
		return err
	}
	life, _ := t.p.number("max-life-time-period")
	t.printf("Calling create token operation with renewers :%s , max-life-time-period :%d\n", principalText(renewers), life)
	owners, err := t.principals("owner-principal")
	if err != nil {
		return err
	}
	req := kmsg.NewPtrCreateDelegationTokenRequest()
	req.MaxLifetimeMillis = life
	for _, p := range renewers {
		rr := kmsg.NewCreateDelegationTokenRequestRenewer()
		rr.PrincipalType, rr.PrincipalName = p[0], p[1]
		req.Renewers = append(req.Renewers, rr)
	}
	if len(owners) > 0 {
		req.OwnerPrincipalType, req.OwnerPrincipalName = &owners[0][0], &owners[0][1]
	}
	resp, err := t.c.Any(t.ctx, "createDelegationToken", req)
	if err != nil {
		return err
	}
	cr := resp.(*kmsg.CreateDelegationTokenResponse)
	if err := client.CodeError(cr.ErrorCode, nil); err != nil {
		return err
	}
	t.printf("Created delegation token with tokenId : %s\n", cr.TokenID)
	made := token{cr.TokenID, cr.HMAC, [2]string{cr.PrincipalType, cr.PrincipalName}, [2]string{cr.TokenRequesterPrincipalType, cr.TokenRequesterPrincipalName},
		renewers, cr.IssueTimestamp, cr.ExpiryTimestamp, cr.MaxTimestamp}
	if made.requester[0] == "" {
		made.requester = made.owner
	}
	t.table([]token{made})
	return nil
}

func (t *tokensTool) table(tokens []token) {
	t.printf("\n%-15s %-30s %-15s %-15s %-25s %-15s %-15s %-15s\n", "TOKENID", "HMAC", "OWNER", "REQUESTER", "RENEWERS", "ISSUEDATE", "EXPIRYDATE", "MAXDATE")
	at := func(ms int64) string { return time.UnixMilli(ms).Format("2006-01-02T15:04") }
	for _, k := range tokens {
		t.printf("\n%-15s %-30s %-15s %-15s %-25s %-15s %-15s %-15s\n", k.id, base64.StdEncoding.EncodeToString(k.hmac), k.owner[0]+":"+k.owner[1],
			k.requester[0]+":"+k.requester[1], principalText(k.renewers), at(k.issued), at(k.expiry), at(k.maxLifeAt))
	}
	t.println("")
}

// hmac reads --hmac.
func (t *tokensTool) hmac() (text string, raw []byte, err error) {
	text = t.p.value("hmac")
	if raw, err = base64.StdEncoding.DecodeString(text); err != nil {
		return text, nil, fmt.Errorf("the HMAC %q is not base64", text)
	}
	return text, raw, nil
}

// expiryText is how Java prints a date.
func expiryText(ms int64) string { return time.UnixMilli(ms).Format("Mon Jan 02 15:04:05 MST 2006") }

func (t *tokensTool) renew() error {
	period, _ := t.p.number("renew-time-period")
	text, raw, err := t.hmac()
	t.printf("Calling renew token operation with hmac :%s , renew-time-period :%d\n", text, period)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrRenewDelegationTokenRequest()
	req.HMAC, req.RenewTimeMillis = raw, period
	resp, err := t.c.Any(t.ctx, "renewDelegationToken", req)
	if err != nil {
		return err
	}
	rr := resp.(*kmsg.RenewDelegationTokenResponse)
	if err := client.CodeError(rr.ErrorCode, nil); err != nil {
		return err
	}
	t.printf("Completed renew operation. New expiry date : %s\n", expiryText(rr.ExpiryTimestamp))
	return nil
}

func (t *tokensTool) expire() error {
	period, _ := t.p.number("expiry-time-period")
	text, raw, err := t.hmac()
	t.printf("Calling expire token operation with hmac :%s , expire-time-period :%d\n", text, period)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrExpireDelegationTokenRequest()
	req.HMAC, req.ExpiryPeriodMillis = raw, period
	resp, err := t.c.Any(t.ctx, "expireDelegationToken", req)
	if err != nil {
		return err
	}
	er := resp.(*kmsg.ExpireDelegationTokenResponse)
	if err := client.CodeError(er.ErrorCode, nil); err != nil {
		return err
	}
	t.printf("Completed expire operation. New expiry date : %s\n", expiryText(er.ExpiryTimestamp))
	return nil
}

// remark prints what a reader of JSON has no use for.
func (t *tokensTool) remark(s string) {
	if !t.json {
		t.println(s)
	}
}

func (t *tokensTool) describe() error {
	owners, err := t.principals("owner-principal")
	if err != nil {
		return err
	}
	req := kmsg.NewPtrDescribeDelegationTokenRequest()
	switch {
	case len(owners) == 0:
		t.remark("Calling describe token operation for current user.")
		// Kafka's tool asks for nobody's tokens then, and so shows none.
		req.Owners = []kmsg.DescribeDelegationTokenRequestOwner{}
	default:
		t.remark("Calling describe token operation for owners: " + principalText(owners))
	}
	for _, p := range owners {
		o := kmsg.NewDescribeDelegationTokenRequestOwner()
		o.PrincipalType, o.PrincipalName = p[0], p[1]
		req.Owners = append(req.Owners, o)
	}
	resp, err := t.c.Any(t.ctx, "describeDelegationToken", req)
	if err != nil {
		return err
	}
	dr := resp.(*kmsg.DescribeDelegationTokenResponse)
	if err := client.CodeError(dr.ErrorCode, nil); err != nil {
		return err
	}
	var tokens []token
	for _, d := range dr.TokenDetails {
		k := token{id: d.TokenID, hmac: d.HMAC, owner: [2]string{d.PrincipalType, d.PrincipalName}, requester: [2]string{d.TokenRequesterPrincipalType, d.TokenRequesterPrincipalName},
			issued: d.IssueTimestamp, expiry: d.ExpiryTimestamp, maxLifeAt: d.MaxTimestamp}
		for _, rn := range d.Renewers {
			k.renewers = append(k.renewers, [2]string{rn.PrincipalType, rn.PrincipalName})
		}
		tokens = append(tokens, k)
	}
	if t.json {
		for _, k := range tokens {
			var renewers []string
			for _, p := range k.renewers {
				renewers = append(renewers, p[0]+":"+p[1])
			}
			t.row("tokenId", k.id, "hmac", base64.StdEncoding.EncodeToString(k.hmac), "owner", k.owner[0]+":"+k.owner[1], "requester", k.requester[0]+":"+k.requester[1], "renewers", renewers,
				"issueTimestampMs", k.issued, "expiryTimestampMs", k.expiry, "maxTimestampMs", k.maxLifeAt)
		}
		return nil
	}
	t.printf("Total number of tokens : %d", len(tokens))
	t.table(tokens)
	return nil
}
