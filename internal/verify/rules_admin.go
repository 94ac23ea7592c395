package verify

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func adminRules() []rule {
	return []rule{
		{name: "elect-leaders/not-needed", key: kmsg.ElectLeaders, says: "Where the preferred replica leads already an election is ELECTION_NOT_NEEDED; a topic that does not exist is UNKNOWN_TOPIC_OR_PARTITION.", cites: "KIP-460",
			run: func(x *exam) {
				t := x.topic(1)
				req := kmsg.NewPtrElectLeadersRequest()
				req.TimeoutMillis = requestTimeoutMs
				req.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: t.name, Partitions: []int32{0}}, {Topic: x.prefix + "never", Partitions: []int32{0}}}
				resp := ask[*kmsg.ElectLeadersResponse](x, req)
				x.ok("the answer", resp.ErrorCode)
				x.count("two topics in the answer", len(resp.Topics), 2)
				for _, a := range resp.Topics {
					want := codeElectionNotNeeded
					if a.Topic != t.name {
						want = codeUnknownTopic
					}
					x.code("topic "+a.Topic, a.Partitions[0].ErrorCode, want)
				}
			}},
		{name: "reassignments/nothing", key: kmsg.AlterPartitionAssignments, says: "Cancelling where nothing is moved is NO_REASSIGNMENT_IN_PROGRESS; a topic that does not exist is UNKNOWN_TOPIC_OR_PARTITION.", cites: "KIP-455",
			run: func(x *exam) {
				t := x.topic(1)
				x.code("cancelling", x.reassign(t, nil), codeNoReassignment)
				x.code("an unknown topic", x.reassign(&topic{name: x.prefix + "never"}, []int32{x.any()}), codeUnknownTopic)
				x.code("a broker that does not exist", x.reassign(t, []int32{2147483}), codeInvalidAssignment)
				x.code("a broker twice", x.reassign(t, []int32{x.any(), x.any()}), codeInvalidAssignment)
			}},
		{name: "reassignments/move", key: kmsg.AlterPartitionAssignments, nodes: 2, more: []kmsg.Key{kmsg.ListPartitionReassignments}, says: "A replica that is moved takes over with all records.", cites: "KIP-455",
			run: func(x *exam) {
				name := x.name("t")
				from, to := x.cluster.nodes()[0], x.cluster.nodes()[1]
				req := kmsg.NewPtrCreateTopicsRequest()
				req.TimeoutMillis, req.Topics = requestTimeoutMs, []kmsg.CreateTopicsRequestTopic{assigned(name, map[int32][]int32{0: {from}})}
				x.ok("the topic", ask[*kmsg.CreateTopicsResponse](x, req).Topics[0].ErrorCode)
				t := &topic{name: name, partitions: 1}
				x.await(t)
				x.produced(t, newBatch(5))
				x.code("the move", x.reassign(t, []int32{to}), 0)
				x.eventually("the replica has moved", func() bool {
					md := x.metadata(x.any(), name)
					return len(md.Partitions) == 1 && words(md.Partitions[0].Replicas) == words([]int32{to}) && md.Partitions[0].Leader == to
				})
				x.await(t)
				x.eventually("the records are there", func() bool { return x.listOne(t, 0, listLatest, 0).Offset == 5 })
				x.readsBack(t, 5)
			}},
		{name: "reassignments/list", key: kmsg.ListPartitionReassignments, says: "Where nothing is moved nothing is listed.", cites: "KIP-455",
			run: func(x *exam) {
				req := kmsg.NewPtrListPartitionReassignmentsRequest()
				req.TimeoutMillis = requestTimeoutMs
				req.Topics = []kmsg.ListPartitionReassignmentsRequestTopic{{Topic: x.main.name, Partitions: []int32{0, 1}}}
				resp := ask[*kmsg.ListPartitionReassignmentsResponse](x, req)
				x.ok("the answer", resp.ErrorCode)
				equal(x, "topics", len(resp.Topics), 0)
			}},
	}
}

// logDirRules are about the directories of replicas.
func logDirRules() []rule {
	return []rule{
		{name: "log-dirs/describe", key: kmsg.DescribeLogDirs, says: "A replica is shown in one log directory of its broker, with a size.", cites: "KIP-113",
			run: func(x *exam) {
				req := kmsg.NewPtrDescribeLogDirsRequest()
				req.Topics = []kmsg.DescribeLogDirsRequestTopic{{Topic: x.main.name, Partitions: []int32{0}}}
				resp := askLeader[*kmsg.DescribeLogDirsResponse](x, x.main, req)
				n := 0
				for _, d := range resp.Dirs {
					x.ok("directory "+d.Dir, d.ErrorCode)
					for _, t := range d.Topics {
						equal(x, "topic", t.Topic, x.main.name)
						for _, p := range t.Partitions {
							n++
							x.that(p.Size > 0 && !p.IsFuture, "a size", "%d", p.Size)
						}
					}
				}
				equal(x, "directories that hold it", n, 1)
			}},
		{name: "log-dirs/alter-unknown", key: kmsg.AlterReplicaLogDirs, says: "A directory that the broker does not have is LOG_DIR_NOT_FOUND.", cites: "KIP-113",
			run: func(x *exam) {
				req := kmsg.NewPtrAlterReplicaLogDirsRequest()
				req.Dirs = []kmsg.AlterReplicaLogDirsRequestDir{{Dir: "/" + x.prefix + "nowhere", Topics: []kmsg.AlterReplicaLogDirsRequestDirTopic{{Topic: x.main.name, Partitions: []int32{0}}}}}
				resp := askLeader[*kmsg.AlterReplicaLogDirsResponse](x, x.main, req)
				x.must(len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1, "one partition in the answer", "%+v", resp.Topics)
				x.code("the partition", resp.Topics[0].Partitions[0].ErrorCode, codeLogDirNotFound)
			}},
	}
}

// quotaRules are about quotas of clients.
func quotaRules() []rule {
	return []rule{
		{name: "quotas/validate", key: kmsg.AlterClientQuotas, says: "A quota is checked and with validateOnly not set; one that does not exist is INVALID_REQUEST.", cites: "KIP-546",
			run: func(x *exam) {
				client := x.name("client")
				x.code("a quota", x.quota(client, "producer_byte_rate"), 0)
				x.code("a quota that does not exist", x.quota(client, "no_such_rate"), codeInvalidRequest)
				req := kmsg.NewPtrDescribeClientQuotasRequest()
				req.Components = []kmsg.DescribeClientQuotasRequestComponent{{EntityType: "client-id", MatchType: kmsg.QuotasMatchTypeExact, Match: &client}}
				equal(x, "quotas that are set", len(ask[*kmsg.DescribeClientQuotasResponse](x, req).Entries), 0)
			}},
		{name: "quotas/describe", key: kmsg.DescribeClientQuotas, says: "Quotas of nobody are none.", cites: "KIP-546",
			run: func(x *exam) {
				req := kmsg.NewPtrDescribeClientQuotasRequest()
				req.Components = []kmsg.DescribeClientQuotasRequestComponent{{EntityType: "client-id", MatchType: kmsg.QuotasMatchTypeExact, Match: ptr(x.name("client"))}}
				resp := ask[*kmsg.DescribeClientQuotasResponse](x, req)
				x.ok("the answer", resp.ErrorCode)
				equal(x, "quotas", len(resp.Entries), 0)
			}},
	}
}

// membershipRules are about features, brokers and voters, asked in forms that must be refused.
func membershipRules() []rule {
	return []rule{
		{name: "features/unknown", key: kmsg.UpdateFeatures, says: "A feature that the cluster does not know cannot be set: FEATURE_UPDATE_FAILED.", cites: "KIP-584, KIP-1022",
			run: func(x *exam) {
				req := kmsg.NewPtrUpdateFeaturesRequest()
				req.TimeoutMillis, req.ValidateOnly = requestTimeoutMs, true
				u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
				u.Feature, u.MaxVersionLevel, u.UpgradeType = x.prefix+"feature", 1, 1
				req.FeatureUpdates = append(req.FeatureUpdates, u)
				resp := ask[*kmsg.UpdateFeaturesResponse](x, req)
				c := resp.ErrorCode
				for _, r := range resp.Results {
					if c == 0 {
						c = r.ErrorCode
					}
				}
				x.code("the feature", c, codeFeatureUpdateFailed)
			}},
		{name: "brokers/unregister-unknown", key: kmsg.UnregisterBroker, says: "A broker that is not registered cannot be unregistered: BROKER_ID_NOT_REGISTERED.", cites: "KIP-631",
			run: func(x *exam) {
				req := kmsg.NewPtrUnregisterBrokerRequest()
				req.BrokerID = 2147483
				x.code("the answer", ask[*kmsg.UnregisterBrokerResponse](x, req).ErrorCode, codeBrokerNotRegistered)
			}},
		{name: "quorum/describe", key: kmsg.DescribeQuorum, says: "The metadata quorum has a leader among its voters; another topic has no quorum.", cites: "KIP-595, KIP-836",
			run: func(x *exam) {
				one := func(name string) kmsg.DescribeQuorumResponseTopicPartition {
					req := kmsg.NewPtrDescribeQuorumRequest()
					req.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: name, Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{}}}}
					resp := ask[*kmsg.DescribeQuorumResponse](x, req)
					x.must(len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1, "one partition in the answer", "%+v", resp.Topics)
					return resp.Topics[0].Partitions[0]
				}
				p := one("__cluster_metadata")
				x.ok("the metadata", p.ErrorCode)
				x.that(slices.ContainsFunc(p.CurrentVoters, func(v kmsg.DescribeQuorumResponseTopicPartitionReplicaState) bool { return v.ReplicaID == p.LeaderID }), "a leader among the voters", "%d of %d voters", p.LeaderID, len(p.CurrentVoters))
				x.that(p.HighWatermark > 0 && p.LeaderEpoch > 0, "an epoch and a high watermark", "%d and %d", p.LeaderEpoch, p.HighWatermark)
				x.code("another topic", one(x.main.name).ErrorCode, codeUnknownTopic)
			}},
		{name: "quorum/foreign-voter", key: kmsg.AddRaftVoter, says: "A voter of another cluster is not added: INCONSISTENT_CLUSTER_ID.", cites: "KIP-853",
			run: func(x *exam) {
				req := kmsg.NewPtrAddRaftVoterRequest()
				req.ClusterID, req.TimeoutMillis, req.VoterID, req.VoterDirectoryID = ptr("AAAAAAAAAAAAAAAAAAAAAA"), 1000, 2147483, noTopicID
				l := kmsg.NewAddRaftVoterRequestListener()
				l.Name, l.Host, l.Port = "CONTROLLER", "127.0.0.1", 1
				req.Listeners = append(req.Listeners, l)
				x.code("the answer", ask[*kmsg.AddRaftVoterResponse](x, req).ErrorCode, codeInconsistentClusterID, codeUnsupportedVersion)
			}},
		{name: "quorum/foreign-removal", key: kmsg.RemoveRaftVoter, says: "A voter of another cluster is not removed: INCONSISTENT_CLUSTER_ID.", cites: "KIP-853",
			run: func(x *exam) {
				req := kmsg.NewPtrRemoveRaftVoterRequest()
				req.ClusterID, req.VoterID, req.VoterDirectoryID = ptr("AAAAAAAAAAAAAAAAAAAAAA"), 2147483, noTopicID
				x.code("the answer", ask[*kmsg.RemoveRaftVoterResponse](x, req).ErrorCode, codeInconsistentClusterID, codeUnsupportedVersion)
			}},
	}
}

// telemetryRules are about metrics that clients push.
func telemetryRules() []rule {
	return []rule{
		{name: "telemetry/subscribe", key: kmsg.GetTelemetrySubscriptions, says: "A client that has no id is given one, and the metrics to push.", cites: "KIP-714",
			run: func(x *exam) {
				resp := ask[*kmsg.GetTelemetrySubscriptionsResponse](x, kmsg.NewPtrGetTelemetrySubscriptionsRequest())
				x.ok("the answer", resp.ErrorCode)
				x.that(resp.ClientInstanceID != [16]byte{}, "an id", "none")
				x.that(resp.PushIntervalMillis > 0, "an interval", "%d", resp.PushIntervalMillis)
			}},
		{name: "telemetry/push-unknown", key: kmsg.PushTelemetry, says: "Metrics for another subscription than the client's are UNKNOWN_SUBSCRIPTION_ID, without an id INVALID_REQUEST.", cites: "KIP-714",
			run: func(x *exam) {
				x.code("without an id", ask[*kmsg.PushTelemetryResponse](x, kmsg.NewPtrPushTelemetryRequest()).ErrorCode, codeInvalidRequest)
				sub := ask[*kmsg.GetTelemetrySubscriptionsResponse](x, kmsg.NewPtrGetTelemetrySubscriptionsRequest())
				req := kmsg.NewPtrPushTelemetryRequest()
				req.ClientInstanceID, req.SubscriptionID = sub.ClientInstanceID, sub.SubscriptionID+1
				x.code("another subscription", ask[*kmsg.PushTelemetryResponse](x, req).ErrorCode, codeUnknownSubscription)
			}},
	}
}

// reassign asks for other replicas of partition 0, nil to cancel, and returns the code.
func (x *exam) reassign(t *topic, replicas []int32) int16 {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.TimeoutMillis = requestTimeoutMs
	req.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: t.name, Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Replicas: replicas}}}}
	resp := ask[*kmsg.AlterPartitionAssignmentsResponse](x, req)
	x.ok("the answer", resp.ErrorCode)
	x.must(len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1, "one partition in the answer", "%+v", resp.Topics)
	return resp.Topics[0].Partitions[0].ErrorCode
}

// quota asks whether a quota of a client could be set.
func (x *exam) quota(client, key string) int16 {
	req := kmsg.NewPtrAlterClientQuotasRequest()
	req.ValidateOnly = true
	e := kmsg.NewAlterClientQuotasRequestEntry()
	e.Entity = []kmsg.AlterClientQuotasRequestEntryEntity{{Type: "client-id", Name: &client}}
	e.Ops = []kmsg.AlterClientQuotasRequestEntryOp{{Key: key, Value: 1024}}
	req.Entries = append(req.Entries, e)
	resp := ask[*kmsg.AlterClientQuotasResponse](x, req)
	x.count("one entry in the answer", len(resp.Entries), 1)
	return resp.Entries[0].ErrorCode
}

func securityRules() []rule {
	return []rule{
		{name: "sasl/handshake", key: kmsg.SASLHandshake, says: "On a listener without SASL a handshake is ILLEGAL_SASL_STATE, and so it is after a login; a mechanism that is not enabled is UNSUPPORTED_SASL_MECHANISM.", cites: "KIP-43, KIP-152",
			run: func(x *exam) {
				req := kmsg.NewPtrSASLHandshakeRequest()
				req.Mechanism = "NONSENSE"
				resp, err := x.try(x.any(), req)
				if err != nil && x.cluster.settings.SASL != nil {
					return // a broker may also end a connection that logs in twice
				}
				x.must(err == nil, "a readable answer", "%v", err)
				x.code("the answer", resp.(*kmsg.SASLHandshakeResponse).ErrorCode, codeIllegalSASLState, codeUnsupportedSASL)
			}},
		{name: "sasl/authenticate", key: kmsg.SASLAuthenticate, says: "Without a handshake SaslAuthenticate is ILLEGAL_SASL_STATE.", cites: "KIP-152",
			run: func(x *exam) {
				if x.cluster.settings.SASL != nil {
					x.skip("this client logs in by SASL")
				}
				resp := once[*kmsg.SASLAuthenticateResponse](x, x.any(), kmsg.NewPtrSASLAuthenticateRequest())
				x.code("the answer", resp.ErrorCode, codeIllegalSASLState)
			}},
		{name: "acls/describe", key: kmsg.DescribeACLs, says: aclSays, cites: "KIP-140", run: aclLife},
		{name: "acls/create", key: kmsg.CreateACLs, says: aclSays, cites: "KIP-140", run: aclLife},
		{name: "acls/delete", key: kmsg.DeleteACLs, says: aclSays, cites: "KIP-140", run: aclLife},
	}
}

// scramRules are about SCRAM credentials.
func scramRules() []rule {
	return []rule{
		{name: "scram/describe-unknown", key: kmsg.DescribeUserSCRAMCredentials, says: "Credentials of a user without any are RESOURCE_NOT_FOUND.", cites: "KIP-554",
			run: func(x *exam) {
				user := x.name("user")
				req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
				req.Users = []kmsg.DescribeUserSCRAMCredentialsRequestUser{{Name: user}}
				resp := ask[*kmsg.DescribeUserSCRAMCredentialsResponse](x, req)
				x.ok("the answer", resp.ErrorCode)
				x.count("one user in the answer", len(resp.Results), 1)
				x.code("the user", resp.Results[0].ErrorCode, codeResourceNotFound)
			}},
		{name: "scram/refused", key: kmsg.AlterUserSCRAMCredentials, says: "Credentials that are not there cannot be deleted: RESOURCE_NOT_FOUND; too few iterations are UNACCEPTABLE_CREDENTIAL.", cites: "KIP-554",
			run: func(x *exam) {
				req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
				req.Deletions = []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: x.name("user"), Mechanism: 1}}
				req.Upsertions = []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{{Name: x.name("user"), Mechanism: 1, Iterations: 1, Salt: []byte("salt"), SaltedPassword: make([]byte, 32)}}
				resp := ask[*kmsg.AlterUserSCRAMCredentialsResponse](x, req)
				x.count("two users in the answer", len(resp.Results), 2)
				for _, r := range resp.Results {
					want := codeUnacceptableCredential
					if r.User == req.Deletions[0].Name {
						want = codeResourceNotFound
					}
					x.code("user "+r.User, r.ErrorCode, want)
				}
			}},
	}
}

// tokenRules are about delegation tokens.
func tokenRules() []rule {
	return []rule{
		{name: "tokens/describe", key: kmsg.DescribeDelegationToken, says: tokenSays, cites: "KIP-48", run: func(x *exam) {
			req := kmsg.NewPtrDescribeDelegationTokenRequest()
			req.Owners = []kmsg.DescribeDelegationTokenRequestOwner{{PrincipalType: "User", PrincipalName: x.name("user")}}
			resp := ask[*kmsg.DescribeDelegationTokenResponse](x, req)
			x.code("the answer", resp.ErrorCode, x.tokens(0)...)
			equal(x, "tokens of nobody", len(resp.TokenDetails), 0)
		}},
		{name: "tokens/create", key: kmsg.CreateDelegationToken, says: tokenSays, cites: "KIP-48", run: func(x *exam) {
			if x.cluster.settings.SASL != nil {
				x.skip("this client may get a token, which would have to be removed by the user")
			}
			x.code("the answer", ask[*kmsg.CreateDelegationTokenResponse](x, kmsg.NewPtrCreateDelegationTokenRequest()).ErrorCode, codeTokenNotAllowed, codeTokenAuthDisabled)
		}},
		{name: "tokens/renew", key: kmsg.RenewDelegationToken, says: tokenSays, cites: "KIP-48", run: func(x *exam) {
			req := kmsg.NewPtrRenewDelegationTokenRequest()
			req.HMAC = []byte("nobody's")
			x.code("the answer", ask[*kmsg.RenewDelegationTokenResponse](x, req).ErrorCode, x.tokens(codeTokenNotFound)...)
		}},
		{name: "tokens/expire", key: kmsg.ExpireDelegationToken, says: tokenSays, cites: "KIP-48", run: func(x *exam) {
			req := kmsg.NewPtrExpireDelegationTokenRequest()
			req.HMAC = []byte("nobody's")
			x.code("the answer", ask[*kmsg.ExpireDelegationTokenResponse](x, req).ErrorCode, x.tokens(codeTokenNotFound)...)
		}},
	}
}

const tokenSays = "Delegation tokens are for clients that log in, but not by a token: others are DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, and where tokens are off all are DELEGATION_TOKEN_AUTH_DISABLED."

// tokens are the right codes of a request about tokens.
func (x *exam) tokens(loggedIn int16) []int16 {
	if x.cluster.settings.SASL == nil && x.cluster.settings.TLS == nil {
		return []int16{codeTokenNotAllowed, codeTokenAuthDisabled}
	}
	return []int16{loggedIn, codeTokenAuthDisabled, codeTokenNotAllowed}
}

const aclSays = "An ACL is created, found and deleted; without an authorizer all three are SECURITY_DISABLED."

// aclLife makes an ACL for a topic that nobody has and a user that nobody is.
func aclLife(x *exam) {
	name, who := x.name("t"), "User:"+x.name("user")
	describe := kmsg.NewPtrDescribeACLsRequest()
	describe.ResourceType, describe.ResourceName, describe.ResourcePatternType = kmsg.ACLResourceTypeTopic, &name, kmsg.ACLResourcePatternTypeLiteral
	describe.Operation, describe.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	create := kmsg.NewPtrCreateACLsRequest()
	create.Creations = []kmsg.CreateACLsRequestCreation{{ResourceType: kmsg.ACLResourceTypeTopic, ResourceName: name, ResourcePatternType: kmsg.ACLResourcePatternTypeLiteral,
		Principal: who, Host: "*", Operation: kmsg.ACLOperationRead, PermissionType: kmsg.ACLPermissionTypeAllow}}
	remove := kmsg.NewPtrDeleteACLsRequest()
	f := kmsg.NewDeleteACLsRequestFilter()
	f.ResourceType, f.ResourceName, f.ResourcePatternType, f.Operation, f.PermissionType = kmsg.ACLResourceTypeTopic, &name, kmsg.ACLResourcePatternTypeLiteral, kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	remove.Filters = append(remove.Filters, f)
	first := ask[*kmsg.DescribeACLsResponse](x, describe)
	made := ask[*kmsg.CreateACLsResponse](x, create)
	x.count("one ACL in the answer", len(made.Results), 1)
	if first.ErrorCode == codeClusterAuthorization {
		x.skip("we may not look at ACLs")
	}
	if first.ErrorCode == codeSecurityDisabled {
		x.code("creating", made.Results[0].ErrorCode, codeSecurityDisabled)
		gone := ask[*kmsg.DeleteACLsResponse](x, remove)
		x.count("one filter in the answer", len(gone.Results), 1)
		x.code("deleting", gone.Results[0].ErrorCode, codeSecurityDisabled)
		return
	}
	x.ok("describing", first.ErrorCode)
	if made.Results[0].ErrorCode == codeClusterAuthorization {
		x.skip("we may not create ACLs")
	}
	x.onEnd(func() { x.try(x.any(), remove) })
	x.ok("creating", made.Results[0].ErrorCode)
	count := func() (n int) {
		for _, r := range ask[*kmsg.DescribeACLsResponse](x, describe).Resources {
			n += len(r.ACLs)
		}
		return n
	}
	x.eventually("the ACL is found", func() bool { return count() == 1 })
	gone := ask[*kmsg.DeleteACLsResponse](x, remove)
	x.count("one filter in the answer", len(gone.Results), 1)
	x.ok("deleting", gone.Results[0].ErrorCode)
	equal(x, "ACLs that were deleted", len(gone.Results[0].MatchingACLs), 1)
	x.eventually("the ACL is gone", func() bool { return count() == 0 })
}
