#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The bus, its devices and the raw disk exist, and ndctl lists them.
#
# needs: nvdimm=64M
# stacks: rust c
# compare
# tags: quick
. "$LIB"

wait_for 10 test -b /dev/pmem0
expect_eq "size of pmem0 in sectors" "$(cat /sys/block/pmem0/size)" 131072
ndctl list -BDRN

# No device takes part in power management.
for device in "$ND"/* "$ND"/ndbus0/nd/*; do
	[ ! -e "$device/power" ] || fail "$device has attributes of power management"
done
