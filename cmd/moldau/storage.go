package main

import (
	"time"

	"github.com/moldau-stream/moldau/internal/cli"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/quorum"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// storageWriter is how kafka-storage format leaves its marks: in the formats that nodes read.
func storageWriter() cli.StorageWriter {
	return cli.StorageWriter{
		MetaProperties: func(dir string, m cli.MetaProperties) error {
			return storage.WriteMetaProperties(vfs.OS{}, dir, storage.MetaProperties{
				ClusterID: m.ClusterID, NodeID: m.NodeID, DirectoryID: m.DirectoryID,
			})
		},
		Bootstrap: func(dir string, b cli.BootstrapMetadata) error {
			return quorum.WriteBootstrap(vfs.OS{}, dir, time.Now().UnixMilli(), bootstrapRecords(b))
		},
		Voters: func(dir string, kraftVersion int16, voters []cli.Voter) error {
			return quorum.WriteVoters(vfs.OS{}, dir, time.Now().UnixMilli(), kraftVersion, recordVoters(kraftVersion, voters))
		},
	}
}

// bootstrapRecords is what a new cluster starts with, in Kafka's order.
func bootstrapRecords(b cli.BootstrapMetadata) []meta.Record {
	out := []meta.Record{&meta.FeatureLevelRecord{Name: meta.FeatureMetadataVersion, FeatureLevel: b.MetadataVersion}}
	for _, f := range b.Features {
		out = append(out, &meta.FeatureLevelRecord{Name: f.Name, FeatureLevel: f.Level})
	}
	for _, c := range b.Scram {
		out = append(out, &meta.UserScramCredentialRecord{
			Name: c.User, Mechanism: c.Mechanism, Salt: c.Salt, StoredKey: c.StoredKey, ServerKey: c.ServerKey, Iterations: c.Iterations,
		})
	}
	return out
}

func recordVoters(kraftVersion int16, voters []cli.Voter) []record.Voter {
	var out []record.Voter
	for _, v := range voters {
		out = append(out, record.Voter{
			ReplicaKey:      record.ReplicaKey{ID: v.ID, DirectoryID: v.DirectoryID},
			Endpoints:       []record.VoterEndpoint{{Name: v.Listener, Host: v.Host, Port: v.Port}},
			MaxKRaftVersion: kraftVersion,
		})
	}
	return out
}
