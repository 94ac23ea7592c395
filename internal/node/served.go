package node

import (
	"errors"
	"fmt"
	"strings"

	"github.com/moldau-stream/moldau/internal/config"
)

// checkServed refuses what the settings ask for and this build cannot do yet: to
// start all the same would be to promise a cluster that is not there.
func checkServed(s *config.Config) error {
	if !s.IsBroker() || !s.IsController() {
		return fmt.Errorf("process.roles=%s is not served yet: this build runs one node that is broker and controller in one (process.roles=broker,controller)",
			strings.Join(s.List(config.ProcessRoles), ","))
	}
	voters := s.QuorumVoters()
	if len(voters) > 1 || len(voters) == 1 && voters[0].ID != s.NodeNumber() {
		return fmt.Errorf("controller.quorum.voters names %d voters: a quorum of several controllers is not served yet; name this node alone", len(voters))
	}
	if n := len(s.QuorumBootstrapServers()); n > 1 {
		return errors.New("controller.quorum.bootstrap.servers names several controllers: a quorum of several is not served yet; name this node alone")
	}
	return nil
}
