#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A range of memory whose length is not a multiple of the page size between two others: the others
# are enabled, and it is a region without a raw disk. The driver ramdax, which needs whole pages for
# a DIMM, skips that range and one that is not longer than a label area; the C driver fails for all
# of them.
#
# memmap: 64M!512M 50000000!640M 32M!704M 128K!768M
# stacks: rust c
# compare
# timeout: 300
. "$LIB"
. "${LIB%/*}/devices.sh"

for region in region0 region1 region2 region3; do
	namespace=namespace${region#region}.0
	echo "$region: $(show "$region" size) bytes from $(show "$region" resource) on, $namespace of $(show "$namespace" size)"
done
for namespace in namespace0.0 namespace2.0; do
	disk=$(disk_of "$namespace")
	wait_for 10 test -b "/dev/$disk"
	put 1 1048576 0
	same 1 1048576 0 || fail "$disk does not hold its data"
	echo "$namespace: a disk of $(disk_bytes "$disk") bytes"
done
[ ! -e "$ND/namespace1.0/block" ] || fail "the odd range has a raw disk"

echo "namespace1.0: binding it is $(driver bind nd_pmem namespace1.0)"
raw_access namespace1.0
echo "namespace1.0: a disk of $(disk_bytes "$disk") bytes if it is forced"
end=$(($(disk_bytes "$disk") - 65536))
put 2 65536 $end
same 2 65536 $end || fail "$disk does not hold its data"
no_raw_access namespace1.0
wipe namespace1.0
make_btt namespace1.0 4096
put 3 1048576 0
same 3 1048576 0 || fail "the BTT does not hold its data"
uuid=$(show "$btt" uuid)
release "$btt"
make_btt namespace1.0 4096 "$uuid"
same 3 1048576 0 || fail "the BTT does not hold its data after it was bound again"

[ "$STACK" = rust ] || exit 0
expect_kernel_message 'namespace1.0.*size is 0x2faf080, expected a multiple of 0x1000'
modprobe ramdax
printf ramdax >/sys/bus/platform/devices/e820_pmem/driver_override
printf e820_pmem >/sys/bus/platform/drivers/e820_pmem/unbind
printf e820_pmem >/sys/bus/platform/drivers/ramdax/bind
settle
expect_eq "DIMMs of ramdax" "$(cd "$ND" && echo nmem*)" "nmem0 nmem1"
expect_eq "sizes of the regions of ramdax" "$(cat "$ND"/region*/size | tr '\n' ' ')" "67108864 33554432 "
expect_kernel_message 'range 0x28000000\+0x2faf080: expected multiples of 0x1000'
expect_kernel_message 'range 0x30000000\+0x20000: expected multiples of 0x1000, and more than the 0x20000 of a label area'
printf '\n' >/sys/bus/platform/devices/e820_pmem/driver_override
printf e820_pmem >/sys/bus/platform/drivers/ramdax/unbind
rmmod ramdax
