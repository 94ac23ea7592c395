# make build: bin/moldau and, beside it, the name of every tool with and without
# .sh, all of them links to the one binary.

GO ?= go
# What the binary says of itself; a release's version comes from packaging/dist.
DESCRIBED := $(shell git describe --tags --always --dirty 2>/dev/null)
BUILD = $(GO) build $(if $(DESCRIBED),-ldflags "-X main.version=$(DESCRIBED:v%=%)") -o bin/moldau ./cmd/moldau

.PHONY: build
build:
	$(BUILD)
	@for t in $$(bin/moldau tool-names); do ln -sf moldau bin/$$t; ln -sf moldau bin/$$t.sh; done

# make bench: measures a node against the roofline and Apache Kafka and writes docs/benchmarks.md.
# QUICK=1: the main rows in two minutes. ONLY=name,name: those rows. PROFILE=cpu: profiles of each row
# to bench/profiles. OLD=binary NEW=binary: compares two builds in one run. BENCHFLAGS: more, see bench -h.
.PHONY: bench
bench:
	cd bench && $(GO) build -o ../bin/bench .
	cd bench && PROFILE=$(PROFILE) ../bin/bench $(if $(OLD),compare) $(if $(QUICK),-quick) $(if $(ONLY),-only $(ONLY)) $(BENCHFLAGS) $(if $(OLD),$(abspath $(OLD)) $(abspath $(NEW)))

# make soak: a mixed load for DURATION; fails if memory, descriptors, goroutines or latency grow.
DURATION ?= 1h
.PHONY: soak
soak:
	cd bench && $(GO) build -o ../bin/bench .
	cd bench && ../bin/bench soak -duration $(DURATION) $(BENCHFLAGS)

# make tuning: docs/tuning.md and its Korean twin, with plots, from a node of their own, in under three minutes.
.PHONY: tuning
tuning:
	cd bench && $(GO) build -o ../bin/bench .
	cd bench && ../bin/bench tuning $(BENCHFLAGS)

# make cli-diff: the same command lines through Apache Kafka's tools and ours, on
# both brokers. MOLDAU_REALKAFKA names the script that starts Apache Kafka.
# RECORD=1 keeps what Kafka's tools say, for the golden tests. SECTION="words;words": only such sections.
# Outputs that were recorded elsewhere: MOLDAU_CLI_GOLDEN=folder go test ./cmd/moldau -run TestGoldenFolder -v
.PHONY: cli-diff
cli-diff:
	MOLDAU_CLI_RECORD=$(RECORD) MOLDAU_CLI_SECTION="$(SECTION)" $(GO) test -tags realkafka -count=1 -timeout 60m -run TestCLIDiff -v ./cmd/moldau

# make cli-kafka: the recorded command lines through our tools on Apache Kafka, in five minutes. SEED=n gives the sections another order.
.PHONY: cli-kafka
cli-kafka:
	MOLDAU_CLI_SECTION="$(SECTION)" $(GO) test -tags realkafka -count=1 -parallel 4 -timeout 30m -run TestGoldenOnKafka -v ./cmd/moldau $(if $(SEED),-args -golden.seed $(SEED))

# make sim: two thousand runs of a cluster of brokers in one process, each by its seed, with crashes, lost caches of disks,
# partitions and slow links; then two thousand of whole clusters, and a thousand of quorums. One seed again: go test ./internal/replica -run Simulation -v
# -args -sim.seed N (or ./internal/sim).
.PHONY: sim
SIMSEEDS ?= 500
sim:
	$(GO) test ./internal/replica -run Simulation -v -timeout 30m -args -sim.seeds 500
	$(GO) test ./internal/sim -v -timeout 3h -args -sim.seeds $(SIMSEEDS)
	MOLDAU_SIM_SEEDS=1000 $(GO) test ./internal/quorum -run TestNothingAcknowledgedIsLostInBadWeather -timeout 60m

# make crash: the power is cut after every operation of a workload that does everything to logs, and each disk that this may leave is
# started on; then each sync of the code is left out in turn, which the cuts must notice; then real processes are killed, and
# real file systems shut down under them (as root). make crash-cuts is the first alone, make crash-syncs the second.
.PHONY: crash crash-cuts crash-syncs
crash: crash-cuts crash-syncs build
	tests/run --moldau $(CURDIR)/bin/moldau crash disks -n 200 --cuts 30

crash-cuts:
	$(GO) test ./internal/storage -run TestThePowerIsCutAfterEachOperation -v -timeout 20m -args -cuts.all -cuts.torn 8
	$(GO) test ./internal/storage -run TestNothingIsLostWithADerivedFile -v -args -damages.all
	$(GO) test ./internal/quorum -run TestWhatWasAcknowledgedSurvivesACrashAtEveryStep -v

crash-syncs:
	$(GO) test ./internal/storage -run TestEachSyncIsMissed -v -timeout 90m -args -cuts.plant -cuts.torn 4

# make chaos: three real nodes, whose leaders, controllers and coordinators are killed, stopped, paused and cut off for
# CHAOS under load. SEED repeats a run's faults; CHAOSFLAGS: more, see tests/run --help.
CHAOS ?= 5m
.PHONY: chaos
chaos:
	$(BUILD)
	tests/run chaos --moldau bin/moldau --duration $(CHAOS) --timeout 3h -v $(if $(SEED),--seed $(SEED)) $(CHAOSFLAGS)

# make failover: how long writes stand still when a leader or the active controller of three nodes is killed or stopped, 30 times
# each, and whether default clients see an error when all nodes are restarted in turn.
.PHONY: failover
FAILOVERS ?= 30
failover:
	$(BUILD)
	tests/run failover --moldau bin/moldau -n $(FAILOVERS) --timeout 3h -v $(CHAOSFLAGS)

# make interop: the compatibility matrix: foreign clients, and programs written for Apache Kafka, on one node and on three; writes
# docs/compatibility.md. ONLY=name,name: rows whose name has one of these in it. TARGET=real: Apache Kafka instead, by the script that
# MOLDAU_REALKAFKA names. What it installs goes to a cache outside the tree.
.PHONY: interop
interop:
	$(BUILD)
	tests/run interop $(if $(filter real,$(TARGET)),--target real,--moldau bin/moldau) --timeout 25m $(if $(ONLY),--only "$(ONLY)") $(INTEROPFLAGS)

# make plants: bugs that would break exactly once, planted one at a time; the tests must notice each.
.PHONY: plants
plants:
	.ci/plants

# make dist: a release in dist/: binaries, archives, SBOMs, packages, checksums. VERSION names it, or else git does.
.PHONY: dist
dist:
	$(GO) run ./packaging/dist $(if $(VERSION),-version $(VERSION))
