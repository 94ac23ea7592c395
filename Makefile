# make build: bin/moldau and, beside it, the name of every tool with and without
# .sh, all of them links to the one binary.

GO ?= go

.PHONY: build
build:
	$(GO) build -o bin/moldau ./cmd/moldau
	@for t in $$(bin/moldau tool-names); do ln -sf moldau bin/$$t; ln -sf moldau bin/$$t.sh; done
