package client

import (
	"crypto/tls"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl"
)

// RequestTimeoutMs is request.timeout.ms where it is not set.
const RequestTimeoutMs = 30000

// Settings are client properties, read and checked.
type Settings struct {
	Role              Role
	legacy            bool // logs as the admin client that Kafka had before
	Bootstrap         []string
	ClientID          string
	APITimeout        time.Duration // default.api.timeout.ms: how long a call may try
	RequestTimeout    time.Duration
	RetryBackoff      time.Duration
	RetryBackoffMax   time.Duration
	MetadataMaxAge    time.Duration
	MaxIdle           time.Duration
	DialTimeout       time.Duration
	TLS               *tls.Config
	SASL              sasl.Mechanism
	Producer          ProducerSettings
	Consumer          ConsumerSettings
	BootstrapIsQuorum bool // bootstrap.controllers was given

	// Remarks are sentences about keys that are unknown or without effect.
	Remarks []string
}

// ProducerSettings are the keys that only producers have.
type ProducerSettings struct {
	Acks            string // all, 0 or 1
	BatchBytes      int64
	BatchBytesSet   bool
	BufferBytes     int64
	Codec           string
	CodecLevel      int
	HasCodecLevel   bool
	DeliveryTimeout time.Duration
	Idempotence     bool
	IdempotenceSet  bool
	Linger          time.Duration
	MaxBlock        time.Duration
	MaxInFlight     int64
	MaxRequestBytes int64
	Retries         int64
	IgnoreKeys      bool
	Adaptive        bool
	Partitioner     string
	TransactionalID string
	TxnTimeout      time.Duration

	largest largestBatches // see LearnBatchLimit
}

// ConsumerSettings are the keys that only consumers have.
type ConsumerSettings struct {
	GroupID         string
	InstanceID      string
	Protocol        string // classic or consumer
	AutoCommit      bool
	CommitInterval  time.Duration
	OffsetReset     string
	AllowAutoCreate bool
	CheckCRCs       bool
	Rack            string
	ExcludeInternal bool
	FetchMaxBytes   int64
	FetchMaxWait    time.Duration
	FetchMinBytes   int64
	PartitionBytes  int64
	MaxPollRecords  int64
	MaxPollInterval time.Duration
	SessionTimeout  time.Duration
	Heartbeat       time.Duration
	ReadCommitted   bool
	Assignors       []string // of a classic group's members
	RemoteAssignor  string   // the broker's, with the protocol consumer
	ShareGroup      string   // of a member of a share group
}

// mostIdle is the longest that the client library waits for an answer or keeps an idle connection. Kafka's clients have
// no such bounds, nor those on metadata.max.age.ms and fetch.max.bytes: a file with more is taken, and the bound holds.
const mostIdle = 15 * time.Minute

// CommitEvery is auto.commit.interval.ms, as often as the client library can.
func (c *ConsumerSettings) CommitEvery() time.Duration {
	return max(c.CommitInterval, 100*time.Millisecond)
}

// ReadSettings checks properties for a role; the error is Kafka's sentence.
func ReadSettings(role Role, props Properties) (*Settings, error) {
	props, err := props.resolve()
	if err != nil {
		return nil, err
	}
	r := newReader(props)
	s := &Settings{Role: role}
	s.readCommon(r)
	switch role {
	case Producer:
		s.readProducer(r)
	case Consumer:
		s.readConsumer(r)
	}
	r.checkIdle(role)
	if r.err != nil {
		return nil, r.err
	}
	if err := s.readSecurity(r); err != nil {
		return nil, err
	}
	if r.err != nil {
		return nil, r.err
	}
	s.Remarks = r.unknownOrIdle(role)
	return s, nil
}

func (s *Settings) readCommon(r *reader) {
	s.Bootstrap = r.list("bootstrap.servers")
	if v := r.str("bootstrap.servers", ""); v != "" && len(s.Bootstrap) < len(strings.Split(v, ",")) && r.err == nil {
		r.err = &ConfigError{"Configuration 'bootstrap.servers' values must not be empty."}
	}
	if v, set := r.props["bootstrap.servers"]; set && v == "" && s.Role != Admin && r.err == nil {
		r.err = &ConfigError{"Configuration 'bootstrap.servers' must not be empty. Valid values include: any non-empty value"}
	}
	if s.Role == Admin {
		if c := r.list("bootstrap.controllers"); len(c) > 0 {
			if len(s.Bootstrap) > 0 && r.err == nil {
				r.err = &ConfigError{"You cannot set both bootstrap.servers and bootstrap.controllers"}
			}
			s.Bootstrap, s.BootstrapIsQuorum = c, true
		}
	}
	idle := int64(540000)
	if s.Role == Admin {
		idle = 300000
	}
	s.ClientID = r.str("client.id", "")
	s.RequestTimeout = Millis(r.int("request.timeout.ms", RequestTimeoutMs, 0))
	s.RetryBackoff = r.ms("retry.backoff.ms", 100, 0)
	s.RetryBackoffMax = r.ms("retry.backoff.max.ms", 1000, 0)
	s.MetadataMaxAge = r.ms("metadata.max.age.ms", 300000, 0)
	s.MaxIdle = r.ms("connections.max.idle.ms", idle, -1)
	s.DialTimeout = r.ms("socket.connection.setup.timeout.ms", 10000, 0)
	r.ms("socket.connection.setup.timeout.max.ms", 30000, 0)
	s.APITimeout = time.Minute
	if s.Role != Producer {
		s.APITimeout = Millis(r.int("default.api.timeout.ms", 60000, 0))
	}
	if s.Role == Admin {
		r.int("retries", math.MaxInt32, 0)
		s.settleTimeouts(r)
	}
}

// settleTimeouts gives a call the time of a request at least, unless the call's was set: then it is refused.
func (s *Settings) settleTimeouts(r *reader) {
	_, set := r.props["default.api.timeout.ms"]
	switch {
	case s.APITimeout >= s.RequestTimeout || r.err != nil:
	case set:
		r.err = &ConfigError{"The specified value of default.api.timeout.ms must be no smaller than the value of request.timeout.ms."}
	default:
		s.APITimeout = s.RequestTimeout
	}
}

func (s *Settings) readProducer(r *reader) {
	p := &s.Producer
	p.Acks = r.oneOf("acks", "all", "all", "-1", "0", "1")
	if p.Acks == "-1" {
		p.Acks = "all"
	}
	_, p.BatchBytesSet = r.props["batch.size"]
	p.BatchBytes = r.int("batch.size", 16384, 0)
	p.BufferBytes = r.long("buffer.memory", 32<<20, 0)
	p.Codec = r.oneOf("compression.type", "none", "none", "gzip", "snappy", "lz4", "zstd")
	p.CodecLevel, p.HasCodecLevel = s.readCodecLevel(r)
	p.Linger = r.ms("linger.ms", 5, 0)
	s.readDeliveryTimeout(r)
	p.MaxBlock = r.ms("max.block.ms", 60000, 0)
	p.MaxInFlight = r.int("max.in.flight.requests.per.connection", 5, 1)
	p.MaxRequestBytes = r.int("max.request.size", 1<<20, 0)
	p.Retries = r.int("retries", math.MaxInt32, 0)
	p.IgnoreKeys = r.bool("partitioner.ignore.keys", false)
	p.Adaptive = r.bool("partitioner.adaptive.partitioning.enable", true)
	p.Partitioner = r.str("partitioner.class", "")
	if v := p.Partitioner; v != "" && !strings.HasSuffix(v, "RoundRobinPartitioner") {
		r.fail("partitioner.class", v, "Class "+v+" could not be found.")
	}
	p.TransactionalID = r.filled("transactional.id")
	p.TxnTimeout = Millis(r.int("transaction.timeout.ms", 60000, 0))
	_, p.IdempotenceSet = r.props["enable.idempotence"]
	p.Idempotence = r.bool("enable.idempotence", true)
	s.checkIdempotence(r)
}

// readDeliveryTimeout reads how long a record may take, which is no shorter than to wait for others and to be sent once.
func (s *Settings) readDeliveryTimeout(r *reader) {
	p := &s.Producer
	_, set := r.props["delivery.timeout.ms"]
	p.DeliveryTimeout = Millis(r.int("delivery.timeout.ms", 120000, 0))
	least := min(p.Linger+s.RequestTimeout, Millis(math.MaxInt32))
	if p.DeliveryTimeout >= least || r.err != nil {
		return
	}
	if set {
		r.err = &ConfigError{"delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms"}
	}
	p.DeliveryTimeout = least
}

// checkIdempotence follows Kafka: settings that rule idempotence out switch it
// off silently, unless it was asked for by name.
func (s *Settings) checkIdempotence(r *reader) {
	p := &s.Producer
	if !p.Idempotence || r.err != nil {
		return
	}
	why := ""
	switch {
	case p.Retries == 0:
		why = "Must set retries to non-zero when using the idempotent producer."
	case p.Acks != "all":
		why = "Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence."
	case p.MaxInFlight > 5: // said whether or not idempotence was asked for
		r.err = &ConfigError{fmt.Sprintf("To use the idempotent producer, max.in.flight.requests.per.connection must be set to at most 5. Current value is %d.", p.MaxInFlight)}
	}
	switch {
	case why == "":
	case p.IdempotenceSet:
		r.err = &ConfigError{why}
	default:
		p.Idempotence = false
	}
}

func (s *Settings) readCodecLevel(r *reader) (level int, set bool) {
	for _, c := range []struct {
		codec       string
		least, most int
	}{{"gzip", -1, 9}, {"lz4", 1, 17}, {"zstd", -131072, 22}} {
		key := "compression." + c.codec + ".level"
		_, given := r.props[key]
		n := int(r.int(key, int64(c.least), math.MinInt32))
		switch {
		case c.codec == "gzip" && (n < c.least || n == 0 || n > c.most):
			r.fail(key, strconv.Itoa(n), "Value must be between 1 and 9 or equal to -1")
		case n < c.least:
			r.fail(key, strconv.Itoa(n), fmt.Sprintf("Value must be at least %d", c.least))
		case n > c.most:
			r.fail(key, strconv.Itoa(n), fmt.Sprintf("Value must be no more than %d", c.most))
		}
		if given && c.codec == s.Producer.Codec {
			level, set = n, true
		}
	}
	return level, set
}

func (s *Settings) readConsumer(r *reader) {
	c := &s.Consumer
	c.GroupID = r.str("group.id", "")
	c.InstanceID = r.filled("group.instance.id")
	c.Protocol = r.oneOfFold("group.protocol", "classic", "consumer", "classic")
	c.AutoCommit = r.bool("enable.auto.commit", true)
	c.CommitInterval = Millis(r.int("auto.commit.interval.ms", 5000, 0))
	c.OffsetReset = r.str("auto.offset.reset", "latest")
	c.AllowAutoCreate = r.bool("allow.auto.create.topics", true)
	c.CheckCRCs = r.bool("check.crcs", true)
	c.Rack = r.str("client.rack", "")
	c.ExcludeInternal = r.bool("exclude.internal.topics", true)
	c.FetchMaxBytes = r.int("fetch.max.bytes", 50<<20, 0)
	c.FetchMaxWait = Millis(r.int("fetch.max.wait.ms", 500, 0))
	c.FetchMinBytes = r.int("fetch.min.bytes", 1, 0)
	c.PartitionBytes = r.int("max.partition.fetch.bytes", 1<<20, 0)
	c.MaxPollRecords = r.int("max.poll.records", 500, 1)
	c.MaxPollInterval = Millis(r.int("max.poll.interval.ms", 300000, 1))
	c.SessionTimeout = Millis(r.int("session.timeout.ms", 45000, 0))
	c.Heartbeat = Millis(r.int("heartbeat.interval.ms", 3000, 0))
	c.ReadCommitted = r.oneOf("isolation.level", "read_uncommitted", "read_committed", "read_uncommitted") == "read_committed"
	c.Assignors = r.list("partition.assignment.strategy")
	c.RemoteAssignor = r.filled("group.remote.assignor")
	for _, key := range []string{"partition.assignment.strategy", "session.timeout.ms", "heartbeat.interval.ms"} {
		if _, set := r.props[key]; set && c.Protocol == "consumer" && r.err == nil {
			r.err = &ConfigError{key + " cannot be set when group.protocol=CONSUMER"}
		}
	}
	if c.RemoteAssignor != "" && c.Protocol == "classic" && r.err == nil {
		r.err = &ConfigError{"group.remote.assignor cannot be set when group.protocol=CLASSIC"}
	}
	r.str("key.deserializer", "")
	r.str("value.deserializer", "")
	if v := c.OffsetReset; v != "latest" && v != "earliest" && v != "none" && !strings.HasPrefix(v, "by_duration:") {
		r.fail("auto.offset.reset", v, "Invalid value `"+v+"` for configuration auto.offset.reset. The value must be either 'earliest', 'latest', 'none' or of the format 'by_duration:<PnDTnHnMn.nS.>'.")
	}
}

// What clients call themselves to nodes (KIP-511).
const softwareName, softwareVersion = "moldau", "1"

// commonOptions are what every role gives franz-go.
func (s *Settings) commonOptions(d *dialer) []kgo.Opt {
	opts := []kgo.Opt{
		kgo.SeedBrokers(s.Bootstrap...),
		kgo.Dialer(d.dial),
		kgo.WithHooks(d),
		kgo.RequestTimeoutOverhead(min(max(s.RequestTimeout, time.Second), mostIdle)),
		kgo.RetryTimeout(max(s.APITimeout, time.Second)),
		kgo.RetryBackoffFn(s.Backoff),
		kgo.MetadataMinAge(s.metadataMinAge()),
		kgo.SoftwareNameAndVersion(softwareName, softwareVersion),
		kgo.DisableClientMetrics(),
	}
	if s.Role == Admin {
		opts = append(opts, kgo.MaxVersions(adminVersions()))
	}
	opts = append(opts, kgo.ClientID(s.Name()))
	if s.MaxIdle > 0 {
		opts = append(opts, kgo.ConnIdleTimeout(min(max(s.MaxIdle, time.Second), mostIdle)))
	}
	if s.MetadataMaxAge > time.Second {
		opts = append(opts, kgo.MetadataMaxAge(min(s.MetadataMaxAge, time.Hour)))
	}
	if s.SASL != nil {
		opts = append(opts, kgo.SASL(s.SASL))
	}
	return opts
}

// metadataMinAge is how long after one look at the metadata the next may follow: retry.backoff.ms, as in Kafka's clients. franz-go's own
// five seconds would be a pause for every partition whose leader moves twice in that time.
func (s *Settings) metadataMinAge() time.Duration {
	return min(max(s.RetryBackoff, 10*time.Millisecond), time.Second)
}

// adminVersions keeps the requests that the tools address by hand at versions
// that speak of topics by name: from version 10 OffsetCommit and OffsetFetch
// carry topic ids only.
func adminVersions() *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(int16(kmsg.OffsetCommit), 9)
	v.SetMaxKeyVersion(int16(kmsg.OffsetFetch), 9)
	return v
}

// Backoff is the wait before retry n (from 1): doubled each time, bounded.
func (s *Settings) Backoff(n int) time.Duration {
	d := s.RetryBackoff
	for i := 1; i < n && d < s.RetryBackoffMax; i++ {
		d *= 2
	}
	return max(min(d, max(s.RetryBackoffMax, s.RetryBackoff)), time.Millisecond)
}

// ProducerOptions translate the producer's keys.
func (s *Settings) ProducerOptions() ([]kgo.Opt, error) {
	p := &s.Producer
	codec, err := p.codec()
	if err != nil {
		return nil, err
	}
	opts := []kgo.Opt{
		kgo.RequiredAcks(map[string]kgo.Acks{"all": kgo.AllISRAcks(), "1": kgo.LeaderAck(), "0": kgo.NoAck()}[p.Acks]),
		kgo.ProducerBatchCompression(codec),
		kgo.ProducerLinger(min(p.Linger, time.Minute)),
		kgo.RecordDeliveryTimeout(max(p.DeliveryTimeout, time.Second)),
		kgo.ProduceRequestTimeout(max(s.RequestTimeout, 100*time.Millisecond)),
		kgo.MaxBufferedBytes(int(max(p.BufferBytes, 1))),
		kgo.MaxBufferedRecords(maxBufferedRecords),
		kgo.RecordPartitioner(p.partitioner()),
		kgo.ProducerBatchMaxBytesFn(p.topicBatchBytes),
		kgo.AllowAutoTopicCreation(),
		kgo.UnknownTopicRetries(-1),
	}
	if p.Retries < math.MaxInt32 {
		// A look at the metadata that fails counts as an attempt there: who wants few attempts gets few looks.
		opts = append(opts, kgo.RecordRetries(int(p.Retries)), kgo.MetadataMinAge(s.fewLooks()))
	}
	if !p.Idempotence {
		opts = append(opts, kgo.DisableIdempotentWrite())
	}
	if !p.Idempotence || p.MaxInFlight == 1 {
		// With idempotence franz-go keeps up to Kafka's five by itself.
		opts = append(opts, kgo.MaxProduceRequestsInflightPerBroker(int(p.MaxInFlight)))
	}
	if p.TransactionalID != "" {
		opts = append(opts, kgo.TransactionalID(p.TransactionalID), kgo.TransactionTimeout(p.TxnTimeout))
	}
	return opts, nil
}

// fewLooks is franz-go's own least time between two looks at the metadata.
func (s *Settings) fewLooks() time.Duration {
	if s.MetadataMaxAge > time.Second {
		return min(5*time.Second, s.MetadataMaxAge)
	}
	return 5 * time.Second
}

// maxBufferedRecords is far above what buffer.memory lets through, so that the
// bytes are the bound that counts, and still bounds a flood of empty records.
const maxBufferedRecords = 1 << 20

// bigBatchBytes is used while batch.size is not set: a batch is still sent as
// soon as linger.ms allows, and a pipe full of input fills large ones.
const bigBatchBytes = 1 << 20

// leastBatchBytes and mostBatchBytes are what the client underneath takes as the bound of a batch.
const (
	leastBatchBytes = 512
	mostBatchBytes  = 1 << 30
)

func (p *ProducerSettings) batchBytes() int64 {
	ceiling := max(p.MaxRequestBytes, leastBatchBytes)
	if !p.BatchBytesSet {
		return min(bigBatchBytes, ceiling)
	}
	// Kafka's batch.size is where batching stops, not the largest record:
	// a record may exceed it up to max.request.size. franz-go's limit is on
	// the batch, so a tiny one would refuse records that Kafka sends.
	return min(max(p.BatchBytes, 1<<20), ceiling)
}

func (p *ProducerSettings) partitioner() kgo.Partitioner {
	if strings.HasSuffix(p.Partitioner, "RoundRobinPartitioner") {
		return kgo.RoundRobinPartitioner()
	}
	return kgo.UniformBytesPartitioner(int(max(p.BatchBytes, 1)), p.Adaptive, !p.IgnoreKeys, nil)
}

func (p *ProducerSettings) codec() (kgo.CompressionCodec, error) {
	var c kgo.CompressionCodec
	switch p.Codec {
	case "none":
		return kgo.NoCompression(), nil
	case "gzip":
		c = kgo.GzipCompression()
	case "snappy":
		c = kgo.SnappyCompression()
	case "lz4":
		c = kgo.Lz4Compression()
	case "zstd":
		c = kgo.ZstdCompression()
	default:
		return c, &ConfigError{fmt.Sprintf("Invalid value %s for configuration compression.type: String must be one of: none, gzip, snappy, lz4, zstd", p.Codec)}
	}
	if p.HasCodecLevel {
		c = c.WithLevel(p.CodecLevel)
	}
	return c, nil
}

// ConsumerOptions translate the consumer's keys, without subscription or group.
func (s *Settings) ConsumerOptions() ([]kgo.Opt, error) {
	c := &s.Consumer
	opts := []kgo.Opt{
		kgo.FetchMaxBytes(int32(min(max(c.FetchMaxBytes, 1), 1<<30))),
		kgo.BrokerMaxReadBytes(int32(min(max(2*c.FetchMaxBytes, 100<<20), 1<<30))),
		kgo.FetchMaxPartitionBytes(int32(max(c.PartitionBytes, 1))),
		kgo.FetchMaxWait(c.FetchMaxWait),
		kgo.FetchMinBytes(int32(max(c.FetchMinBytes, 1))),
	}
	if c.FetchMaxBytes < c.PartitionBytes {
		opts = append(opts, kgo.FetchMaxPartitionBytes(int32(max(c.FetchMaxBytes, 1))))
	}
	if c.AllowAutoCreate {
		opts = append(opts, kgo.AllowAutoTopicCreation())
	}
	if !c.CheckCRCs {
		opts = append(opts, kgo.DisableFetchCRCValidation())
	}
	if c.Rack != "" {
		opts = append(opts, kgo.Rack(c.Rack))
	}
	if c.ReadCommitted {
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	return opts, nil
}

// GroupOptions translate the keys of a group's member.
func (s *Settings) GroupOptions() ([]kgo.Opt, error) {
	c := &s.Consumer
	opts := []kgo.Opt{kgo.ConsumerGroup(c.GroupID), kgo.RebalanceTimeout(c.MaxPollInterval)}
	if c.InstanceID != "" {
		opts = append(opts, kgo.InstanceID(c.InstanceID))
	}
	if c.Protocol == "consumer" {
		return append(opts, kgo.ServerSideBalancer(), kgo.Balancers(c.remoteBalancer())), nil
	}
	balancers, err := c.balancers()
	if err != nil {
		return nil, err
	}
	return append(opts, kgo.Balancers(balancers...), kgo.SessionTimeout(c.SessionTimeout), kgo.HeartbeatInterval(c.Heartbeat)), nil
}

// remoteBalancer is what makes the client underneath ask for an assignor of the broker's: uniform, or range. For one that brokers
// do not have it asks with no name, which they refuse: a tool that is about to say so has not joined the group meanwhile.
func (c *ConsumerSettings) remoteBalancer() kgo.GroupBalancer {
	switch {
	case c.CheckRemoteAssignor() != nil:
		return namelessBalancer{kgo.StickyBalancer()}
	case c.RemoteAssignor == "range":
		return kgo.RangeBalancer()
	}
	return kgo.StickyBalancer()
}

// namelessBalancer is of a type of which the client underneath knows no name at the broker.
type namelessBalancer struct{ kgo.GroupBalancer }

// CheckRemoteAssignor refuses an assignor that brokers do not have. It is no setting that keeps a client from being made: Kafka's
// learns of it from the broker.
func (c *ConsumerSettings) CheckRemoteAssignor() error {
	if a := c.RemoteAssignor; c.Protocol == "consumer" && a != "" && a != "uniform" && a != "range" {
		return &KafkaError{Code: kerr.UnsupportedAssignor.Code, Message: "ServerAssignor " + a + " is not supported. Supported assignors: uniform, range."}
	}
	return nil
}

func (c *ConsumerSettings) balancers() ([]kgo.GroupBalancer, error) {
	names := c.Assignors
	if len(names) == 0 {
		names = []string{"RangeAssignor", "CooperativeStickyAssignor"}
	}
	var out []kgo.GroupBalancer
	for _, n := range names {
		short := strings.TrimPrefix(strings.TrimPrefix(n, "class "), "org.apache.kafka.clients.consumer.")
		switch short {
		case "RangeAssignor":
			out = append(out, kgo.RangeBalancer())
		case "RoundRobinAssignor":
			out = append(out, kgo.RoundRobinBalancer())
		case "StickyAssignor":
			out = append(out, kgo.StickyBalancer())
		case "CooperativeStickyAssignor":
			out = append(out, kgo.CooperativeStickyBalancer())
		default:
			return nil, fmt.Errorf("%s is no assignor that can be used here: Kafka's own Range, RoundRobin, Sticky and CooperativeSticky can", n)
		}
	}
	return out, nil
}
