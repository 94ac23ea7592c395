package security

import (
	"fmt"
	"strings"
)

// UserType is the type of every principal that Kafka's own mechanisms produce.
const UserType = "User"

// Principal is an authenticated identity, written Type:Name.
type Principal struct {
	Type string
	Name string
}

// Anonymous is whoever comes in on a listener that does not authenticate.
func Anonymous() Principal { return Principal{Type: UserType, Name: "ANONYMOUS"} }

// User is the principal of a user name.
func User(name string) Principal { return Principal{Type: UserType, Name: name} }

// String is the form that ACLs, super.users and the log use.
func (p Principal) String() string { return p.Type + ":" + p.Name }

// ParsePrincipal reads Type:Name; the name may itself contain colons, as the
// distinguished name of a certificate does.
func ParsePrincipal(s string) (Principal, error) {
	kind, name, ok := strings.Cut(s, ":")
	if !ok || kind == "" {
		return Principal{}, fmt.Errorf("%q is not a principal: write it as Type:Name, for example User:alice", s)
	}
	return Principal{Type: kind, Name: name}, nil
}

// ParsePrincipals reads the value of super.users: principals separated by
// semicolons, because commas occur inside distinguished names.
func ParsePrincipals(s string) ([]Principal, error) {
	var all []Principal
	for part := range strings.SplitSeq(s, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		p, err := ParsePrincipal(part)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}
