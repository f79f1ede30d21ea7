#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A file system on a disk of which sectors are declared bad by hand: its file cannot be read there, nor through a mapping, until
# it is written.
#
# timeout: 240
. "$LIB"
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

# --- A page map -------------------------------------------------------------------------------------------------------
# Errors where page structures will be go when the map is made; those of the data are counted from their start.
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
