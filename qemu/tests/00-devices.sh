#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The bus, its devices and the raw disk are there, and ndctl sees them.
#
# needs: nvdimm=64M
# stacks: rust c
# compare
. "$LIB"

wait_for 10 test -b /dev/pmem0
expect_eq "size of pmem0 in sectors" "$(cat /sys/block/pmem0/size)" 131072
ndctl list -BDRN

# Power management leaves all of them alone.
for device in "$ND"/* "$ND"/ndbus0/nd/*; do
	[ ! -e "$device/power" ] || fail "$device has attributes of power management"
done
