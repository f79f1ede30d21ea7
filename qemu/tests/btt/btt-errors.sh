#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Media errors below a BTT: reading a lost sector fails until it is written; the bad block is
# cleared before it is used again; an error in the map affects only the sectors that it maps.
#
# timeout: 300
. "$LIB"
. "${LIB%/*}/simulated.sh"
. "${LIB%/*}/errors.sh"

create_sector_namespace

# word OFFSET: prints a little-endian word of the raw disk.
word() {
	od -An -t u4 -j "$1" -N 4 "/dev/$raw_disk" | tr -d ' '
}

read_block() {
	copy_block "/dev/$disk" read "$1" 0 iflag=direct
}

write_block() {
	copy_block data "/dev/$disk" 0 "$1" oflag=direct
}

head -c 4096 /dev/urandom >data
for sector in 0 5 6 2000; do
	expect_ok write_block $sector
done

# Sector 5 loses its block, while the BTT is in use.
raw
map=$(word 96)
mapped=$(($(word $((map + 4 * 5))) & 0x3fffffff))
inject "$namespace" $(((mapped * 4096 + 4096) / 512)) 8
end_raw
expect_ok ndctl enable-namespace "$namespace" >/dev/null
find_errors
expect_fail read_block 5
expect_match "the error" "$(cat dd.log)" "*Input/output error*"
for sector in 0 6 2000; do
	expect_ok read_block $sector
	expect_ok cmp data read
done
expect_match "bad sectors of the region" "$(cat "$ND/$region/badblocks")" "* 8"

# The map entry has the error flag, so later users get the error, too.
raw
expect_eq "the map entry of the lost sector" "$(($(word $((map + 4 * 5)))))" $((0x40000000 | mapped))
end_raw
expect_ok ndctl enable-namespace "$namespace" >/dev/null
expect_fail read_block 5

# Writing the sector makes it readable.
expect_ok write_block 5
expect_ok read_block 5
expect_ok cmp data read
# The bad block is cleared before it is used again. These writes use each of the CPUs' free blocks,
# of which there are at most 256.
for cpu in 0 1; do
	expect_ok taskset -c $cpu dd if=/dev/zero of="/dev/$disk" bs=4096 seek=100 count=256 oflag=direct status=none
done
expect_eq "bad sectors after all free blocks were used" "$(cat "$ND/$region/badblocks")" ""
for sector in 0 5 6 2000; do
	expect_ok read_block $sector
	expect_ok cmp data read
done
expect_eq "errors that the firmware knows" "$(injected "$namespace")" ""

# An error in the map, found while the BTT is in use: 128 sectors can be neither read nor written.
raw
inject "$namespace" $((map / 512)) 1
end_raw
expect_ok ndctl enable-namespace "$namespace" >/dev/null
find_errors
for sector in 0 127; do
	expect_fail read_block $sector
	expect_match "the error" "$(cat dd.log)" "*Input/output error*"
	expect_fail write_block $sector
done
for sector in 128 2000; do
	expect_ok write_block $sector
	expect_ok read_block $sector
	expect_ok cmp data read
done
