#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Unusual tables: a disk in memory whose size is not a multiple of the page size, like an ISO image
# from the network, and invalid flush hints, which disable only their region: not aligned, at the
# address of the kernel's image, or beyond all addresses. All addresses of the table are simulated,
# so none that is not backed by simulated memory is mapped. A DIMM with one valid hint does not need
# the others.
#
# timeout: 300
. "$LIB"
. "${LIB%/*}/simulated.sh"

# region_at START: prints the region at that address.
region_at() {
	for _region in "$ND"/region*; do
		[ "$(($(cat "$_region/resource")))" != "$(($1))" ] || basename "$_region"
	done
}

CD_BYTES=$((4194304 + 2048))

unload_simulated
modprobe nfit_test cd_excess=2048 bad_hint=2
wait_for_buses
udev_settle

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

# load_bad_hints WORDS: loads the module with these parameters, and sets $pair and $four.
load_bad_hints() {
	unload_simulated
	dmesg -C
	# shellcheck disable=SC2086
	modprobe nfit_test $*
	wait_for_buses
	pair=$(region_of_ways 2) four=$(region_of_ways 4)
}

image=$(sed -n 's/^ *0*\([1-9a-f][0-9a-f]*\)-[0-9a-f]* : Kernel code$/0x\1/p' /proc/iomem)
[ -n "$image" ] || fail "/proc/iomem does not show the kernel's code"
for address in "$image" 0x1000000000000000; do
	load_bad_hints bad_hint=2 bad_hint_at="$address"
	[ -e "$ND/$pair/driver" ] || fail "hint at $address: $pair is not enabled"
	[ ! -e "$ND/$four/driver" ] || fail "hint at $address: $four is enabled"
	expect_kernel_message "$four.*flush hint $address of nmem.*is not in simulated memory"
	expect_eq "binding $four" "$(store /sys/bus/nd/drivers/nd_region/bind "$four")" ENXIO
done

load_bad_hints bad_hint=2 bad_hint_at="$image" bad_hints=3
[ -e "$ND/$four/driver" ] || fail "$four is not enabled, though five hints are good"
expect_kernel_message "$four.*flush hint $image of nmem.*is used instead"
expect_eq "deep_flush of $four" "$(store "$ND/$four/deep_flush" 1)" ok

# Addresses that nothing uses are not mapped either.
FREE=3000000000
load_bad_hints bad_hint=2 bad_hint_at=0x$FREE
[ ! -e "$ND/$four/driver" ] || fail "hint at 0x$FREE: $four is enabled"
expect_kernel_message "$four.*flush hint 0x$FREE of nmem.*is not in simulated memory"
expect_eq "what is reserved of the page" "$(sed -n "s/^ *$FREE-/-/p" /proc/iomem)" ""

unload_simulated
load_simulated
four=$(region_of_ways 4)
[ -e "$ND/$four/driver" ] || fail "$four is not enabled without the bad hint"
