package cli

import (
	"os"
	"sync"
	"time"
)

// exitGrace is how long a tool may take to say goodbye after a signal: enough to
// leave a group and to commit, too short for somebody at a terminal to wonder.
const exitGrace = 4 * time.Second

// attend makes a tool end with the code that a signal stands for, whatever it was
// doing: at once if it ends by itself, after exitGrace if it hangs, and at once
// at the second signal. It returns what tells which signal came.
func (r *run) attend() (caught func() os.Signal) {
	var mu sync.Mutex
	var got os.Signal
	caught = func() os.Signal { mu.Lock(); defer mu.Unlock(); return got }
	if r.Signals == nil {
		return caught
	}
	source, env := r.Signals, *r.Env
	env.Signals = func() (<-chan os.Signal, func()) {
		in, stop := source()
		out, done := make(chan os.Signal, 1), make(chan struct{})
		go func() {
			for {
				select {
				case s := <-in:
					mu.Lock()
					first := got == nil
					got = s
					mu.Unlock()
					if !first {
						r.Exit(signalExit(s))
						return
					}
					time.AfterFunc(exitGrace, func() { r.Exit(signalExit(s)) })
					out <- s
				case <-done:
					return
				}
			}
		}()
		var once sync.Once
		return out, func() {
			if caught() == nil { // else the second signal and the grace still count
				once.Do(func() { close(done); stop() })
			}
		}
	}
	r.Env = &env
	return caught
}
