#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What ndctl and daxctl list, and all that sysfs shows, for four NVDIMMs without labels or with an
# empty label area, and what changes there when a BTT comes and goes.
#
# Made equal before the comparison: UUIDs (random); numbers in names of personalities (they depend
# on timing, spec 1.1) and device numbers (dynamic), both by tools/attribute.
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
	/host/tools/attribute report --since state ndctl.out 0
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
