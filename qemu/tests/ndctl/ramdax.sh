#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# ramdax: DIMMs with labels on ranges of memory that the command line marks as persistent.
#
# memmap: 64M!512M 48M!640M
# stacks: rust c
# compare
# timeout: 900
. "$LIB"
. "${LIB%/*}/devices.sh"
. "${LIB%/*}/commands.sh"

DRIVERS=/sys/bus/platform/drivers
DEVICE=/sys/bus/platform/devices/e820_pmem

# hand_over FROM TO: rebinds the ranges from driver FROM to driver TO.
hand_over() {
	attribute $DEVICE/driver_override "$2"
	attribute $DRIVERS/"$1"/unbind e820_pmem
	attribute $DRIVERS/"$2"/bind e820_pmem
	settle
}

there_and_back() {
	hand_over ramdax e820_pmem
	hand_over e820_pmem ramdax
}

modprobe ramdax
hand_over e820_pmem ramdax
expect_eq "provider" "$(show ndbus0 provider)" ramdax

step ndctl list -BDRNi
step ndctl read-labels -j nmem0
create 01 -r region0 -m raw -s 16M
create 02 -r region0 -m sector -s 16M -n two
create 03 -r region1 -m sector
create 04 -r region0 -m raw -s 64M
step ndctl disable-namespace namespace0.1
media namespace0.1
step ndctl enable-namespace namespace0.1
step ndctl list -RNDv
step ndctl disable-region region1
step ndctl check-labels nmem1
step ndctl zero-labels nmem1
step ndctl init-labels -f nmem1
step ndctl enable-region region1

# The memory keeps its contents while the drivers change.
step there_and_back
step ndctl list -RNDi
step ndctl destroy-namespace -f all
step ndctl list -Ri
hand_over ramdax e820_pmem
attribute $DEVICE/driver_override ''
rmmod ramdax
