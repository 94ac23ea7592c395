package verify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const protocolGuide = "Kafka protocol guide"

// rawHeader is a request header of version 1, or 2 when flexible.
func rawHeader(key, version int16, flexible bool) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, 7)
	b = binary.BigEndian.AppendUint16(b, uint16(len(ourClientID)))
	b = append(b, ourClientID...)
	if flexible {
		b = append(b, 0)
	}
	return b
}

func framed(parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// closes checks that the broker ends the connection when it gets these bytes.
func (x *exam) closes(what string, frame []byte) {
	x.request = fmt.Sprintf("%s: %x", what, clip(frame))
	c := x.fresh(x.any())
	err := c.send(frame)
	if err == nil {
		_, err = c.receive(x.ctx)
	}
	got := "an answer"
	if err != nil {
		got = err.Error()
	}
	x.that(errors.Is(err, errDisconnected), "the connection is closed", "%s", got)
}

func frameRules() []rule {
	return []rule{
		{name: "frame/unknown-api", key: kmsg.ApiVersions, says: "A request of an API that does not exist ends the connection.", cites: protocolGuide + ", ApiVersions",
			run: func(x *exam) {
				x.closes("API 20000", framed(rawHeader(20000, 0, false)))
				x.closes("API -1", framed(rawHeader(-1, 0, false)))
			}},
		{name: "frame/unsupported-version", key: kmsg.Metadata, says: "A request at a version that is not advertised ends the connection; only ApiVersions is answered.", cites: "KIP-35",
			run: func(x *exam) {
				x.closes("Metadata v99", framed(rawHeader(3, 99, true), make([]byte, 30)))
				x.closes("Metadata v-1", framed(rawHeader(3, -1, false), make([]byte, 30)))
			}},
		{name: "frame/size", key: kmsg.ApiVersions, says: "A frame that claims a negative size, or more than socket.request.max.bytes, ends the connection.", cites: "Kafka documentation, socket.request.max.bytes",
			run: func(x *exam) {
				x.closes("a frame of -1 bytes", []byte{0xff, 0xff, 0xff, 0xff, 0, 0})
				x.closes("a frame of 2 GiB", []byte{0x7f, 0xff, 0xff, 0xff, 0, 0})
			}},
		{name: "frame/cut-body", key: kmsg.Metadata, says: "A request whose body ends too early ends the connection.", cites: protocolGuide,
			run: func(x *exam) {
				req := kmsg.NewPtrMetadataRequest()
				req.Version = x.version
				req.Topics = []kmsg.MetadataRequestTopic{{Topic: ptr("x")}}
				f := kmsg.NewRequestFormatter().AppendRequest(nil, req, 7)
				x.closes("a body cut by 2 bytes", framed(f[4:len(f)-2]))
			}},
		{name: "frame/order", key: kmsg.ApiVersions, says: "Requests that arrive together on one connection are answered in their order, each with its correlation id.", cites: protocolGuide + ", network",
			run: func(x *exam) { x.inOrder(x.mixture(20)) }},
		{name: "frame/long-poll-order", key: kmsg.Fetch, says: "An answer waits for that of the long poll before it.", cites: protocolGuide + ", network",
			run: func(x *exam) {
				t := x.topic(1)
				f := x.fetchRequest(t, 0)
				f.MaxWaitMillis, f.MinBytes = 300, 1<<20
				f.Version = x.version
				x.inOrderAt(x.leader(t, 0), []kmsg.Request{f, kmsg.NewPtrApiVersionsRequest()})
			}},
		{name: "frame/pieces", key: kmsg.ApiVersions, says: "A request may arrive in any pieces.", cites: protocolGuide + ", network",
			run: func(x *exam) {
				c := x.fresh(x.any())
				req := kmsg.NewPtrApiVersionsRequest()
				req.ClientSoftwareName, req.ClientSoftwareVersion, req.Version = ourClientID, "1", x.version
				frame, id := c.frame(req)
				x.request = describe(req)
				for _, b := range frame {
					x.must(c.send([]byte{b}) == nil, "the connection stays", "it was closed")
				}
				b, err := c.receive(x.ctx)
				if err == nil {
					_, err = decode(b, id, req)
				}
				x.that(err == nil, "an answer", "%v", err)
			}},
		{name: "frame/null-client-id", key: kmsg.Metadata, says: "The client id may be null.", cites: protocolGuide + ", request header",
			run: func(x *exam) {
				c := x.fresh(x.any())
				c.f = kmsg.NewRequestFormatter()
				req := kmsg.NewPtrMetadataRequest()
				req.Version, req.Topics = x.version, []kmsg.MetadataRequestTopic{}
				_, err := c.ask(x.ctx, req)
				x.that(err == nil, "an answer", "%v", err)
			}},
		{name: "frame/unknown-tags", key: kmsg.Metadata, min: 9, says: "Tagged fields that a broker does not know are ignored, in header and body.", cites: "KIP-482",
			run: func(x *exam) {
				req := kmsg.NewPtrMetadataRequest()
				req.Topics = []kmsg.MetadataRequestTopic{}
				req.UnknownTags.Set(7777, []byte("hi"))
				_, err := x.try(x.any(), req)
				x.that(err == nil, "an answer", "%v", err)
			}},
	}
}

// mixture is n requests of two APIs in turn.
func (x *exam) mixture(n int) []kmsg.Request {
	var out []kmsg.Request
	for i := range n {
		if i%2 == 0 {
			m := kmsg.NewPtrMetadataRequest()
			m.Version, m.Topics = x.cluster.highest(m.Key()), []kmsg.MetadataRequestTopic{}
			out = append(out, m)
			continue
		}
		a := kmsg.NewPtrApiVersionsRequest()
		a.Version, a.ClientSoftwareName, a.ClientSoftwareVersion = x.version, ourClientID, "1"
		out = append(out, a)
	}
	return out
}

func (x *exam) inOrder(reqs []kmsg.Request) { x.inOrderAt(x.any(), reqs) }

// inOrderAt writes all requests at once and checks that the answers keep the order.
func (x *exam) inOrderAt(broker int32, reqs []kmsg.Request) {
	c := x.fresh(broker)
	var all []byte
	var ids []int32
	for _, r := range reqs {
		f, id := c.frame(r)
		all, ids = append(all, f...), append(ids, id)
	}
	x.request = fmt.Sprintf("%d requests in one write", len(reqs))
	x.must(c.send(all) == nil, "the connection stays", "it was closed")
	for i, r := range reqs {
		b, err := c.receive(x.ctx)
		if err == nil {
			_, err = decode(b, ids[i], r)
		}
		x.must(err == nil, fmt.Sprintf("answer %d is that to request %d", i, i), "%v", err)
	}
}

func apiVersionsRules() []rule {
	return []rule{
		{name: "api-versions/unknown-version", key: kmsg.ApiVersions, min: 3, says: "ApiVersions at a version that is not served is answered in the format of version 0, with UNSUPPORTED_VERSION and the versions of ApiVersions that are.", cites: "KIP-511",
			run: func(x *exam) {
				c := x.fresh(x.any())
				frame := framed(rawHeader(18, 99, true), make([]byte, 6))
				x.request = "ApiVersions v99"
				x.must(c.send(frame) == nil, "the connection stays", "it was closed")
				b, err := c.receive(x.ctx)
				x.must(err == nil, "an answer", "%v", err)
				resp, err := decode(b, 7, kmsg.NewPtrApiVersionsRequest())
				x.must(err == nil, "an answer in the format of version 0", "%v", err)
				av := resp.(*kmsg.ApiVersionsResponse)
				x.code("the answer", av.ErrorCode, codeUnsupportedVersion)
				x.that(slices.ContainsFunc(av.ApiKeys, func(k kmsg.ApiVersionsResponseApiKey) bool { return k.ApiKey == 18 }), "the versions of ApiVersions", "they are not in the answer")
				_, err = c.ask(x.ctx, kmsg.NewPtrApiVersionsRequest())
				x.that(err == nil, "the connection serves the next request", "%v", err)
			}},
		{name: "api-versions/table", key: kmsg.ApiVersions, says: "The list of APIs is the same at every version of ApiVersions, each API once, with its lowest version not above its highest.", cites: "KIP-35",
			run: func(x *exam) {
				req := kmsg.NewPtrApiVersionsRequest()
				req.ClientSoftwareName, req.ClientSoftwareVersion = ourClientID, "1"
				av := ask[*kmsg.ApiVersionsResponse](x, req)
				x.ok("the answer", av.ErrorCode)
				seen, said := map[int16]bool{}, x.cluster.said[x.any()]
				for _, k := range av.ApiKeys {
					x.that(!seen[k.ApiKey], "each API once", "%s twice", apiName(k.ApiKey))
					seen[k.ApiKey] = true
					x.that(k.MinVersion >= 0 && k.MinVersion <= k.MaxVersion, apiName(k.ApiKey)+" with an honest range", "%d to %d", k.MinVersion, k.MaxVersion)
					x.that(said[k.ApiKey] == span{k.MinVersion, k.MaxVersion}, fmt.Sprintf("%s %v as at version 0", apiName(k.ApiKey), said[k.ApiKey]), "%d to %d", k.MinVersion, k.MaxVersion)
				}
				equal(x, "the number of APIs is", len(seen), len(said))
			}},
		{name: "api-versions/software-name", key: kmsg.ApiVersions, min: 3, says: "A client's software name and version are of letters, digits, dots and dashes; others are INVALID_REQUEST.", cites: "KIP-511",
			run: func(x *exam) {
				req := kmsg.NewPtrApiVersionsRequest()
				req.ClientSoftwareName, req.ClientSoftwareVersion = "not good!", ""
				x.code("the answer", ask[*kmsg.ApiVersionsResponse](x, req).ErrorCode, codeInvalidRequest)
			}},
		{name: "api-versions/features", key: kmsg.ApiVersions, min: 3, says: "Each finalized feature lies within what the broker supports, and below version 4 no supported feature shows a lowest level of 0.", cites: "KIP-584, KIP-1022, KAFKA-17011",
			run: func(x *exam) {
				req := kmsg.NewPtrApiVersionsRequest()
				req.ClientSoftwareName, req.ClientSoftwareVersion = ourClientID, "1"
				av := ask[*kmsg.ApiVersionsResponse](x, req)
				supported := map[string]kmsg.ApiVersionsResponseSupportedFeature{}
				for _, f := range av.SupportedFeatures {
					supported[f.Name] = f
					x.that(f.MinVersion <= f.MaxVersion && (f.MinVersion > 0 || x.version >= 4), f.Name+" with an honest range", "%d to %d", f.MinVersion, f.MaxVersion)
				}
				for _, f := range av.FinalizedFeatures {
					s, ok := supported[f.Name]
					if !ok && x.version < 4 {
						continue // its lowest level is 0, which older clients cannot read
					}
					x.that(ok && f.MaxVersionLevel <= s.MaxVersion && f.MinVersionLevel <= f.MaxVersionLevel, fmt.Sprintf("%s within %d to %d", f.Name, s.MinVersion, s.MaxVersion), "%d to %d", f.MinVersionLevel, f.MaxVersionLevel)
				}
			}},
		{name: "api-versions/baseline", key: kmsg.ApiVersions, says: "What clients since Kafka 2.1 need is served: each API of KIP-896's list at its baseline version.", cites: "KIP-896",
			run: func(x *exam) {
				for key, v := range baseline() {
					s, ok := x.cluster.table[int16(key)]
					x.that(ok && s.low <= v && s.high >= v, where(key, v), "%d to %d", s.low, s.high)
				}
			}},
		{name: "api-versions/produce-zero", key: kmsg.Produce, max: 3, says: "Produce is listed from version 0, which librdkafka looks for before it compresses, and 0 to 2 are refused.", cites: "KAFKA-18659",
			run: func(x *exam) {
				equal(x, "the lowest listed version of Produce is", x.cluster.table[0].low, 0)
				for v := range int16(3) {
					x.closes(where(kmsg.Produce, v), framed(rawHeader(0, v, false), []byte{0, 1, 0, 0, 3, 0xe8, 0, 0, 0, 0}))
				}
			}},
		{name: "api-versions/same-everywhere", key: kmsg.ApiVersions, nodes: 2, says: "Brokers of one release advertise the same; where they do not, clients use what is common.", cites: "KIP-35",
			run: func(x *exam) {
				for _, id := range x.cluster.nodes() {
					equal(x, fmt.Sprintf("the number of APIs of broker %d is", id), len(x.cluster.said[id]), len(x.cluster.table))
				}
			}},
	}
}

// baseline are the versions that the oldest supported clients speak.
func baseline() map[kmsg.Key]int16 {
	return map[kmsg.Key]int16{kmsg.Produce: 3, kmsg.Fetch: 4, kmsg.ListOffsets: 1, kmsg.Metadata: 4, kmsg.OffsetCommit: 2, kmsg.OffsetFetch: 1, kmsg.FindCoordinator: 0,
		kmsg.JoinGroup: 2, kmsg.Heartbeat: 0, kmsg.LeaveGroup: 0, kmsg.SyncGroup: 0, kmsg.DescribeGroups: 0, kmsg.ListGroups: 0, kmsg.ApiVersions: 0, kmsg.CreateTopics: 2, kmsg.DeleteTopics: 1,
		kmsg.InitProducerID: 0, kmsg.AddPartitionsToTxn: 0, kmsg.AddOffsetsToTxn: 0, kmsg.EndTxn: 0, kmsg.TxnOffsetCommit: 0, kmsg.DescribeConfigs: 1}
}
