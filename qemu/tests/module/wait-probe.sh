#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A process that finds a bus while its provider is being loaded and reads wait_probe, as ndctl does,
# sees all DIMMs and regions afterwards.
#
# needs: nvdimm=32M,label=128K nvdimm=32M,label=128K nvdimm=32M,label=128K nvdimm=32M,label=128K
# stacks: rust c
# timeout: 300
. "$LIB"
. "${LIB%/*}/devices.sh"

# count PATTERN...: sets $number to the number of matches without starting a process.
count() {
	[ -e "$1" ] || set --
	number=$#
}

for turn in 1 2 3 4 5 6; do
	unload_modules
	modprobe libnvdimm
	modprobe nfit &
	loading=$!
	until [ -e "$ND/ndbus0/wait_probe" ]; do
		:
	done
	read -r _ <"$ND/ndbus0/wait_probe"
	count "$ND"/region*
	regions=$number
	count "$ND"/nmem*
	dimms=$number
	wait "$loading"
	expect_eq "regions after wait_probe in turn $turn" "$regions" 4
	expect_eq "DIMMs after wait_probe in turn $turn" "$dimms" 4
done
load_modules
