#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# All modules are unloaded and loaded 10 times, with a BTT, a raw disk and an e820 range, and
# neither data nor devices are lost. The C modules are reloaded 4 times, as the reference.
#
# needs: nvdimm=32M nvdimm=32M
# memmap: 32M!512M
# stacks: rust c
# timeout: 900
. "$LIB"
. "${LIB%/*}/devices.sh"

make_btt namespace0.0 4096
uuid=$(show "$btt" uuid)
put 3 1048576 0
devices=$(ls "$ND" | grep -Ev '^(btt|pfn|dax)')

turns=10
[ "$STACK" = rust ] || turns=4
for turn in $(seq $turns); do
	unload_modules
	[ ! -e /sys/bus/nd ] || fail "the bus is still there after turn $turn"
	[ -z "$(ls /dev | grep -E '^(pmem|ndctl|nmem)' || true)" ] || fail "device nodes are left after turn $turn"
	! grep -q 'ndctl\|dimmctl' /proc/devices || fail "device numbers are left after turn $turn"
	load_modules
	expect_eq "devices after turn $turn" "$(ls "$ND" | grep -Ev '^(btt|pfn|dax)')" "$devices"
	expect_eq "uuid after turn $turn" "$(show "$(show namespace0.0 holder)" uuid)" "$uuid"
done
disk=$(disk_of "$(show namespace0.0 holder)")
same 3 1048576 0 || fail "the data are gone"
