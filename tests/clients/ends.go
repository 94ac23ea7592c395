package clients

import "context"

// EndsWith closes a kgo client when the context ends, unless stop is called before: a producer that is given no producer id tries
// for as long as its client lives, and what waits for its records does not look at the context.
func EndsWith(ctx context.Context, cl interface{ Close() }) (stop func() bool) {
	return context.AfterFunc(ctx, cl.Close)
}
