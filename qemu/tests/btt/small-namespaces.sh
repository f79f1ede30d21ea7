#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The smallest namespaces, on e820 ranges since an NVDIMM of QEMU is a multiple of 2 MiB: 8 MiB
# cannot be claimed, 16 MiB can be claimed but is too small behind the first 4 KiB, and 16 MiB + 4
# KiB has a BTT of the expected size.
#
# memmap: 8M!512M 16M!576M 16388K!640M
# stacks: rust c
. "$LIB"
. "${LIB%/*}/devices.sh"

# namespace_of BYTES: prints the name of the namespace of this size. Numbers of regions vary.
namespace_of() {
	for _namespace in "$ND"/namespace*; do
		[ "$(cat "$_namespace/size")" != "$1" ] || basename "$_namespace"
	done
}

# disabled NAMESPACE: unbinds a namespace, if a driver is bound.
disabled() {
	! enabled "$1" || unbind "$1"
}

tiny=$(namespace_of 8388608)
disabled "$tiny"
btt=$(seed btt "$(region_of "$tiny")")
set_attribute "$btt" uuid "$(uuidgen)"
set_attribute "$btt" sector_size 512
expect_store_errno ENXIO "$ND/$btt/namespace" "$tiny"
expect_eq "holder of $tiny" "$(show "$tiny" holder)" ""

small=$(namespace_of 16777216)
disabled "$small"
claim "$small" 512
dmesg -C
expect_eq "the error of a BTT on 16 MiB" "$(driver bind nd_pmem "$btt")" ENXIO
if [ "$STACK" = rust ]; then
	expect_kernel_message "$btt: .*0x1000000 expected"
fi
[ ! -e "$ND/$btt/driver" ] || fail "$btt has a driver"
expect_eq "seed after the failure" "$(seed btt "$(region_of "$small")")" "$btt"
expect_eq "namespace after the failure" "$(show "$btt" namespace)" "$small"
release "$btt"

enough=$(namespace_of 16781312)
for vector in 512:16487424 4096:15683584; do
	disabled "$enough"
	make_btt "$enough" "${vector%:*}"
	expect_eq "bytes of a disk of ${vector%:*} on 16 MiB + 4 KiB" "$(disk_bytes "$disk")" "${vector#*:}"
	put 1 65536 0
	put 2 65536 $((${vector#*:} - 65536))
	same 1 65536 0 || fail "the start of $disk is not what was written"
	same 2 65536 $((${vector#*:} - 65536)) || fail "the end of $disk is not what was written"
	release "$btt"
	wipe "$enough"
done
