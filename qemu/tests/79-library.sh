#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What ndctl's test of its library asserts of labels, raw and sector mode: the label area byte by byte, idle regions and seeds,
# namespaces of odd sizes, sizes of BTTs, all of it again after regions were disabled, and the disk of a read-only region.
#
# timeout: 240
. "$LIB"
. "${LIB%/*}/simulated.sh"
. "${LIB%/*}/devices.sh"

ONES=01010101-0101-0101-0101-010101010101
TWOS=02020202-0202-0202-0202-020202020202
MIB=1048576

# --- Label areas ------------------------------------------------------------------------------------------------------
expect_ok ndctl disable-region -b "$N0" all
dimm=$(ndctl list -b "$N0" -D | jq -r 'map(select(.handle == 0)) | .[0].dev')
expect_eq "commands of a DIMM" "$(cat "$ND/$dimm/commands")" "smart smart_thresh get_size get_data set_data cmd_call "
expect_eq "dsm_mask of a DIMM" "$(cat "$ND/$dimm/nfit/dsm_mask")" 0x7ffff476
expect_ok ndctl read-labels -o area "$dimm"
expect_eq "bytes of the label area" "$(stat -c %s area)" 131072
printf '0123456789abcdefghij' >twenty
expect_ok ndctl write-labels -s 20 -i twenty "$dimm"
expect_ok ndctl read-labels -s 20 -o read "$dimm"
expect_ok cmp twenty read
other=$(field "$(ndctl list -b "$N1" -D)" dev)
expect_eq "commands of a DIMM of the second bus" "$(cat "$ND/$other/commands")" "get_size get_data set_data cmd_call "
expect_eq "its dsm_mask" "$(cat "$ND/$other/nfit/dsm_mask")" 0x470
reset_labels 1.2

# --- Regions and seeds --------------------------------------------------------------------------------------------------
pair=$(region_of_ways 2) four=$(region_of_ways 4)

# check_idle REGION WAYS SIZE
check_idle() {
	_index=${1#region}
	expect_eq "align of $1" "$(store "$ND/$1/align" $((4096 * $2)))" ok
	expect_eq "size of $1" "$(cat "$ND/$1/size")" "$3"
	expect_eq "what is available on $1" "$(cat "$ND/$1/available_size")" "$3"
	_seed=$(cat "$ND/$1/btt_seed")
	expect_match "btt_seed of $1" "$_seed" "btt$_index.*"
	expect_eq "uuid of $_seed" "$(cat "$ND/$_seed/uuid")" ""
	expect_eq "sector sizes of $_seed" "$(cat "$ND/$_seed/sector_size")" "512 520 528 4096 4104 4160 4224 "
}
check_idle "$pair" 2 $((32 * MIB))
check_idle "$four" 4 $((64 * MIB))
for mapping in "$ND/$four"/mapping[0-9]; do
	member=$(cut -d, -f1 "$mapping")
	expect_eq "state of $member" "$(cat "$ND/$member/state")" active
done

# --- Namespaces ---------------------------------------------------------------------------------------------------------
# make REGION SIZE UUID: gives the seed a size.
make() {
	_seed=$(cat "$ND/$1/namespace_seed")
	expect_eq "uuid of $_seed" "$(store "$ND/$_seed/uuid" "$3")" ok
	expect_eq "alt_name of $_seed" "$(store "$ND/$_seed/alt_name" "$_seed")" ok
	expect_eq "size of $_seed" "$(store "$ND/$_seed/size" "$2")" ok
	expect_eq "sector_size of $_seed" "$(store "$ND/$_seed/sector_size" 4096)" ok
}

# check_namespace REGION SIZE UUID
check_namespace() {
	_name=namespace${1#region}.0
	expect_eq "what $_name is" "$(cat "$ND/$_name/devtype")" nd_namespace_pmem
	expect_eq "size of $_name" "$(cat "$ND/$_name/size")" "$2"
	expect_eq "uuid of $_name" "$(cat "$ND/$_name/uuid")" "$3"
	expect_eq "alt_name of $_name" "$(cat "$ND/$_name/alt_name")" "$_name"
	expect_eq "sector_size of $_name" "$(cat "$ND/$_name/sector_size")" "512 [4096] "
}
check_namespaces() {
	check_namespace "$pair" $((18 * MIB)) $ONES
	check_namespace "$four" $((20 * MIB)) $TWOS
}
make "$pair" $((18 * MIB)) $ONES
make "$four" $((20 * MIB)) $TWOS
check_namespaces
expect_ok ndctl disable-region -b "$N0" all
expect_ok ndctl enable-region -b "$N0" all
wait_for_buses
check_namespaces

# --- BTTs ---------------------------------------------------------------------------------------------------------------
# check_btt REGION UUID SIZE: of sectors of 512 bytes, with the UUID of its namespace's.
check_btt() {
	_namespace=namespace${1#region}.0
	[ ! -e "$ND/$_namespace/driver" ] || unbind "$_namespace"
	_btt=$(cat "$ND/$1/btt_seed")
	expect_eq "holder_class" "$(store "$ND/$_namespace/holder_class" btt)" ok
	expect_eq "uuid of $_btt" "$(store "$ND/$_btt/uuid" "$2")" ok
	expect_eq "sector_size of $_btt" "$(store "$ND/$_btt/sector_size" 512)" ok
	expect_eq "namespace of $_btt" "$(store "$ND/$_btt/namespace" "$_namespace")" ok
	bind "$_btt"
	[ "$(cat "$ND/$1/btt_seed")" != "$_btt" ] || fail "$1 has no new btt_seed"
	expect_eq "size of $_btt" "$(cat "$ND/$_btt/size")" "$3"
	expect_eq "mode of $_namespace" "$(cat "$ND/$_namespace/mode")" safe
	expect_eq "holder of $_namespace" "$(cat "$ND/$_namespace/holder")" "$_btt"
}
check_btt "$pair" $ONES $((0x11b5400))
check_btt "$four" $TWOS $((0x13b1400))
listed=$(ndctl list -b "$N0" -N | jq -c 'map([.mode, .size, .uuid, .sector_size]) | sort')
expect_ok ndctl disable-region -b "$N0" all
expect_ok ndctl enable-region -b "$N0" all
wait_for_buses
expect_eq "BTTs that were found again" "$(ndctl list -b "$N0" -N | jq -c 'map([.mode, .size, .uuid, .sector_size]) | sort')" "$listed"

# --- A read-only region ---------------------------------------------------------------------------------------------------
expect_ok ndctl disable-region -b "$N1" all
expect_ok ndctl zero-labels -b "$N1" all
expect_ok ndctl enable-region -b "$N1" all
legacy=$(ndctl list -b "$N1" -R | jq -r 'map(select(.size == 33554432)) | .[0].dev')
disk=/dev/$(field "$(ndctl list -b "$N1" -r "$legacy" -N)" blockdev)
expect_eq "what $legacy has" "$(cat "$ND/namespace${legacy#region}.0/devtype")" nd_namespace_io
expect_eq "read-only disk" "$(blockdev --getro "$disk")" 1
expect_fail dd if=/dev/zero of="$disk" bs=4k count=1 oflag=direct status=none 2>/dev/null
attribute "$ND/$legacy/read_only" 0
blockdev --setrw "$disk"
expect_eq "disk that was made writable" "$(blockdev --getro "$disk")" 0
head -c 4096 /dev/urandom >page
expect_ok dd if=page of="$disk" bs=4k oflag=direct status=none
expect_ok dd if="$disk" of=read bs=4k count=1 iflag=direct status=none
expect_ok cmp page read
attribute "$ND/$legacy/read_only" 1
expect_eq "disk that was made read-only" "$(blockdev --getro "$disk")" 1
