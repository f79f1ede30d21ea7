# SPDX-License-Identifier: GPL-2.0
#
# Front end of tools/xtask. kbuild reads Kbuild, not this file.

XTASK = cargo run --quiet --locked --manifest-path tools/Cargo.toml --target-dir target/cargo --package xtask --

.PHONY: help run test test-stock test-debug test-realtime powercut setup modules modules_install build-tools install-tools deb unit crash fuzz shuttle big-endian bench bench-engine rustdoc rust-analyzer check clean

help:
	@echo 'make run              demonstrate the modules in a virtual machine with a kernel of Debian; ARGS="--kernel 7.2" or own selects one'
	@echo 'make test             run all tests; ARGS="--stack c btt/ block/tools" selects guest tests, ARGS="--list" lists them'
	@echo 'make test-stock       run guest tests on kernels of Debian; ARGS as above, and "--series 7.3"'
	@echo 'make test-debug       run guest tests on a kernel with KASAN, lockdep, kmemleak and more; ARGS as above'
	@echo 'make test-realtime    run guest tests on a real-time kernel; ARGS as above'
	@echo 'make powercut N=1000  cut the power under load 1000 times, with a check after each cut'
	@echo 'make bench            measure both stacks in virtual machines; ARGS="--icount" counts instructions instead'
	@echo 'make setup            install packages and prepare toolchain, kernel and guest image; run and test do it, too'
	@echo 'make modules          build the modules for the kernel of the guest, or for the tree KDIR; ARGS="--kernel 7.3" for a kernel of Debian'
	@echo 'make modules_install  install the modules into updates/ of the running kernel, or of the tree KDIR'
	@echo 'make build-tools      build btt, in target/cargo/release'
	@echo 'make install-tools    install btt, its completion for bash and the man pages below PREFIX=/usr/local'
	@echo 'make deb              build the packages nvdimm-rust-dkms and nvdimm-rust-tools for Debian 13, in target/deb'
	@echo 'make unit             run the unit tests, which need no kernel'
	@echo 'make crash            explore all states that power cuts can leave of small BTTs; ARGS="--help" lists arguments'
	@echo 'make fuzz             run libFuzzer, a minute for each target; ARGS="300 arena" sets seconds and targets'
	@echo 'make shuttle          run the engine under many thread schedules; ARGS="200000" sets their number'
	@echo 'make big-endian       run the unit tests of the pure crates on an emulated big-endian machine'
	@echo 'make bench-engine     measure the BTT engine in user space; ARGS="--help" lists arguments'
	@echo 'make rustdoc          build web pages of all crates, private items included, in target/rustdoc'
	@echo 'make rust-analyzer    write rust-project.json, for editors'
	@echo 'make check            check formatting, comments and lints'
	@echo 'make clean            remove build results; the cache stays'

setup deb unit big-endian rustdoc rust-analyzer check clean:
	@$(XTASK) $@

modules_install:
	@$(XTASK) modules-install

build-tools:
	cargo build --quiet --release --locked --manifest-path tools/Cargo.toml --target-dir target/cargo --package btt

# A packager sets DESTDIR and PREFIX=/usr, and BTT if the program is already built.
PREFIX ?= /usr/local
ifndef BTT
BTT = target/cargo/release/btt
install-tools: build-tools
endif

# Not in bin: the package blktrace has another program of this name there.
install-tools:
	install -D '$(BTT)' '$(DESTDIR)$(PREFIX)/sbin/btt'
	install -D -m 644 tools/btt/man/btt.8 '$(DESTDIR)$(PREFIX)/share/man/man8/btt.8'
	install -D -m 644 Documentation/nvdimm-rust.7 '$(DESTDIR)$(PREFIX)/share/man/man7/nvdimm-rust.7'
	install -d '$(DESTDIR)$(PREFIX)/share/bash-completion/completions'
	'$(BTT)' completion bash >'$(DESTDIR)$(PREFIX)/share/bash-completion/completions/btt'

run modules test test-stock test-debug test-realtime crash fuzz shuttle bench bench-engine:
	@$(XTASK) $@ $(ARGS)

powercut:
	@$(XTASK) powercut --cuts $(or $(N),1000) $(ARGS)
