.DEFAULT_GOAL := help
.PHONY: help run test test-long chaos bench lint fuzz clean

CARGO ?= cargo
# How long `make fuzz` goes on, in seconds.
FUZZ_SECONDS ?= 600
# How often `make chaos` kills the agent, about 3 s each; and how many simulated hours its day has, 30 s each.
KILLS ?= 1000
HOURS ?= 24
# The tests that did not test anything, one a line.
SKIPPED := $(CURDIR)/target/skipped

include packaging/package.mk

help: ## What can be made here
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Build vigie and run it: curl 127.0.0.1:9844/metrics
	$(CARGO) build --release --locked
	@state=/var/lib/vigie; \
	[ -w "$$state" ] || state=$$(mktemp -d -t vigie.XXXXXX); \
	exec target/release/vigie run --set "paths.state=\"$$state\""

test: ## Every test; installs what they need by apt where it can
	@tests/setup
	@mkdir -p target && rm -f $(SKIPPED)
	VIGIE_SKIPPED=$(SKIPPED) $(CARGO) test --locked
	@if [ -s $(SKIPPED) ]; then cat $(SKIPPED); fi

test-long: ## The same, with the faults that take minutes
	VIGIE_LONG=1 $(MAKE) test

chaos: ## A day of every fault of a collector, and KILLS (1000) kills of the agent; nothing may be lost
	@tests/setup
	VIGIE_DAY=$(HOURS) $(CARGO) test --locked --test push a_day_of_faults -- --nocapture
	VIGIE_CHAOS=$(KILLS) $(CARGO) test --locked --test push kills_at_any_moment -- --nocapture

bench: ## What vigie costs, beside node_exporter and beside the bare reads; fails over a limit
	@tests/setup
	$(CARGO) bench --locked --bench cost

lint: ## Formatting, clippy, links of the doc comments, licences and sources of the dependencies
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny --all-features check bans licenses sources; \
	else echo "skipped: cargo deny: it is not installed (cargo install cargo-deny)"; fi

fuzz: ## Fuzz the parsers for FUZZ_SECONDS (PARSER=meminfo: only that one); takes nightly and cargo-fuzz
	$(CARGO) test --locked --test fuzz -- --ignored --quiet
	cd fuzz && $(CARGO) +nightly fuzz run parsers -- -max_total_time=$(FUZZ_SECONDS) -max_len=65536

clean: ## Remove what was built
	$(CARGO) clean
