#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# An empty flush of a raw disk is no write in the block layer's statistics, as under the C driver of
# Linux 7.3.
#
# needs: nvdimm=64M
# tags: quick
. "$LIB"
. "${LIB%/*}/devices.sh"

# writes: prints the number of writes, and their sectors (Documentation/block/stat.rst).
writes() {
	awk '{ print $5 " " $7 }' "/sys/block/$disk/stat"
}

disk=$(disk_of namespace0.0)
udev_settle
echo 1 >"/sys/block/$disk/queue/iostats"
expect_eq "the cache of the disk" "$(cat "/sys/block/$disk/queue/write_cache")" "write back"
expect_eq "writes of a new disk" "$(writes)" "0 0"
dd if=/dev/zero of="/dev/$disk" bs=4K count=3 oflag=direct 2>dd.log
expect_eq "writes" "$(writes)" "3 24"
# `fsync` of the device: an empty bio with a preflush.
expect_ok sync "/dev/$disk"
expect_eq "writes after a flush" "$(writes)" "3 24"
# With a synchronous file each write is flushed.
dd if=/dev/zero of="/dev/$disk" bs=4K count=2 oflag=direct,dsync 2>dd.log
expect_eq "writes that are flushed" "$(writes)" "5 40"
