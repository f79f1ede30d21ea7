#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Sectors with metadata: the integrity profile that the disk announces, a file system that sends and wants metadata, and what
# is stored for a request that brings none.
#
# needs: nvdimm=64M
# stacks: rust c
. "$LIB"
. "${LIB%/*}/devices.sh"

# What lies in the blocks before anything is written to the disk.
unbind namespace0.0
raw_access namespace0.0
tr '\0' '\377' </dev/zero | dd of="/dev/$disk" bs=1M seek=1 iflag=fullblock oflag=direct 2>dd.log || true
no_raw_access namespace0.0

for expected in 512:none:0 520:nop:8 528:nop:16 4096:none:0 4104:nop:8 4160:nop:64 4224:nop:128; do
	make_btt namespace0.0 "${expected%%:*}"
	integrity=/sys/block/$disk/integrity
	expect_eq "integrity with ${expected%%:*}" "${expected%%:*}:$(cat "$integrity/format"):$(cat "$integrity/tag_size")" "$expected"
	size=${expected##*:}
	if [ "$size" != 0 ]; then
		put 7 65536 0
		put 8 65536 32768
		same 7 32768 0 && same 8 65536 32768 || fail "sectors with $size bytes of metadata differ"
	fi
	release "$btt"

	# The C driver leaves there what was in the block before.
	if [ "$size" != 0 ] && [ "$STACK" = rust ]; then
		raw_access namespace0.0
		at=$(grep -abo "$(pattern 7 16)" "/dev/$disk" | cut -d: -f1)
		sector=$((${expected%%:*} - size))
		expect_eq "metadata that nobody sent, with ${expected%%:*}" \
			"$(dd if="/dev/$disk" bs=1 skip=$((at + sector)) count="$size" 2>dd.log | tr -d '\0' | wc -c)" 0
		no_raw_access namespace0.0
	fi
	wipe namespace0.0
done
