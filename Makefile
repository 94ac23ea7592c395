# make build: bin/moldau and, beside it, the name of every tool with and without
# .sh, all of them links to the one binary.

GO ?= go

.PHONY: build
build:
	$(GO) build -o bin/moldau ./cmd/moldau
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
