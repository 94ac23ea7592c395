package cli

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// describe asks for the ACLs that match a filter; nil is every one.
func (t *aclsTool) describe(res *resource) ([]aclWork, error) {
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType, req.ResourcePatternType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny
	req.Operation, req.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	if res != nil {
		req.ResourceType, req.ResourceName, req.ResourcePatternType = res.typ, &res.name, res.pattern
	}
	resp, err := t.c.Any(t.ctx, "describeAcls", req)
	if err != nil {
		return nil, err
	}
	dr := resp.(*kmsg.DescribeACLsResponse)
	if err := client.CodeError(dr.ErrorCode, dr.ErrorMessage); err != nil {
		return nil, err
	}
	var out []aclWork
	for _, rr := range dr.Resources {
		w := aclWork{res: resource{rr.ResourceType, rr.ResourceName, rr.ResourcePatternType}}
		for _, a := range rr.ACLs {
			w.entries = append(w.entries, aclEntry{a.Principal, a.Host, a.Operation, a.PermissionType})
		}
		out = append(out, w)
	}
	return out, nil
}

func (t *aclsTool) list(filters []aclWork) error {
	principals := t.p.all("principal")
	for _, p := range principals {
		if err := checkPrincipal(p); err != nil {
			return err
		}
	}
	found, err := t.describeAll(filters)
	if err != nil {
		return err
	}
	if len(principals) == 0 {
		t.printACLs(found)
		return nil
	}
	for _, p := range principals {
		if !t.json {
			t.printf("ACLs for principal `%s`\n", p)
		}
		var kept []aclWork
		for _, w := range found {
			var entries []aclEntry
			for _, e := range w.entries {
				if e.principal == p {
					entries = append(entries, e)
				}
			}
			if entries != nil {
				kept = append(kept, aclWork{w.res, entries})
			}
		}
		t.printACLs(kept)
	}
	return nil
}

// describeAll asks for each filter and merges what more than one of them finds.
func (t *aclsTool) describeAll(filters []aclWork) ([]aclWork, error) {
	if len(filters) == 0 {
		return t.describe(nil)
	}
	var out []aclWork
	seen := map[resource]bool{}
	for i := range filters {
		found, err := t.describe(&filters[i].res)
		if err != nil {
			return nil, err
		}
		for _, w := range found {
			if !seen[w.res] {
				seen[w.res] = true
				out = append(out, w)
			}
		}
	}
	return out, nil
}

func (t *aclsTool) printACLs(work []aclWork) {
	for _, w := range work {
		if t.json {
			for _, e := range w.entries {
				t.row("resourceType", resourceTypeName(w.res.typ), "resourceName", w.res.name, "patternType", patternName(w.res.pattern), "principal", e.principal, "host", e.host,
					"operation", operationName(e.operation), "permissionType", permissionName(e.permission))
			}
			continue
		}
		t.printf("Current ACLs for resource `%s`:\n", w.res)
		for _, e := range w.entries {
			t.printf("\t%s\n", e)
		}
		t.println("")
	}
}

func entryLines(entries []aclEntry) string {
	var lines []string
	for _, e := range entries {
		lines = append(lines, "\t"+e.String())
	}
	return " " + strings.Join(lines, "\n")
}

func (t *aclsTool) add(work []aclWork) error {
	for _, w := range work {
		fresh, err := t.notYetThere(w)
		if err != nil {
			return err
		}
		if len(fresh) == 0 {
			continue
		}
		t.printf("Adding ACLs for resource `%s`: \n%s\n\n", w.res, entryLines(fresh))
		req := kmsg.NewPtrCreateACLsRequest()
		for _, e := range fresh {
			c := kmsg.NewCreateACLsRequestCreation()
			c.ResourceType, c.ResourceName, c.ResourcePatternType = w.res.typ, w.res.name, w.res.pattern
			c.Principal, c.Host, c.Operation, c.PermissionType = e.principal, e.host, e.operation, e.permission
			req.Creations = append(req.Creations, c)
		}
		resp, err := t.c.Any(t.ctx, "createAcls", req)
		if err != nil {
			return err
		}
		for _, res := range resp.(*kmsg.CreateACLsResponse).Results {
			if err := client.CodeError(res.ErrorCode, res.ErrorMessage); err != nil {
				return err
			}
		}
	}
	return nil
}

// notYetThere leaves out what exists, and says so.
func (t *aclsTool) notYetThere(w aclWork) ([]aclEntry, error) {
	have, err := t.describe(&w.res)
	if err != nil {
		return nil, err
	}
	existing := map[aclEntry]bool{}
	for _, h := range have {
		for _, e := range h.entries {
			existing[e] = true
		}
	}
	var fresh []aclEntry
	for _, e := range w.entries {
		if existing[e] {
			t.printf("Acl (pattern=%s, entry=%s) already exists.\n", w.res, e)
			continue
		}
		fresh = append(fresh, e)
	}
	return fresh, nil
}

func (t *aclsTool) remove(work []aclWork) error {
	for _, w := range work {
		question := fmt.Sprintf("Are you sure you want to delete all ACLs for resource filter `%s`? (y/n)", w.res)
		if len(w.entries) > 0 {
			question = fmt.Sprintf("Are you sure you want to remove ACLs: \n%s \n from resource filter `%s`? (y/n)", entryLines(w.entries), w.res)
		}
		yes, err := t.confirm(question)
		if err != nil {
			return err
		}
		if yes {
			if err := t.deleteACLs(w); err != nil {
				return err
			}
		}
	}
	return nil
}

// confirm asks on the terminal, unless --force was given.
func (t *aclsTool) confirm(question string) (bool, error) {
	if t.p.has("force") {
		return true, nil
	}
	t.println(question)
	if !t.StdinIsTerminal {
		t.advice = append(t.advice, "there is no terminal to ask on: use --force")
		return false, errors.New(`Cannot invoke "java.io.Console.readLine()" because the return value of "java.lang.System.console()" is null`)
	}
	t.out.Flush()
	answer, err := bufio.NewReader(t.Stdin).ReadString('\n')
	if err != nil {
		return false, fmt.Errorf("cannot read the answer: %w", err)
	}
	return strings.EqualFold(strings.TrimSpace(answer), "y"), nil
}

func (t *aclsTool) deleteACLs(w aclWork) error {
	req := kmsg.NewPtrDeleteACLsRequest()
	filter := func() kmsg.DeleteACLsRequestFilter {
		f := kmsg.NewDeleteACLsRequestFilter()
		f.ResourceType, f.ResourceName, f.ResourcePatternType = w.res.typ, kmsg.StringPtr(w.res.name), w.res.pattern
		f.Operation, f.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
		return f
	}
	if len(w.entries) == 0 {
		req.Filters = append(req.Filters, filter())
	}
	for _, e := range w.entries {
		f := filter()
		f.Principal, f.Host, f.Operation, f.PermissionType = kmsg.StringPtr(e.principal), kmsg.StringPtr(e.host), e.operation, e.permission
		req.Filters = append(req.Filters, f)
	}
	resp, err := t.c.Any(t.ctx, "deleteAcls", req)
	if err != nil {
		return err
	}
	for _, res := range resp.(*kmsg.DeleteACLsResponse).Results {
		if err := client.CodeError(res.ErrorCode, res.ErrorMessage); err != nil {
			return err
		}
		for _, m := range res.MatchingACLs {
			if err := client.CodeError(m.ErrorCode, m.ErrorMessage); err != nil {
				return err
			}
		}
	}
	return nil
}
