#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A BTT with writes that a power failure interrupted, in a read-only region: the disk shows the
# finished writes, and the media do not change. The writes are finished when the region is writable
# and the BTT is attached again.
#
# needs: nvdimm=32M
# timeout: 300
. "$LIB"
. "${LIB%/*}/devices.sh"

# Sixteen sectors.
part=$((64 * 1024))
region=$(region_of namespace0.0)

# checksum: sets $sum to a checksum of the whole namespace.
checksum() {
	raw_access namespace0.0
	sum=$(sha256sum "/dev/$disk")
	no_raw_access namespace0.0
}

# map_page INPUT OUTPUT SKIP SEEK FLAG: copies the page of the map with the entries of the first
# sectors.
map_page() {
	expect_ok dd if="$1" of="$2" bs=4096 skip="$3" seek="$4" count=1 conv=notrunc "$5" status=none
}

# expect_read_only: the disk has all data, and refuses writes.
expect_read_only() {
	expect_eq "ro of the disk" "$(cat "/sys/block/$disk/ro")" 1
	same 2 "$part" 0 || fail "the data are not those that were written last"
	same 1 "$part" "$part" || fail "data that were not concerned have changed"
	expect_fail dd if=/dev/zero of="/dev/$disk" bs=4096 count=1 oflag=direct status=none 2>dd.log
}

make_btt namespace0.0 4096
# Without labels the BTT begins at the second page of the namespace.
map=$(($(cat "/sys/kernel/debug/btt/$btt/arena0/mapoff") / 4096 + 1))
put 1 "$part" 0
put 1 "$part" "$part"
release "$btt"

# Restore the map from before the last sixteen writes, which are in the flog.
raw_access namespace0.0
map_page "/dev/$disk" map "$map" 0 iflag=direct
no_raw_access namespace0.0
detect namespace0.0
put 2 "$part" 0
release "$btt"
raw_access namespace0.0
map_page map "/dev/$disk" 0 "$map" oflag=direct
no_raw_access namespace0.0
checksum
interrupted=$sum

set_attribute "$region" read_only 1
dmesg -C
detect namespace0.0
expect_kernel_message "$btt: its medium is read only: 16 interrupted writes are not finished"
expect_read_only
# The disk stays read-only when the region becomes writable.
set_attribute "$region" read_only 0
expect_read_only
release "$btt"
checksum
expect_eq "the namespace after it was attached read only" "$sum" "$interrupted"

dmesg -C
detect namespace0.0
expect_kernel_message "$btt: 16 writes that a power failure had interrupted were finished"
expect_eq "ro of the disk" "$(cat "/sys/block/$disk/ro")" 0
same 2 "$part" 0 || fail "the data are not there when the writes are finished"
put 3 $((2 * part)) 0
same 3 $((2 * part)) 0 || fail "what was written afterwards is not there"
release "$btt"
checksum
[ "$sum" != "$interrupted" ] || fail "the checksum sees no changes"

# Without interrupted writes, the disk is writable if its region is.
set_attribute "$region" read_only 1
detect namespace0.0
expect_eq "ro of the disk in a read-only region" "$(cat "/sys/block/$disk/ro")" 1
set_attribute "$region" read_only 0
expect_eq "ro of the disk in a writable region" "$(cat "/sys/block/$disk/ro")" 0
put 4 "$part" 0
same 4 "$part" 0 || fail "the data are not there"
release "$btt"
