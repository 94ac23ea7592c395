package security

// RequestContext is who asks, and by which way.
type RequestContext struct {
	Principal  Principal
	Host       string // the peer's address without the port, as ACLs name hosts
	Listener   string // the listener's name
	ClientID   string
	RequestKey int16 // the API key of the request
}

// Action is one thing that a request wants to do to one resource.
type Action struct {
	Operation    Operation
	ResourceType ResourceType
	ResourceName string
	// PatternType is PatternLiteral for a resource by its name; requests that act on ACLs use the others.
	PatternType PatternType
	// LogIfDenied is true where a refusal means that the user asked for the thing by name, and
	// false where the request merely filters a list ("all topics").
	LogIfDenied bool
}

// On is an action on a resource by its name, whose refusal is worth a line in the audit log.
func On(op Operation, t ResourceType, name string) Action {
	return Action{Operation: op, ResourceType: t, ResourceName: name, PatternType: PatternLiteral, LogIfDenied: true}
}

// OnCluster is an action on the cluster as a whole.
func OnCluster(op Operation) Action { return On(op, ResourceCluster, ClusterName) }

// Quiet is the same action for a request that only filters what it shows.
func (a Action) Quiet() Action {
	a.LogIfDenied = false
	return a
}

// Authorizer decides. It is called from any goroutine and must not block.
type Authorizer interface {
	// Authorize returns one verdict for each action, in the order of actions; true is allowed.
	Authorize(ctx RequestContext, actions []Action) []bool
	// AuthorizeByResourceType is true when ctx may do op to at least one resource of the type,
	// whichever it is: an idempotent producer needs WRITE on any topic.
	AuthorizeByResourceType(ctx RequestContext, op Operation, t ResourceType) bool
}

// AllowAll is the authorizer of a cluster that has configured none: everybody may do everything.
type AllowAll struct{}

// Authorize allows each action.
func (AllowAll) Authorize(_ RequestContext, actions []Action) []bool {
	verdicts := make([]bool, len(actions))
	for i := range verdicts {
		verdicts[i] = true
	}
	return verdicts
}

// AuthorizeByResourceType allows.
func (AllowAll) AuthorizeByResourceType(RequestContext, Operation, ResourceType) bool { return true }

// Allowed asks about a single action.
func Allowed(a Authorizer, ctx RequestContext, action Action) bool {
	return a.Authorize(ctx, []Action{action})[0]
}

// AuthorizedOperations is the bit set that Metadata, DescribeCluster and
// DescribeGroups return: bit n stands for the operation with code n.
func AuthorizedOperations(a Authorizer, ctx RequestContext, t ResourceType, name string) int32 {
	ops := OperationsOn(t)
	actions := make([]Action, len(ops))
	for i, op := range ops {
		actions[i] = On(op, t, name).Quiet()
	}
	var bits int32
	for i, ok := range a.Authorize(ctx, actions) {
		if ok {
			bits |= 1 << ops[i]
		}
	}
	return bits
}

// Filter returns the items that ctx may do op to, in their order, with one call
// of the authorizer. name gives an item's resource name.
func Filter[T any](a Authorizer, ctx RequestContext, op Operation, t ResourceType, items []T, name func(T) string) []T {
	if _, all := a.(AllowAll); all || len(items) == 0 {
		return items
	}
	actions := make([]Action, len(items))
	for i, item := range items {
		actions[i] = On(op, t, name(item)).Quiet()
	}
	var kept []T
	for i, ok := range a.Authorize(ctx, actions) {
		if ok {
			kept = append(kept, items[i])
		}
	}
	return kept
}
