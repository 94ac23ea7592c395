package security

// superUsers lets the principals of super.users pass and asks next about the rest.
type superUsers struct {
	users map[Principal]struct{} // never written after WithSuperUsers
	next  Authorizer
}

// WithSuperUsers puts the principals of super.users in front of an authorizer:
// they may do everything, whatever ACLs say.
func WithSuperUsers(next Authorizer, users []Principal) Authorizer {
	if len(users) == 0 {
		return next
	}
	set := make(map[Principal]struct{}, len(users))
	for _, u := range users {
		set[u] = struct{}{}
	}
	return superUsers{users: set, next: next}
}

func (s superUsers) Authorize(ctx RequestContext, actions []Action) []bool {
	if _, super := s.users[ctx.Principal]; super {
		return AllowAll{}.Authorize(ctx, actions)
	}
	return s.next.Authorize(ctx, actions)
}

func (s superUsers) AuthorizeByResourceType(ctx RequestContext, op Operation, t ResourceType) bool {
	if _, super := s.users[ctx.Principal]; super {
		return true
	}
	return s.next.AuthorizeByResourceType(ctx, op, t)
}
