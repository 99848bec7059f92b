# Postern's front door: every target does all that it needs.
#
#   make            build the programs; they run from build/bin without installation
#   make run        build, start a gateway on 127.0.0.1:2525, show one message on its way
#   make check      everything in regress/; the last line is "N passed, N failed"
#   make soak       durability only, for SECONDS (3600): millions of simulated crashes, and kill -9
#                   of every process under load; prints its figures and its seed (SEED=... repeats)
#   make bench      rates, CPU time, memory, latency and more, beside those of Postfix, OpenSMTPD and
#                   Exim, some 35 minutes; BENCH_ARGS="--quick" and others: regress/bench/README
#   make bench-fanout  10,000 messages for one next hop, and for as many: connections, descriptors and
#                   memory against their bounds; BENCH_ARGS as in regress/bench/README
#   make bench-queue   what the queue does alone: durable messages per second beside files of
#                   their own, and a million waiting messages; BENCH_ARGS as in regress/bench/README
#   make fuzz       look for input that breaks something: regress/fuzz/README
#   make install    DESTDIR and prefix (/usr/local) as usual; BUILD=DIR builds elsewhere, for all
#   make clean      remove build/
#
# Missing Debian packages: root gets them installed, an ordinary user is told their names.

SHELL  := /bin/bash
prefix := /usr/local
BUILD  := build

.PHONY: all run check soak bench bench-fanout bench-queue fuzz install clean packages test-packages programs tests
.DEFAULT_GOAL := all

all: programs

packages:
	@etc/build/packages build

test-packages:
	@etc/build/packages build test
	@etc/build/peers $(BUILD)/peers

# The tests' targets exist once `make check` has asked for them, but `make` builds programs only.
$(BUILD)/build.ninja: | packages
	@meson setup --prefix=$(prefix) -Dtests=false $(BUILD)

programs: packages $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet build.ninja
	@ninja -C $(BUILD) $$(etc/build/stage --list $(BUILD))
	@etc/build/stage $(BUILD)

tests: test-packages $(BUILD)/build.ninja
	@etc/build/configure $(BUILD) tests=true
	@ninja -C $(BUILD)
	@etc/build/stage $(BUILD)

run: programs
	@exec etc/demo/run $(BUILD)

check: tests
	@regress/support/check $(BUILD)

soak: tests
	@regress/support/soak $(BUILD) $(or $(SECONDS),3600) $(SEED)

bench: programs test-packages
	@regress/bench/bench.py $(BENCH_ARGS) $(BUILD)

bench-fanout: programs test-packages
	@regress/bench/fanout.py $(BENCH_ARGS) $(BUILD)

bench-queue: test-packages $(BUILD)/build.ninja
	@etc/build/configure $(BUILD) tests=true
	@ninja -C $(BUILD) regress/bench/queue_bench
	@$(BUILD)/regress/bench/queue_bench --place $(BUILD) $(BENCH_ARGS)

fuzz:
	@etc/build/packages build test fuzz
	@regress/fuzz/run build-fuzz "$(FUZZ)" "$(SECONDS)"

install: programs
	@etc/build/configure $(BUILD) prefix=$(prefix)
	@ninja -C $(BUILD) $$(etc/build/stage --list $(BUILD))
	@meson install -C $(BUILD) --no-rebuild
	@install -D -m 644 etc/postern.sysusers $(DESTDIR)$(prefix)/lib/sysusers.d/postern.conf
	@install -d $(DESTDIR)$(prefix)/lib/systemd/system
	@sed 's|@sbin@|$(prefix)/sbin|' etc/postern.service \
	    >$(DESTDIR)$(prefix)/lib/systemd/system/postern.service
	@[ -e $(DESTDIR)/etc/postern/smtpd.conf ] || \
	    install -D -m 644 etc/smtpd.conf $(DESTDIR)/etc/postern/smtpd.conf
	@[ -e $(DESTDIR)/etc/pam.d/smtpd ] || \
	    install -D -m 644 etc/pam.d/smtpd $(DESTDIR)/etc/pam.d/smtpd

clean:
	@rm -rf $(BUILD)
