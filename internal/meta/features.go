package meta

// Names of features.
const (
	FeatureMetadataVersion = "metadata.version"
	FeatureKRaftVersion    = "kraft.version"
	FeatureTransaction     = "transaction.version"
	FeatureGroup           = "group.version"
	FeatureELR             = "eligible.leader.replicas.version"
	FeatureShare           = "share.version"
	FeatureStreams         = "streams.version"
)

// Levels of metadata.version that brought something the code must know of.
const (
	MinMetadataVersion    int16 = 7  // 3.3-IV3, the first that may run without ZooKeeper
	LatestMetadataVersion int16 = 30 // 4.3-IV0

	levelControlledShutdown int16 = 7  // 3.3-IV3: brokers say that they are shutting down
	levelMigration          int16 = 8  // 3.4-IV0
	levelControllers        int16 = 15 // 3.7-IV0: controllers register
	levelDirectories        int16 = 17 // 3.7-IV2: replicas are assigned to log directories
	levelELR                int16 = 23 // 4.0-IV1: eligible leader replicas
	levelCordonedDirs       int16 = 30 // 4.3-IV0: log directories that take no new replicas
)

// DirectoriesSupported says that replicas carry directory ids at a level of metadata.version.
func DirectoriesSupported(level int16) bool { return level >= levelDirectories }

// ControllersSupported says that controllers are registered at a level of metadata.version.
func ControllersSupported(level int16) bool { return level >= levelControllers }

// Feature is one line of the table of what can be switched on for the whole cluster.
type Feature struct {
	Name string
	Min  int16 // the lowest level that Kafka 4.3 accepts
	Max  int16 // the highest level that Kafka 4.3 knows
	// Served is the highest level that this build serves to clients. ApiVersions shows no more, finalized or
	// not, because clients choose their protocol by it: a level that is shown and not served makes them speak
	// what nobody answers. In the metadata every level of Kafka's is understood and kept.
	Served int16
}

// Features is the table, sorted as Kafka lists it.
func Features() []Feature {
	return []Feature{
		{FeatureELR, 0, 1, 1},   // kept by the controller
		{FeatureGroup, 0, 1, 1}, // 1 makes clients use group.protocol=consumer
		{FeatureKRaftVersion, 0, 1, 1},
		{FeatureMetadataVersion, MinMetadataVersion, LatestMetadataVersion, LatestMetadataVersion},
		{FeatureShare, 0, 1, 0},       // 1 makes clients use share groups
		{FeatureStreams, 0, 1, 0},     // 1 makes Kafka Streams use its own group protocol
		{FeatureTransaction, 0, 2, 2}, // 1 and 2 change the transaction log's format; 2 makes producers bump epochs at every commit
	}
}

// FeatureNamed is one line of the table.
func FeatureNamed(name string) (Feature, bool) {
	for _, f := range Features() {
		if f.Name == name {
			return f, true
		}
	}
	return Feature{}, false
}

// AdvertisedFeatures is what a node of this build says to the controller that it supports: every level whose
// records it understands.
func AdvertisedFeatures() []FeatureRange {
	var out []FeatureRange
	for _, f := range Features() {
		out = append(out, FeatureRange{Name: f.Name, MinSupportedVersion: f.Min, MaxSupportedVersion: f.Max})
	}
	return out
}

// BootstrapRecords is the metadata of a new cluster as kafka-storage format writes it: metadata.version first,
// then every other feature at its highest level, by name. kraft.version is not a metadata record: it stands in control records.
func BootstrapRecords() []Record {
	out := []Record{&FeatureLevelRecord{Name: FeatureMetadataVersion, FeatureLevel: LatestMetadataVersion}}
	for _, f := range Features() {
		if f.Name != FeatureMetadataVersion && f.Name != FeatureKRaftVersion {
			out = append(out, &FeatureLevelRecord{Name: f.Name, FeatureLevel: f.Max})
		}
	}
	return out
}

// MetadataVersionNames are the names of the levels of metadata.version, from MinMetadataVersion on.
func MetadataVersionNames() []string {
	return []string{
		"3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2",
		"3.7-IV0", "3.7-IV1", "3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0",
		"4.0-IV0", "4.0-IV1", "4.0-IV2", "4.0-IV3", "4.1-IV0", "4.1-IV1", "4.2-IV0", "4.2-IV1", "4.3-IV0",
	}
}

// MetadataVersionName is the name of a level, and whether there is such a level.
func MetadataVersionName(level int16) (string, bool) {
	names := MetadataVersionNames()
	if level < MinMetadataVersion || int(level-MinMetadataVersion) >= len(names) {
		return "", false
	}
	return names[level-MinMetadataVersion], true
}
