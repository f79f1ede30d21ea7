#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# An NVDIMM is plugged into the running machine. The firmware sends a notification and extends its
# table, and the DIMM and its region are added. Existing ones continue to work. After a reload all
# of them are detected.
#
# needs: nvdimm=64M,label=128K
# plugs: nvdimm=96M,label=128K nvdimm=32M
# stacks: rust c
# compare
# boots: 1
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"
. "${LIB%/*}/commands.sh"

plug_in() {
	plug
	wait_for 60 test -e "$ND/$1"
	settle
	wait_for 20 test -b "/dev/pmem${1#region}"
	udev_settle
}

# A process writes to the existing disk all the time.
make_btt namespace0.0 4096
old_btt=$btt old_disk=$disk
put 1 65536 0
(
	while [ ! -e enough ]; do
		pattern 2 65536 | dd of="/dev/$old_disk" bs=64K iflag=fullblock seek=1 oflag=direct 2>/dev/null || touch failed
	done
) &
writer=$!

step ndctl list -BDRNi
step plug_in region1
step plug_in region2
: >enough
wait "$writer"
[ ! -e failed ] || fail "a write to $old_disk failed meanwhile"
disk=$old_disk
same 1 65536 0 || fail "$disk does not keep what was written before"
same 2 65536 65536 || fail "$disk does not keep what was written meanwhile"

# The new devices work like the others.
label_region region1 nmem1
create 01 -r region1 -m sector -s 32M
make_btt namespace2.0 512
put 3 65536 0
same 3 65536 0 || fail "$disk of the second new region does not keep what is written"
release "$btt"
release "$old_btt"
unload_modules
load_modules
step ndctl list -BDRNi
