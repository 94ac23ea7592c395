package meta

import (
	"errors"
	"fmt"
	"slices"
)

// Replay follows a log: it takes the records batch by batch and gives an image for each batch at whose end no
// transaction is open. Records between BeginTransactionRecord and EndTransactionRecord take effect together at the
// end, and those before AbortTransactionRecord never.
type Replay struct {
	image *Image
	open  bool     // a transaction has begun and not ended
	held  []Record // what waits for its end
}

// NewReplay follows a log from img on.
func NewReplay(img *Image) *Replay { return &Replay{image: img} }

// Image is where the replay stands.
func (r *Replay) Image() *Image { return r.image }

// InTransaction says that records are held back.
func (r *Replay) InTransaction() bool { return r.open }

// Batch takes the records of one batch that ends at offset. The delta is nil when nothing takes effect yet.
func (r *Replay) Batch(records []Record, offset int64, epoch int32, timestampMs int64) (*Image, *Delta, error) {
	ready, err := r.resolve(records)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot replay the batch that ends at offset %d: %w", offset, err)
	}
	if r.open && len(ready) == 0 {
		return r.image, nil, nil
	}
	img, delta, err := r.image.Apply(ready, offset, epoch, timestampMs)
	if err != nil {
		return nil, nil, err
	}
	r.image = img
	return img, delta, nil
}

// resolve returns the records that take effect now.
func (r *Replay) resolve(records []Record) ([]Record, error) {
	border := func(rec Record) bool {
		t := rec.Type()
		return t == TypeBeginTransaction || t == TypeEndTransaction || t == TypeAbortTransaction
	}
	if !r.open && !slices.ContainsFunc(records, border) {
		return records, nil
	}
	var ready []Record
	for _, rec := range records {
		switch rec.Type() {
		case TypeBeginTransaction:
			if r.open {
				return nil, errors.New("a transaction begins inside another")
			}
			r.open = true
		case TypeEndTransaction:
			if !r.open {
				return nil, errors.New("a transaction ends that has not begun")
			}
			ready = append(ready, r.held...)
			r.open, r.held = false, nil
		case TypeAbortTransaction:
			if !r.open {
				return nil, errors.New("a transaction is aborted that has not begun")
			}
			r.open, r.held = false, nil
		default:
			if r.open {
				r.held = append(r.held, rec)
			} else {
				ready = append(ready, rec)
			}
		}
	}
	return ready, nil
}
