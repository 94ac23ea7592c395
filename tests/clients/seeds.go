package clients

import "strings"

// seeds are the addresses of a bootstrap string, for libraries that take them one by one.
func seeds(bootstrap string) []string { return strings.Split(bootstrap, ",") }
