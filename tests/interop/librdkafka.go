package interop

import (
	"context"
)

const librdkafkaDoes = "x"

func runLibrdkafka(ctx context.Context, s *stage, r *row) error { return nil }
