package quorum

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/vfs"
)

const quorumStateName = "quorum-state"

// quorumStateV0 is Kafka's file while the voters are configured statically (kraft.version 0).
type quorumStateV0 struct {
	ClusterID     string          `json:"clusterId"`
	LeaderID      int32           `json:"leaderId"`
	LeaderEpoch   int32           `json:"leaderEpoch"`
	VotedID       int32           `json:"votedId"`
	AppliedOffset int64           `json:"appliedOffset"`
	CurrentVoters []quorumVoterV0 `json:"currentVoters"`
	DataVersion   int16           `json:"data_version"`
}

type quorumVoterV0 struct {
	VoterID int32 `json:"voterId"`
}

// quorumStateV1 is Kafka's file while the voters stand in the log (kraft.version 1).
type quorumStateV1 struct {
	LeaderID         int32  `json:"leaderId"`
	LeaderEpoch      int32  `json:"leaderEpoch"`
	VotedID          int32  `json:"votedId"`
	VotedDirectoryID string `json:"votedDirectoryId"`
	DataVersion      int16  `json:"data_version"`
}

// quorumState is what the loop has to say; leader and vote are -1 when there is none.
type quorumState struct {
	leader, epoch, vote int32
}

// write puts the file in place. It is for Kafka and its tools: we ourselves trust the WAL.
func (q quorumState) write(fsys vfs.FS, dir string, kraftVersion int16, voters []int32) error {
	var v any
	if kraftVersion == 0 {
		s := quorumStateV0{LeaderID: q.leader, LeaderEpoch: q.epoch, VotedID: q.vote, CurrentVoters: []quorumVoterV0{}}
		for _, id := range voters {
			s.CurrentVoters = append(s.CurrentVoters, quorumVoterV0{id})
		}
		v = s
	} else {
		v = quorumStateV1{LeaderID: q.leader, LeaderEpoch: q.epoch, VotedID: q.vote, VotedDirectoryID: meta.FormatUUID(meta.UUID{}), DataVersion: 1}
	}
	data, err := json.Marshal(v)
	if err == nil {
		err = vfs.WriteFileAtomic(fsys, path.Join(dir, quorumStateName), data)
	}
	if err != nil {
		return fmt.Errorf("cannot write the quorum state: %w", err)
	}
	return nil
}

// readQuorumEpoch is the epoch that a foreign quorum-state names, 0 without the file.
func readQuorumEpoch(fsys vfs.FS, dir string) (int32, error) {
	name := path.Join(dir, quorumStateName)
	data, err := readSmallFile(fsys, name)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	var s quorumStateV1
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		return 0, fmt.Errorf("cannot read the quorum state %s: %w", name, err)
	}
	return s.LeaderEpoch, nil
}
