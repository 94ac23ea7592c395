package wire

import (
	"testing"
)

func everything(t testing.TB, l Listener) *Table {
	t.Helper()
	table, err := NewTable(l, KafkaRanges(l))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func BenchmarkNewTable(b *testing.B) {
	for b.Loop() {
		everything(b, Broker)
	}
}
func TestX(t *testing.T) { everything(t, Broker); everything(t, Controller) }
