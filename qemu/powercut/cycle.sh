#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# One boot in a chain of power cuts: cycle.sh SECTOR_SIZE write|read. The host says more in tools/xtask/src/suite/powercut.rs.
. "$LIB"
sector_size=$1
disk=/dev/pmem0s

if [ "$BOOT" = 1 ]; then
	wait_for 10 test -b /dev/pmem0
	btt_create namespace0.0 "$sector_size"
fi
wait_for 10 test -b $disk
expect_eq "logical block size" "$(cat /sys/block/pmem0s/queue/logical_block_size)" "$sector_size"

# ndctl knows nothing of our driver: it walks the map and the flog itself and wants every block exactly once.
ndctl disable-namespace namespace0.0
ndctl check-namespace namespace0.0
ndctl enable-namespace namespace0.0
wait_for 10 test -b $disk

/host/tools/stamp read $disk --sector-size "$sector_size" --generations /host/run/generations
say found
if [ "$2" = write ]; then
	/host/tools/stamp write $disk --sector-size "$sector_size" --generations /host/run/generations \
		--acknowledge /host/run/acknowledged | while read -r said; do say "$said"; done
	fail "the writer ended"
fi
