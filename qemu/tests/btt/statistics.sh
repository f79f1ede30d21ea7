#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The block layer's statistics, which are off by default as under the C driver, count every request.
# The disk's own counters count its effects: two fences a batch.
#
# needs: nvdimm=64M
# tags: quick
. "$LIB"
. "${LIB%/*}/devices.sh"

# requests FIELD: prints a field of /sys/block/*/stat (Documentation/block/stat.rst).
requests() {
	awk -v field="$1" '{ print $field }' "/sys/block/$disk/stat"
}

counter() {
	awk -v name="$1" '$1 == name { print $2 }' "/sys/kernel/debug/btt/$btt/statistics"
}

make_btt namespace0.0 4096
expect_eq "statistics of a new disk" "$(cat "/sys/block/$disk/queue/iostats")" 0
echo 1 >"/sys/block/$disk/queue/iostats"
udev_settle
before=$(requests 5):$(requests 7)
batches=$(counter write_batches) fences=$(counter write_fences) sectors=$(counter sectors_written)
expect_eq "what was written to a new disk" "$sectors" 0
dd if=/dev/zero of="/dev/$disk" bs=64K count=8 oflag=direct 2>dd.log
expected=$(echo "$before" | awk -F: '{ print $1 + 8 ":" $2 + 8 * 128 }')
expect_eq "writes, and their sectors" "$(requests 5):$(requests 7)" "$expected"
# udev reads what has been written.
udev_settle
before=$(requests 1):$(requests 3)
dd if="/dev/$disk" of=read bs=4K count=5 iflag=direct 2>dd.log
expected=$(echo "$before" | awk -F: '{ print $1 + 5 ":" $2 + 5 * 8 }')
expect_eq "reads, and their sectors" "$(requests 1):$(requests 3)" "$expected"
expect_eq "sectors written" "$(counter sectors_written)" $((sectors + 128))
expect_eq "batches, as no request has more sectors than a lane group has lanes" "$(counter write_batches)" $((batches + 8))
expect_eq "fences" "$(counter write_fences)" $((fences + 16))
expect_eq "errors" "$(counter errors)" 0

blkdiscard -o 65536 -l 65536 "/dev/$disk"
expect_eq "discards" "$(counter discards)" 1
expect_eq "batches after a discard" "$(counter write_batches)" $((batches + 8))

echo 0 >"/sys/block/$disk/queue/iostats"
before=$(requests 5)
dd if=/dev/zero of="/dev/$disk" bs=4K count=1 oflag=direct 2>dd.log
expect_eq "writes that are not accounted" "$(requests 5)" "$before"
expect_eq "sectors written meanwhile" "$(counter sectors_written)" $((sectors + 129))
