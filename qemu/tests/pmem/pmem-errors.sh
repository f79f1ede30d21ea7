#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A file system on a disk with sectors that are marked as bad by hand: the file cannot be read
# there, with direct or buffered I/O, until it is written.
#
# timeout: 300
. "$LIB"
. "${LIB%/*}/devices.sh"
. "${LIB%/*}/simulated.sh"
. "${LIB%/*}/errors.sh"

reset_labels 1.2
created=$(ndctl create-namespace -b "$N0" -t pmem -m raw) || fail "create: $?"
disk=$(field "$created" blockdev)
expect_ok mkfs.ext4 -q "/dev/$disk" -b 4096
mkdir mounted
expect_ok mount "/dev/$disk" mounted
expect_ok dd if=/dev/urandom of=mounted/file bs=4096 count=4 oflag=direct status=none
cp mounted/file copy
start=$(filefrag -v -b512 mounted/file | awk '/^ +[0-9]/ { sub(/\.\..*/, "", $4); print $4; exit }')
[ "$start" -gt 0 ] || fail "where is the file?"

expect_store_errno EINVAL "/sys/block/$disk/badblocks" "$start"
expect_eq "declaring sectors bad" "$(store "/sys/block/$disk/badblocks" "$start 8")" ok
expect_eq "bad sectors" "$(bad_sectors "$disk")" "$start 8,"
expect_fail dd if=mounted/file of=/dev/null bs=4096 count=1 iflag=direct status=none
expect_ok dd if=mounted/file of=/dev/null bs=4096 skip=1 count=3 iflag=direct status=none
drop() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}
drop
expect_fail cat mounted/file >/dev/null
expect_ok dd if=copy of=mounted/file bs=4096 count=1 oflag=direct conv=notrunc status=none
expect_eq "bad sectors after a write" "$(bad_sectors "$disk")" ""
drop
expect_ok cmp copy mounted/file
umount mounted

# --- A page map -----------------------------------------------------------------------------------
# Errors in the space of the memmap are cleared when it is created; those of the data are counted
# from the start of the data.
namespace=$(field "$created" dev)
inject "$namespace" 64 2
scrubbed
expect_eq "bad sectors of the raw disk" "$(bad_sectors "$disk")" "64 2,"
created=$(ndctl create-namespace -f -e "$namespace" -m fsdax) || fail "create with a page map: $?"
disk=$(field "$created" blockdev)
expect_eq "bad sectors of the disk" "$(bad_sectors "$disk")" ""
expect_eq "bad sectors of the region" "$(cat "$ND/region${disk#pmem}/badblocks")" ""
inject "$namespace" 8 1
scrubbed
expect_eq "bad sectors of the data" "$(bad_sectors "$disk")" "8 1,"
expect_lost "$disk" 8 1
expect_ok write_sectors "$disk" 8 1
expect_eq "bad sectors of the data after a write" "$(bad_sectors "$disk")" ""

# The info block cannot be read: no PFN device is detected, and none is created over it until the
# sector has been written.
raw
inject "$namespace" 8 1
find_errors
end_raw
region=region${disk#pmem}
bad=$(cat "$ND/$region/badblocks")
expect_match "bad sectors of the region without the info block" "$bad" "* 1"
expect_ok ndctl enable-namespace "$namespace" >/dev/null
expect_eq "disk without the info block" "$(disk_of "$namespace")" "$disk"
expect_ok ndctl disable-namespace "$namespace" >/dev/null

configure() {
	pfn=$(seed pfn "$region")
	set_attribute "$pfn" uuid "$(uuidgen)"
	set_attribute "$pfn" mode pmem
	set_attribute "$pfn" namespace "$namespace"
}

configure
expect_eq "the error of a page map over what cannot be read" "$(driver bind nd_pmem "$pfn")" ENXIO
expect_kernel_message "$pfn: the info block of its namespace at 0x1000 cannot be read"
expect_eq "bad sectors of the region afterwards" "$(cat "$ND/$region/badblocks")" "$bad"
set_attribute "$pfn" namespace ''
raw
expect_ok write_sectors "$disk" 8 8
end_raw
configure
bind "$pfn"
expect_eq "disk of the new page map" "$(disk_of "$pfn")" "$disk"
