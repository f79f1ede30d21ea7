# SPDX-License-Identifier: GPL-2.0
#
# The door to tools/xtask, which does the work. kbuild reads Kbuild, not this file.

XTASK = cargo run --quiet --locked --manifest-path tools/Cargo.toml --target-dir target/cargo --package xtask --

.PHONY: help run test test-debug test-realtime powercut setup modules modules_install unit crash fuzz shuttle big-endian bench bench-engine check clean

help:
	@echo 'make run              show the modules at work in a virtual machine'
	@echo 'make test             all tests; ARGS="--stack c 10- 20-" selects guest tests, ARGS="--list" lists them'
	@echo 'make test-debug       guest tests on a kernel with KASAN, lockdep, kmemleak and more; ARGS as above'
	@echo 'make test-realtime    guest tests on a real-time kernel; ARGS as above'
	@echo 'make powercut N=1000  so many power cuts under load, each followed by a check'
	@echo 'make bench            measure both stacks in virtual machines; ARGS="--icount" counts instructions instead'
	@echo 'make setup            packages, toolchain, kernel and guest image, as the two above do by themselves'
	@echo 'make modules          build the modules for the kernel of the guest, or for the tree KDIR'
	@echo 'make modules_install  install them into updates/ of the running kernel, or of the tree KDIR'
	@echo 'make unit             unit tests, which need no kernel'
	@echo 'make crash            all states that power cuts can leave of small BTTs; ARGS="--help" lists arguments'
	@echo 'make fuzz             libFuzzer, a minute for each target; ARGS="300 arena" selects'
	@echo 'make shuttle          schedules of many threads over the engine; ARGS="200000" is how many'
	@echo 'make big-endian       unit tests of the pure crates on an emulated big-endian machine'
	@echo 'make bench-engine     the BTT engine in user space, measured; ARGS="--help" lists arguments'
	@echo 'make check            formatting and lints'
	@echo 'make clean            remove what was built here; the cache stays'

run setup modules unit big-endian check clean:
	@$(XTASK) $@

modules_install:
	@$(XTASK) modules-install

test test-debug test-realtime crash fuzz shuttle bench bench-engine:
	@$(XTASK) $@ $(ARGS)

powercut:
	@$(XTASK) powercut --cuts $(or $(N),1000) $(ARGS)
