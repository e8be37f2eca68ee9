# SPDX-License-Identifier: BSD-2-Clause
# The commands of the README. Meson does the building; this only strings things together.

BUILD ?= build
SCRIPTS := scripts

# One step after the other: apt and two builds in one folder don't go side by side. ninja uses the CPUs.
.NOTPARALLEL:
.PHONY: all deps build demo shell check bench bench-programs soak fuzz format lint tidy modules kernels-newest programs install clean help

all: build

help:
	@echo 'make build     configure and compile into $(BUILD)/'
	@echo 'make demo      (root) two guests on a switch and on a pipe, with figures'
	@echo 'make shell     (root) the same guests, with a console in each, to play with'
	@echo 'make check     (root) everything that is tested; installs what it needs'
	@echo 'make bench     packet rates between test-client endpoints, beside the raw limit'
	@echo 'make bench-programs   packet rates and round trips between host programs, beside the limits'
	@echo 'make soak      the long forms of the randomised tests'
	@echo 'make fuzz      the fuzzers, 10 minutes each (FUZZ_SECONDS=N)'
	@echo 'make format    clang-format everything;  make lint: what check lints'
	@echo 'make kernels-newest   build ptnet.ko against the newest kernel in Debian'
	@echo 'make programs  (root) netmap programs of Debian, built from its sources and run (half an hour)'
	@echo 'make install   into PREFIX (meson install)'

# What virtual machines and the whole of the tests need, guest kernels too.
deps:
	@$(SCRIPTS)/install-deps

# A plain build needs no root once the packages for compiling are there, and nothing for virtual machines.
# They are looked for when it is first configured.
$(BUILD)/build.ninja:
	@$(SCRIPTS)/install-deps --build-only
	meson setup $(BUILD)

build: $(BUILD)/build.ninja
	@meson compile -C $(BUILD)
	@ln -sf $(BUILD)/compile_commands.json compile_commands.json

modules: deps
	@$(SCRIPTS)/build-modules $(BUILD) 6.1

demo: deps build modules
	@PTNET_BUILD=$(BUILD) $(SCRIPTS)/demo

shell: deps build modules
	@PTNET_BUILD=$(BUILD) $(SCRIPTS)/demo --shell

check: deps
	@$(SCRIPTS)/check

bench: build
	@$(BUILD)/bench/ptnet-bench --daemon $(BUILD)/src/ptnetd

bench-programs: build
	@$(BUILD)/bench/ptnet-bench-programs --daemon $(BUILD)/src/ptnetd --ptnet-run $(BUILD)/shim/ptnet-run

soak: deps
	@$(SCRIPTS)/check --soak

fuzz:
	@$(SCRIPTS)/install-deps --no-guests
	@$(SCRIPTS)/fuzz --seconds $${FUZZ_SECONDS:-600}

format:
	@$(SCRIPTS)/lint --fix

lint:
	@$(SCRIPTS)/lint

kernels-newest: deps
	@$(SCRIPTS)/build-modules $(BUILD) newest

# The netmap programs in Debian, built against our headers: docs/netmap-programs.md.
programs: build
	@$(SCRIPTS)/install-deps --programs
	@PTNET_BUILD=$(BUILD) $(SCRIPTS)/netmap-programs

# The loader finds a library in /usr/local/lib only after ldconfig.
install: build
	meson install -C $(BUILD)
	@[ "$$(id -u)" -ne 0 ] || [ -n "$$DESTDIR" ] || ldconfig

clean:
	rm -rf $(BUILD) build-* compile_commands.json
