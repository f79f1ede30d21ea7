#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What firmware may describe oddly: a disk in memory that is no multiple of pages long, as that of an ISO image from the network.
#
# timeout: 300
. "$LIB"
. "${LIB%/*}/simulated.sh"

# region_at START: the region of that address.
region_at() {
	for _region in "$ND"/region*; do
		[ "$(($(cat "$_region/resource")))" != "$(($1))" ] || basename "$_region"
	done
}

CD_BYTES=$((4194304 + 2048))

unload_simulated
modprobe nfit_test cd_excess=2048
wait_for_buses
udevadm settle

cd_region=$(region_at 0x148000000)
[ -n "$cd_region" ] || fail "there is no region for the CD"
expect_eq "the size of the CD's region" "$(cat "$ND/$cd_region/size")" $CD_BYTES
disk=$(basename "$(echo "$ND/$cd_region"/namespace*.0/block/*)")
expect_eq "the sectors of the CD" "$(cat "/sys/class/block/$disk/size")" $((CD_BYTES / 512))
wait_for 10 test -b "/dev/$disk"
seq -w 1 1000000 | head -c $CD_BYTES >image
expect_ok dd if=image of="/dev/$disk" bs=2048 oflag=direct 2>dd.log
expect_ok dd if="/dev/$disk" of=back bs=2048 iflag=direct 2>>dd.log
expect_ok cmp image back
expect_eq "bytes that can be read of the disk" "$(wc -c <"/dev/$disk")" $CD_BYTES
