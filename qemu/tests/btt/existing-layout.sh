#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A BTT is configured with other properties than those of the layout on the media: the device takes
# the UUID and the sector size of the layout. (The C driver keeps the configured sector size and
# makes a disk with the layout's number of sectors, which reaches beyond the end of the namespace.
# It cannot pass this test.)
#
# needs: nvdimm=32M
# timeout: 300
. "$LIB"
. "${LIB%/*}/devices.sh"

part=$((1024 * 1024))

# reconfigure SECTOR_SIZE LAYOUT_SECTOR_SIZE: a device configured for the first size claims a layout
# of the second one, which does not change.
reconfigure() {
	dmesg -C
	make_btt namespace0.0 "$1"
	expect_eq "uuid" "$(show "$btt" uuid)" "$uuid"
	expect_match "sector_size" "$(show "$btt" sector_size)" "*\[$2\]*"
	expect_eq "size" "$(show "$btt" size)" "$size"
	expect_eq "size of the disk" "$(disk_bytes "$disk")" "$size"
	expect_eq "block size of the disk" "$(cat "/sys/class/block/$disk/queue/logical_block_size")" "$2"
	expect_kernel_message "$btt: .*used as it is: uuid $uuid \(configured .*\), sector_size $2 \(configured $1\)"
	same 1 "$part" 0 || fail "the start is not as it was"
	same 2 "$part" $((size - part)) || fail "the end is not as it was"
	release "$btt"
}

for layout in 512 4096; do
	uuid=$(uuidgen)
	make_btt namespace0.0 "$layout" "$uuid"
	size=$(show "$btt" size)
	put 1 "$part" 0
	put 2 "$part" $((size - part))
	release "$btt"
	for other in 512 520 4096; do
		[ "$other" = "$layout" ] || reconfigure "$other" "$layout"
	done
	detect namespace0.0
	expect_eq "uuid when detected again" "$(show "$btt" uuid)" "$uuid"
	release "$btt"
	ndctl check-namespace namespace0.0 >check.out 2>&1 || fail "check-namespace: $(cat check.out)"
	wipe namespace0.0
done
