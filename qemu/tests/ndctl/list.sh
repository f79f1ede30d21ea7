#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Output of ndctl and daxctl and all of sysfs for four NVDIMMs without labels or with an empty label
# area, and their changes when a BTT is made and removed.
#
# Normalised before the comparison: UUIDs (random), and by tools/sysfs-probe numbers in names of
# BTT, PFN and DAX devices (they depend on timing) and device numbers (dynamic).
#
# needs: nvdimm=64M nvdimm=64M,label=128K nvdimm=32M nvdimm=32M
# stacks: rust c
# compare
# timeout: 240
. "$LIB"
. "${LIB%/*}/devices.sh"

look() {
	echo "### $1"
	settle
	ndctl list -BDRNiv >ndctl.out
	daxctl list -DRi >daxctl.out
	cat daxctl.out >>ndctl.out
	/host/tools/sysfs-probe report --since state ndctl.out 0
}

expect_eq "regions" "$(ls -d "$ND"/region* | wc -l)" 4
look "four raw disks"
make_btt namespace0.0 4096
look "a BTT on namespace0.0"
release "$btt"
look "its namespace left alone"
detect namespace0.0
look "the BTT detected again"
set_attribute region1 read_only 1
look "a read-only region"
