// Package roofline holds the loops that no broker can beat on the machine at hand: the
// least that must happen to the bytes, and nothing else. They speak no protocol beyond a
// length in front (and, where three processes copy to each other, a position), so that the driver of package load drives them with the same requests
// as a broker, and they stand for the denominator of every ratio in the report.
//
// The bench command starts them as a process of their own. If a loop here is slower than
// it need be, the broker looks better than it is.
package roofline
