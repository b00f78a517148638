# SPDX-License-Identifier: GPL-2.0-only
#
# Builds, tests and installs the dm-replication module and its tool. make help lists what
# there is to make. (kbuild itself reads Kbuild and not this file.)

# The kernel to build for: the running one if its headers are here, else the
# newest that has them. Not :=, for the headers may be installed only by deps.
KVER ?= $(shell set -- /lib/modules/$$(uname -r)/build; [ -e $$1 ] || \
	set -- $$(ls -d /lib/modules/*/build 2> /dev/null | sort -V | tail -n 1); \
	basename $$(dirname $$1))
KDIR ?= /lib/modules/$(KVER)/build

KBUILD = $(MAKE) -C $(KDIR) M=$(CURDIR)
MODULE = dm-replication/dm-replication.ko

CFLAGS ?= -O2 -g

# The user-space tool.
VERSION = 1.0.0
DMREPCTL = tools/dmrepctl/dmrepctl
DMREPCTL_BUILD = build/dmrepctl
DMREPCTL_OBJECTS = $(patsubst tools/dmrepctl/%.c,$(DMREPCTL_BUILD)/%.o,$(wildcard tools/dmrepctl/*.c))
DMREPCTL_FLAGS = -std=gnu11 -Wall -Wextra -DDMREPCTL_VERSION='"$(VERSION)"'
DMREPCTL_LIBRARIES = -ldevmapper -lblkid -ljson-c

# What tests use.
TOOLS = $(patsubst %.c,%,$(wildcard tests/tools/*.c tests/crash/*.c))

.PHONY: all
all: module tools

.PHONY: module
module: deps
	$(KBUILD) modules

.PHONY: tools
tools: $(DMREPCTL) $(TOOLS)

$(DMREPCTL): $(DMREPCTL_OBJECTS)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(DMREPCTL_LIBRARIES)

# What a source includes is in the .d beside the object.
$(DMREPCTL_BUILD)/%.o: tools/dmrepctl/%.c Makefile | deps
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(DMREPCTL_FLAGS) -MMD -c -o $@ $<

# It has metadata.c in it, which wants the kernel's headers.
$(DMREPCTL_BUILD)/metadata-file.o: CPPFLAGS += -Itools/dmrepctl/kernel

-include $(wildcard $(DMREPCTL_BUILD)/*.d)

$(TOOLS): %: %.c $(wildcard tests/tools/*.h tests/crash/*.h) | deps
	$(CC) $(CFLAGS) -Wall -Wextra -pthread -o $@ $<

# Installs what is missing; who builds a package has it all, and sets DEPS=:
DEPS = tests/deps

.PHONY: deps
deps:
	@$(DEPS) build

# make check TESTS="tests/cases/foo.t ..." JOBS=1 SEED=42
.PHONY: check
check: all
	@tests/deps check lint package
	@KDIR=$(KDIR) tests/check $(TESTS)

# The same on a kernel that looks closely, which is built first, once.
# make check-debug BOUNDED=1 KMEMLEAK=all TESTS="tests/cases/foo.t ..."
.PHONY: check-debug
check-debug: tools
	@tests/deps check debug
	@BOUNDED=$(BOUNDED) KMEMLEAK=$(KMEMLEAK) tests/kernels/debug $(TESTS)

# Losses of power, many more than make check tries: make check-crash LIVES=50 KILLS=100
.PHONY: check-crash
check-crash: all
	@tests/deps check
	@tests/crash/run $(if $(LIVES),--lives $(LIVES)) $(if $(POINTS),--points $(POINTS))
	@tests/unit/power-loss.t $(or $(KILLS),20)

# Mistakes that lose data, made in copies: the tests have to notice each.
.PHONY: check-mutants
check-mutants: tools
	@tests/deps check
	@tests/check tests/unit/metadata/mutants.t
	@KDIR=$(KDIR) tests/mutants/run $(MUTANTS)

# The same random operations to QEMU's replication driver and to the target:
# make check-qemu SEQUENCES=1000 SEED=42
SEQUENCES ?= 300

.PHONY: check-qemu
check-qemu: all
	@tests/deps check
	@SEQUENCES=$(SEQUENCES) DM_REPL_TIMEOUT=$$((900 + 10 * $(SEQUENCES))) tests/check tests/qemu/*.t

.PHONY: demo
demo: all
	@tests/deps check
	@tests/demo/run

# What can be said about the sources without running them; make check does it too.
.PHONY: lint
lint: deps
	@tests/deps lint
	@KDIR=$(KDIR) tests/unit/lint.t

# What each kind of I/O costs, exactly; make bench LINES="view-read-active ...".
# bench-check fails if any costs more than is kept in the repository, bench-keep
# keeps what it costs now.
.PHONY: bench bench-check bench-keep
bench: all
	@tests/deps check bench
	@tests/bench/bench $(LINES)

bench-check: all
	@tests/deps check
	@tests/bench/bench --check $(LINES)

bench-keep: all
	@tests/deps check bench
	@tests/bench/bench --keep $(LINES)

# Where the instructions of one line go: make profile LINE=ingress-write-first
.PHONY: profile
profile: all
	@tests/deps check
	@tests/bench/profile $(LINE)

# With GDB=1, tests/vm/gdb attaches to it.
GDB_PORT ?= 1234

.PHONY: shell
shell: all
	@tests/deps check $(if $(GDB),gdb)
	@tests/vm/run $(if $(GDB),--gdb $(GDB_PORT)) --interactive bash --rcfile tests/shell

# On every kernel that is supported, each from the Debian release that has it.
# make check-kernels KERNELS="6.12 7.2" TESTS="tests/cases/foo.t ..."
.PHONY: check-kernels
check-kernels: tools
	@tests/deps check kernels
	@KERNELS="$(KERNELS)" tests/kernels/debian $(TESTS)

# make install DESTDIR=... prefix=/usr
prefix ?= /usr/local
unitdir ?= $(prefix)/lib/systemd/system
udevrulesdir ?= $(prefix)/lib/udev/rules.d

.PHONY: install modules_install tools_install
install: modules_install tools_install
ifeq ($(DESTDIR),)
	depmod $(KVER)
endif

# Debian's kernels are configured to sign, but the key is Debian's: do not try.
modules_install: module
	$(KBUILD) CONFIG_MODULE_SIG_ALL= INSTALL_MOD_PATH=$(DESTDIR) modules_install

tools_install: $(DMREPCTL) build/dmrepctl.8 build/dmrepctl.conf.5 build/dmrepctl@.service
	install -D -m 755 $(DMREPCTL) $(DESTDIR)$(prefix)/sbin/dmrepctl
	install -D -m 644 build/dmrepctl.8 $(DESTDIR)$(prefix)/share/man/man8/dmrepctl.8
	install -D -m 644 build/dmrepctl.conf.5 $(DESTDIR)$(prefix)/share/man/man5/dmrepctl.conf.5
	install -D -m 644 tools/dmrepctl/completion.bash \
		$(DESTDIR)$(prefix)/share/bash-completion/completions/dmrepctl
	install -D -m 644 tools/dmrepctl/status.schema.json \
		$(DESTDIR)$(prefix)/share/dmrepctl/status.schema.json
	install -D -m 644 tools/dmrepctl/11-dm-replication.rules \
		$(DESTDIR)$(udevrulesdir)/11-dm-replication.rules
	install -D -m 644 tools/dmrepctl/62-dm-replication.rules \
		$(DESTDIR)$(udevrulesdir)/62-dm-replication.rules
	install -D -m 644 build/dmrepctl@.service \
		$(DESTDIR)$(unitdir)/dmrepctl@.service

# It depends on prefix, which may be another one than before.
.PHONY: build/dmrepctl@.service
build/dmrepctl@.service: tools/dmrepctl/dmrepctl@.service.in
	@mkdir -p $(@D)
	sed 's:@sbindir@:$(prefix)/sbin:' $< > $@

build/dmrepctl.8 build/dmrepctl.conf.5: build/%: Documentation/%.rst
	@$(DEPS) man
	@mkdir -p $(@D)
	rst2man --report=1 --halt=2 $< $@

.PHONY: clean tools_clean
clean: tools_clean
	-[ ! -e $(KDIR) ] || $(KBUILD) clean
	rm -rf build $(TOOLS)

tools_clean:
	rm -rf $(DMREPCTL_BUILD) $(DMREPCTL) build/dmrepctl*

# build/*.deb, as Debian builds them, of a copy: what is here stays as it is.
.PHONY: deb
deb:
	@$(DEPS) package
	tests/package build

.PHONY: help
help:
	@echo 'make                  the module, dmrepctl and the test tools'
	@echo 'make module           the module alone'
	@echo 'make tools            dmrepctl and the test tools'
	@echo 'make check            all tests, in virtual machines'
	@echo '     TESTS="FILE..."  only these    JOBS=N  that many at once (2)'
	@echo '     SEED=N           what the tests leave to chance, again'
	@echo 'make check-debug      the same with KASAN, lockdep and others, and coverage'
	@echo '     BOUNDED=1        only what is worth most'
	@echo 'make check-kernels    the same on kernels from 6.1 to 7.2'
	@echo '     KERNELS="6.12"   only on these: 6.1, 6.12, 7.2'
	@echo 'make check-crash      loses power thousands of times, with a metadata device'
	@echo 'make check-mutants    sees that mistakes which lose data are noticed'
	@echo 'make check-qemu       compares with QEMU in random sequences, and works with it'
	@echo '     SEQUENCES=N      so many (300)'
	@echo 'make demo             the module at work, in a virtual machine'
	@echo 'make shell            a virtual machine to try it in'
	@echo '     GDB=1            tests/vm/gdb can attach gdb to it'
	@echo 'make lint             what checkpatch, sparse, shellcheck and others find'
	@echo 'make bench            what each kind of I/O costs, beside the alternatives'
	@echo '     LINES="LINE..."  only these lines of tests/bench/table'
	@echo 'make bench-check      fails if any costs more than it did'
	@echo 'make bench-keep       keeps what it costs, for bench-check'
	@echo 'make profile LINE=... where the instructions of one line go'
	@echo 'make install          installs the module, dmrepctl and what belongs to it'
	@echo 'make tools_install    the latter two alone'
	@echo '     DESTDIR=DIR prefix=/usr  there, instead of /usr/local'
	@echo 'make deb              Debian packages of both, in build'
	@echo 'make clean'
	@echo
	@echo 'KVER=VERSION builds and tests for another installed kernel,'
	@echo 'KDIR=DIRECTORY builds for a kernel tree.'
	@echo 'What is missing is installed from Debian first, with sudo if need be.'
