package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAMovedClockRunsAndIsPutForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, real := NewMoved(), time.Now()
		var rung []string
		m.AfterFunc(time.Second, func() { rung = append(rung, "second") })
		m.AfterFunc(time.Hour, func() { rung = append(rung, "hour") })
		day := m.AfterFunc(24*time.Hour, func() { rung = append(rung, "day") })
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(rung) != 1 || rung[0] != "second" {
			t.Fatal(rung)
		}
		m.Advance(2 * time.Hour)
		synctest.Wait()
		if len(rung) != 2 || rung[1] != "hour" || m.Now().Sub(real) != 2*time.Hour+2*time.Second {
			t.Fatal(rung, m.Now().Sub(real))
		}
		if !day.Stop() || day.Stop() || day.Reset(time.Minute) {
			t.Fatal("a stopped timer is stopped")
		}
		m.Set(-5 * time.Hour) // nobody's minute is longer for a clock that is wrong
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(rung) != 3 || m.Now().After(real) {
			t.Fatal(rung, m.Now())
		}
	})
}
