// Command dist makes a release: static binaries for every platform, an archive and an SBOM of each, Debian and RPM packages, the licences of
// what is linked in, and the checksums of all. The same commit gives the same bytes: nothing in them tells when or where they were made.
//
//	go run ./packaging/dist -version 1.2.3
package main
