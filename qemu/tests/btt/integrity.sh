#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Sectors with metadata: the integrity profile of the disk, metadata of a request, and what is
# stored for a request without metadata.
#
# needs: nvdimm=64M
# stacks: rust c
# timeout: 300
. "$LIB"
. "${LIB%/*}/devices.sh"

geometry() {
	cat "/sys/kernel/debug/btt/$btt/arena0/$1"
}

# with_payload read|write SECTOR COUNT: makes a request with metadata.
with_payload()
{
	perl "${LIB%/*}/payload.pl" "/dev/$disk" "$@" "$sector" "$metadata"
}

# keep_payload: metadata are read back with their sectors, also after neighbours were written.
keep_payload()
{
	head -c $((8 * (sector + metadata))) /dev/urandom >eight
	head -c $((2 * (sector + metadata))) /dev/urandom >two
	with_payload write 16 8 <eight || fail "cannot write metadata"
	with_payload write 19 2 <two || fail "cannot write metadata"
	with_payload read 19 2 | cmp - two || fail "sectors of $sector bytes or their metadata are not as they were written"
	with_payload read 16 3 >found
	{
		head -c $((3 * sector)) eight
		tail -c $((8 * metadata)) eight | head -c $((3 * metadata))
	} | cmp - found || fail "neighbours of a write, or their metadata, have changed"
	release "$btt"
	detect namespace0.0
	with_payload read 19 2 | cmp - two || fail "metadata are gone in the next use"
}

for expected in 512:none:0 520:nop:8 528:nop:16 4096:none:0 4104:nop:8 4160:nop:64 4224:nop:128; do
	make_btt namespace0.0 "${expected%%:*}"
	integrity=/sys/block/$disk/integrity
	expect_eq "integrity with ${expected%%:*}" "${expected%%:*}:$(cat "$integrity/format"):$(cat "$integrity/tag_size")" "$expected"
	expect_eq "segments of metadata" "$(cat "/sys/block/$disk/queue/max_integrity_segments")" 1
	sector=$((${expected%%:*} / 512 * 512))
	metadata=$((${expected%%:*} - sector))
	[ $metadata = 0 ] || keep_payload
	put 7 65536 0
	put 8 65536 32768
	if ! same 7 32768 0 || ! same 8 65536 32768; then
		fail "what was written to sectors of ${expected%%:*} bytes is not there"
	fi
	release "$btt"
	wipe namespace0.0
done

# The C driver leaves the previous contents of the block in place.
[ "$STACK" = rust ] || exit 0
for size in 8 128; do
	sector=$((size == 8 ? 512 : 4096))
	make_btt namespace0.0 $((sector + size))
	block=$(geometry internal_lbasize)
	free=$((4096 + $(geometry dataoff) + $(geometry external_nlba) * block))
	release "$btt"
	raw_access namespace0.0
	head -c $((256 * block)) /dev/zero | tr '\0' '\377' | dd of="/dev/$disk" bs=64K seek=$free oflag=seek_bytes conv=fsync 2>dd.log
	no_raw_access namespace0.0

	detect namespace0.0
	put 7 4096 0
	release "$btt"
	raw_access namespace0.0
	dd if="/dev/$disk" of=blocks bs=64K skip=$free count=$((256 * block)) iflag=skip_bytes,count_bytes 2>dd.log
	no_raw_access namespace0.0
	at=$(grep -abo "$(pattern 7 16)" blocks | cut -d: -f1)
	[ -n "$at" ] || fail "what was written is not in a free block"
	expect_eq "nonzero bytes of metadata that no request sent" \
		"$(tail -c +$((at + sector + 1)) blocks | head -c "$size" | tr -d '\0' | wc -c)" 0
	wipe namespace0.0
done
