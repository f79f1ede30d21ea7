#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Two DIMMs, one of which has labels of another interleave set. The C modules give a namespace
# another offset there. Ours show it in the same way, with its data, and do not change its labels
# after an interrupted update. New namespaces are at the same offset of both DIMMs.
#
# timeout: 300
. "$LIB"
. "${LIB%/*}/simulated.sh"

UNIT=8388608
first=11111111-1111-4111-8111-111111111111
second=22222222-2222-4222-8222-222222222222

names() {
	ndctl list -r "$region" -N | jq -c '[.[].uuid]'
}

# labels FROM TO UUID CHANGE...: writes the label area FROM with changes to TO.
labels() {
	cp "$1" "$2"
	to=$2
	shift 2
	perl "${LIB%/*}/labels.pl" "$to" "$@" || fail "labels.pl $*: $?"
}

# shown WHEN: the namespace has its address and its data.
shown() {
	listed=$(ndctl list -r "$region" -N)
	namespace=$(field "$listed" dev) disk=/dev/$(field "$listed" blockdev)
	expect_eq "the namespaces $1" "$(names)" "[\"$first\"]"
	expect_eq "the address $1" "$(cat "$ND/$namespace/resource")" "$address"
	expect_eq "the size $1" "$(cat "$ND/$namespace/size")" $((2 * UNIT))
	expect_ok dd if="$disk" of=read bs=1M count=15 iflag=direct status=none
	expect_ok cmp data read
}

# free ALL LARGEST: the region has this much space for new namespaces.
free() {
	expect_eq "what is available" "$(cat "$ND/$region/available_size")" "$1"
	expect_eq "the largest piece" "$(cat "$ND/$region/max_available_extent")" "$2"
}

reset_labels 1.2
region=$(region_of_ways 2)
save_labels none
created=$(ndctl create-namespace -r "$region" -m raw -s $((2 * UNIT)) -u $first)
namespace=$(field "$created" dev) disk=/dev/$(field "$created" blockdev)
address=$(cat "$ND/$namespace/resource")
dd if=/dev/urandom of=data bs=1M count=15 status=none
expect_ok dd if=data of="$disk" bs=1M oflag=direct status=none
save_labels equal
expect_ok ndctl disable-namespace "$namespace"
expect_eq "changing the UUID" "$(store "$ND/$namespace/uuid" $second)" ok
save_labels renamed

# As the C modules create it if the first unit of the second DIMM is in use by other labels.
labels equal.1 unequal.1 $first dpa=$UNIT
restore_labels equal.0 unequal.1
shown "with shares at different offsets"

free 0 0
expect_ok ndctl disable-namespace "$namespace"
expect_store_errno ENXIO "$ND/$namespace/alt_name" other
expect_kernel_message "$region: namespace $first: mapping1: dpa is 0x800000..0x1000000, expected 0x0..0x800000: its labels can be removed, but not"
expect_store_errno ENXIO "$ND/$namespace/uuid" $second
expect_ok ndctl enable-namespace "$namespace"
shown "after changes that were refused"

# A change of the UUID that reached one DIMM: it is ambiguous, so all labels stay.
labels renamed.0 half.0 $second flags=8
restore_labels half.0 unequal.1
expect_kernel_message "$region: namespace $first refused: mapping0 has no label"
expect_kernel_message "$region: namespace $second refused: mapping1 has no label"
expect_eq "the namespaces after a change of the UUID was interrupted" "$(names)" ""
save_labels after
expect_ok cmp after.0 half.0
expect_ok cmp after.1 unequal.1
restore_labels equal.0 unequal.1
shown "with its former labels"
expect_ok ndctl destroy-namespace -f "$namespace"
expect_eq "the namespaces" "$(names)" ""
free $((4 * UNIT)) $((4 * UNIT))

# A new namespace beside labels of another interleave set.
labels equal.1 stale.1 $first cookie=1
restore_labels none.0 stale.1
free $((2 * UNIT)) $((2 * UNIT))
namespace=$(field "$(ndctl create-namespace -r "$region" -m raw -u $second)" dev)
expect_eq "the size of a new namespace" "$(cat "$ND/$namespace/size")" $((2 * UNIT))
expect_eq "its address" "$(cat "$ND/$namespace/resource")" "$(printf '0x%x' $((address + 2 * UNIT)))"
expect_ok ndctl disable-namespace "$namespace"
expect_eq "its name" "$(store "$ND/$namespace/alt_name" new)" ok
expect_ok ndctl enable-namespace "$namespace"
free 0 0

# Half of each DIMM is free, but not the same half.
labels equal.0 stale.0 $first cookie=1 dpa=$UNIT
restore_labels stale.0 stale.1
free 0 0
seed=$(cat "$ND/$region/namespace_seed")
expect_eq "the UUID of the seed" "$(store "$ND/$seed/uuid" $second)" ok
expect_store_errno ENOSPC "$ND/$seed/size" $((2 * UNIT))
expect_kernel_message "$seed: size 0x1000000: at most 0x0 expected"
