#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# ndctl check-namespace on interleaved DIMMs: an intact BTT, info blocks that are lost and restored,
# an inconsistent map. After each repair the data are unchanged.
#
# timeout: 300
. "$LIB"
. "${LIB%/*}/simulated.sh"

reset_labels 1.1
region=$(region_of_ways 4)
created=$(ndctl create-namespace -r "$region" -m sector -l 4096 -s 32M) || fail "create: $?"
namespace=$(field "$created" dev)
sector_disk=$(field "$created" blockdev)
raw_disk=${sector_disk%s}
bytes=$(blockdev --getsize64 "/dev/$sector_disk")
expect_eq "the size" "$bytes" "$(field "$created" size)"

dd if=/dev/urandom of=data bs=4096 count=$((bytes / 4096)) status=none
expect_ok dd if=data of="/dev/$sector_disk" bs=4096 oflag=direct status=none

# expect_needs WHAT: ndctl reports that something needs to be done.
expect_needs() {
	expect_match "what ndctl says" "$(ndctl check-namespace "$namespace" 2>&1 || true)" "*needs to be $1*"
}

verify() {
	expect_ok ndctl enable-namespace "$namespace"
	expect_ok cmp -n "$bytes" data "/dev/$sector_disk"
}

expect_ok ndctl disable-namespace "$namespace"
expect_ok ndctl check-namespace "$namespace"
verify
expect_fail ndctl check-namespace "$namespace"
expect_ok ndctl check-namespace --force "$namespace"

# The copy of the info block is lost.
raw
size=$(blockdev --getsize64 "/dev/$raw_disk")
expect_ok dd if=/dev/zero of="/dev/$raw_disk" bs=4096 count=1 seek=$((size / 4096 - 1)) oflag=direct status=none
end_raw
expect_needs "restored"
expect_ok ndctl check-namespace --repair "$namespace"
verify

# The info block is lost, and the block before it.
raw
expect_ok dd if=/dev/zero of="/dev/$raw_disk" bs=4096 count=2 oflag=direct status=none
end_raw
expect_needs "restored"
expect_ok ndctl check-namespace --repair "$namespace"
verify

# Map entries as in a new BTT: they map to blocks that other sectors use by now.
raw
map=$(od -An -t u8 -j $((4096 + 96)) -N 8 "/dev/$raw_disk" | tr -d ' ')
expect_match "the offset of the map" "$map" "[1-9]*"
expect_ok dd if=/dev/zero of="/dev/$raw_disk" bs=4096 count=1 seek=$(((4096 + map) / 4096)) oflag=direct status=none
end_raw
expect_match "what ndctl says" "$(ndctl check-namespace "$namespace" 2>&1 || true)" "*bitmap error*"
