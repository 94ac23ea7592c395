package storage

import (
	"cmp"
	"slices"

	"github.com/moldau-stream/moldau/internal/record"
)

// cleanedTxns follows the transactions of a log while its batches are read from the start on. It says which batches
// are of no use to anybody: those of aborted transactions, and the markers of transactions nothing else is left of.
type cleanedTxns struct {
	waiting   []AbortedTxn       // by first offset; reading has not come to them yet
	aborted   map[int64]*seenTxn // by producer; reading is between first offset and marker
	committed map[int64]struct{} // producers of which data has been read that is not of an aborted transaction
	kept      func(AbortedTxn)   // is told of each aborted transaction that the new index must name
}

type seenTxn struct {
	AbortedTxn
	seen bool // a batch of it was there
}

func newCleanedTxns() *cleanedTxns {
	return &cleanedTxns{aborted: map[int64]*seenTxn{}, committed: map[int64]struct{}{}, kept: func(AbortedTxn) {}}
}

// add takes in what the transaction indexes say of a range that is to be read next. What was
// known already may come again.
func (c *cleanedTxns) add(txns []AbortedTxn) {
	if len(txns) == 0 {
		return
	}
	c.waiting = append(c.waiting, txns...)
	slices.SortFunc(c.waiting, func(a, b AbortedTxn) int {
		return cmp.Or(cmp.Compare(a.FirstOffset, b.FirstOffset), cmp.Compare(a.LastOffset, b.LastOffset))
	})
	c.waiting = slices.Compact(c.waiting)
}

func (c *cleanedTxns) reach(offset int64) {
	for len(c.waiting) > 0 && c.waiting[0].FirstOffset <= offset {
		t := c.waiting[0]
		c.waiting = c.waiting[1:]
		if c.aborted[t.ProducerID] == nil {
			c.aborted[t.ProducerID] = &seenTxn{AbortedTxn: t}
		}
	}
}

// read takes in the next batch and says whether it can be discarded. control is the
// key of a control batch's record, nil when it has none left.
func (c *cleanedTxns) read(b record.Batch, control []byte) (discard bool, err error) {
	c.reach(b.LastOffset())
	if b.IsControl() {
		return c.readMarker(b.ProducerID(), control)
	}
	if !b.IsTransactional() {
		return false, nil
	}
	if t := c.aborted[b.ProducerID()]; t != nil {
		t.seen = true
		return true, nil
	}
	c.committed[b.ProducerID()] = struct{}{}
	return false, nil
}

func (c *cleanedTxns) readMarker(producerID int64, control []byte) (discard bool, err error) {
	if control == nil {
		return true, nil // it was emptied before
	}
	kind, err := record.ParseControlType(control)
	if err != nil {
		return false, err
	}
	switch kind {
	case record.ControlAbort:
		t := c.aborted[producerID]
		delete(c.aborted, producerID)
		if t != nil && t.seen {
			c.kept(t.AbortedTxn) // only when all its data has been gone before may the marker follow
			return false, nil
		}
		return true, nil
	case record.ControlCommit:
		_, seen := c.committed[producerID]
		delete(c.committed, producerID)
		return !seen, nil
	}
	return false, nil
}
