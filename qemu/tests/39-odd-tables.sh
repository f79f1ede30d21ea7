#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What firmware may describe oddly: a disk in memory that is no multiple of pages long, as that of an ISO image from the network, and a
# flush hint that cannot be mapped, which costs its region alone.
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
modprobe nfit_test cd_excess=2048 bad_hint=2
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

# DIMMs 0 and 1 make the pair; the bad hint is in the set of four.
pair=$(region_of_ways 2) four=$(region_of_ways 4)
expect_eq "DIMMs of the first bus" "$(ls -d /sys/devices/platform/nfit_test.0/ndbus*/nmem* | wc -l)" 4
[ -e "$ND/$pair/driver" ] || fail "$pair is not enabled"
[ ! -e "$ND/$four/driver" ] || fail "$four is enabled"
expect_kernel_message "$four.*flush hint"
expect_eq "binding $four" "$(store /sys/bus/nd/drivers/nd_region/bind "$four")" ENXIO
expect_eq "deep_flush of $four" "$(cat "$ND/$four/deep_flush")" 1

unload_simulated
load_simulated
four=$(region_of_ways 4)
[ -e "$ND/$four/driver" ] || fail "$four is not enabled without the bad hint"
