package cli

import (
	"context"
	"strings"
	"time"
)

// sleepContext waits; false means that the context ended first.
func sleepContext(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// subMetavar is how the parser of tools with sub-commands names a value.
func subMetavar(long string) string {
	return strings.ToUpper(strings.ReplaceAll(long, "-", "_"))
}
