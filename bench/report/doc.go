// Package report draws bar charts, as SVG and as PNG, from the same description.
//
// The bench command calls it with figures that it has measured; it keeps no state.
package report
