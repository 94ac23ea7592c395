package meta

import "fmt"

// Loader makes one step out of records that come one by one, so that a snapshot of a large
// cluster need not stand in memory as records and as image at once.
type Loader struct {
	e *editor
	n int
}

// NewLoader starts a step from img, which stays as it is.
func NewLoader(img *Image) *Loader { return &Loader{e: &editor{img: *img, delta: newDelta()}} }

// Add takes the next record.
func (l *Loader) Add(r Record) error {
	l.n++
	if err := l.e.apply(r); err != nil {
		return fmt.Errorf("cannot apply %s, record %d of its run: %w", r.Type(), l.n, err)
	}
	return nil
}

// Finish ends the step: the image then holds everything up to offset. The loader is used up.
func (l *Loader) Finish(offset int64, epoch int32, timestampMs int64) (*Image, *Delta, error) {
	for _, td := range l.e.delta.ChangedTopics {
		if td.Old != nil && len(td.Old.Partitions) == len(td.Topic.Partitions) {
			continue
		}
		for i, p := range td.Topic.Partitions {
			if p == nil {
				return nil, nil, fmt.Errorf("cannot apply the records up to offset %d: topic %s would lack its partition %d", offset, td.Topic.Name, i)
			}
		}
	}
	l.e.img.offset, l.e.img.epoch, l.e.img.timestampMs = offset, epoch, timestampMs
	out := l.e.img
	return &out, l.e.delta, nil
}
