// Package meta is the cluster's metadata as values: Kafka's metadata records and
// their bytes, the immutable Image that a run of records builds, the Delta that
// says what one step changed, and the table of feature levels.
//
// It is pure: no clock, no files, no locks. The controller reads an Image and
// answers with records; the quorum writes the records to the metadata log and
// applies them; brokers apply the same records and so hold the same Image.
//
// An Image never changes after it was made, so anybody may keep and read one.
// Apply shares all that did not change with the image it started from (trees
// with copy on write), so a step costs what it changes and not what there is.
// Steps are taken by one goroutine at a time; readers need no lock.
//
// If the codec is wrong, Kafka cannot read our log nor we Kafka's. If Apply is
// wrong, brokers and controller disagree on who leads what, and data is lost.
package meta
