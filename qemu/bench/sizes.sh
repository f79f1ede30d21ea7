#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The guest's part of `make bench ARGS=--sizes`: the cost of a BTT on the only NVDIMM. Prints the
# milliseconds to make it, the milliseconds to attach it again, and the KiB of memory that it uses
# then.
. "$LIB"
. "${LIB%/*}/devices.sh"

now() {
	date +%s%N
}

free_memory() {
	echo 3 >/proc/sys/vm/drop_caches
	awk '$1 == "MemFree:" { print $2 }' /proc/meminfo
}

unbind namespace0.0
claim namespace0.0 4096
start=$(now)
expect_eq "the error of making a BTT" "$(driver bind nd_pmem "$btt")" ok
made=$((($(now) - start) / 1000000))
unbind "$btt"
settle
udev_settle
before=$(free_memory)
start=$(now)
expect_eq "the error of attaching a BTT" "$(driver bind nd_pmem "$btt")" ok
attached=$((($(now) - start) / 1000000))
udev_settle
echo "$made $attached $((before - $(free_memory)))"
