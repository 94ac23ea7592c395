// Package clock is the only door to time. Everything that waits, expires or
// stamps takes a Clock in its constructor, so that a test can move time by hand
// and a simulation can replay it.
//
// Real is the machine's clock. Fake stands still until Advance moves it and then
// runs every timer that has come due, in order, on the caller's goroutine.
package clock
