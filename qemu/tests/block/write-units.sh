#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# All alignments of direct I/O: runs of blocks at odd offsets, the last block, and beyond the end.
#
# needs: nvdimm=64M
# stacks: rust c
# tags: quick
. "$LIB"
. "${LIB%/*}/devices.sh"

# copy OPTION...: runs dd quietly, and returns its status.
copy() {
	dd "$@" 2>dd.log
}

for sector in 512 4096; do
	make_btt namespace0.0 "$sector"
	blocks=$(($(disk_bytes "$disk") / sector))
	pattern 7 $((40 * sector)) >data
	for run in 0:1 1:7 13:40 97:3 $((blocks - 40)):40 $((blocks - 1)):1; do
		at=${run%:*} count=${run#*:}
		copy if=data of="/dev/$disk" bs=$((count * sector)) count=1 seek=$((at * sector)) oflag=direct,seek_bytes ||
			fail "writing $count blocks at $at: $(cat dd.log)"
		copy if="/dev/$disk" of=read bs=$((count * sector)) count=1 skip=$((at * sector)) iflag=direct,skip_bytes ||
			fail "reading $count blocks at $at: $(cat dd.log)"
		head -c $((count * sector)) data | cmp - read || fail "$count blocks at $at differ"
	done
	expect_errno 'No space left on device' dd if=data of="/dev/$disk" bs="$sector" count=1 seek="$blocks" oflag=direct
	copy if="/dev/$disk" of=read bs="$sector" count=1 skip="$blocks" iflag=direct || fail "reading at the end: $(cat dd.log)"
	expect_eq "bytes read behind the end" "$(stat -c %s read)" 0
	release "$btt"
	wipe namespace0.0
done
