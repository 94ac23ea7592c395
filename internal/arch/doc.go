// Package arch holds the plan of the house: which package may import which.
// It has no code that runs in the product; its test reads every import of the
// module and fails on one that the plan does not allow.
package arch
