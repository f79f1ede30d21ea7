#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The two layouts of the log of a BTT, which differ in the slots of a group that are used: 0 and 1,
# or 0 and 2 in early kernels. Both are detected and work, and ndctl check-namespace --rewrite-log
# converts the second to the first. Namespaces of early kernels may have a UUID of zeroes.
#
# timeout: 300
. "$LIB"
. "${LIB%/*}/simulated.sh"

reset_labels 1.1
region=$(region_of_ways 4)
created=$(ndctl create-namespace -r "$region" -m sector -l 4096) || fail "create: $?"
namespace=$(field "$created" dev)
sector_disk=$(field "$created" blockdev)
raw_disk=${sector_disk%s}

# indexes: prints the indexes of the log slots in use.
indexes() {
	_arena=$(echo /sys/kernel/debug/btt/btt"${region#region}".*/arena0)
	echo "$(cat "$_arena/log_index_0") $(cat "$_arena/log_index_1")"
}

write_and_verify() {
	dd if=/dev/urandom of=data bs=4096 count=256 status=none
	expect_ok dd if=data of="/dev/$sector_disk" bs=4096 oflag=direct status=none
	expect_ok dd if="/dev/$sector_disk" of=read bs=4096 count=256 iflag=direct status=none
	expect_ok cmp data read
}

expect_eq "log slots of a new BTT" "$(indexes)" "0 1"
write_and_verify

# The old layout: the second slot of each group of 64 bytes moves to the third.
raw
log=$(od -An -t u8 -j $((4096 + 104)) -N 8 "/dev/$raw_disk" | tr -d ' ')
lanes=$(od -An -t u4 -j $((4096 + 72)) -N 4 "/dev/$raw_disk" | tr -d ' ')
length=$((lanes * 64))
expect_ok dd if="/dev/$raw_disk" of=log bs=4096 skip=$(((4096 + log) / 4096)) count=$((length / 4096)) status=none
perl -e 'local $/; $_ = <>; s/(.{16})(.{16})(.{16})(.{16})/$1$3$2$4/gs; print' log >old-log
expect_ok dd if=old-log of="/dev/$raw_disk" bs=4096 seek=$(((4096 + log) / 4096)) oflag=direct conv=notrunc status=none
end_raw
expect_ok ndctl enable-namespace "$namespace"
expect_eq "log slots of the old layout" "$(indexes)" "0 2"
expect_ok dd if="/dev/$sector_disk" of=read bs=4096 count=256 iflag=direct status=none
expect_ok cmp data read
write_and_verify

expect_ok ndctl disable-namespace "$namespace"
expect_ok ndctl check-namespace --repair --rewrite-log "$namespace"
expect_ok ndctl enable-namespace "$namespace"
expect_eq "log slots after the rewrite" "$(indexes)" "0 1"
expect_ok dd if="/dev/$sector_disk" of=read bs=4096 count=256 iflag=direct status=none
expect_ok cmp data read
write_and_verify

reset_labels 1.2
NIL=00000000-0000-0000-0000-000000000000
created=$(ndctl create-namespace -r "$region" -s 64M -m raw -l 4096 -u $NIL) || fail "create with a UUID of zeroes: $?"
namespace=$(field "$created" dev)
expect_eq "UUID" "$(cat "$ND/$namespace/uuid")" $NIL
expect_ok ndctl disable-region "$region"
expect_ok ndctl enable-region "$region"
wait_for_buses
[ -e "$ND/$namespace/driver" ] || fail "$namespace is not enabled again"
expect_eq "UUID, read from the labels" "$(cat "$ND/$namespace/uuid")" $NIL
