#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Media errors go when they are written over, whatever the firmware clears at once: no large range,
# a part of one, or large units only. What is good is not given to the firmware, and a unit that is
# not written as a whole is left alone.
#
# tags: slow
# timeout: 900
. "$LIB"
. "${LIB%/*}/devices.sh"
. "${LIB%/*}/simulated.sh"
. "${LIB%/*}/errors.sh"

# firmware PARAMETER...: fresh buses that clear so. The raw disk of a namespace is in $disk then.
firmware() {
	expect_ok unload_simulated
	expect_ok modprobe nfit_test "$@"
	wait_for_buses
	region=$(region_of_ways 2)
	namespace=namespace${region#region}.0
	disk=$(disk_of "$namespace")
	wait_for 10 test -b "/dev/$disk"
	scrubbed
}

# lose SECTOR COUNT...: runs of sectors are bad, as the kernel knows.
lose() {
	while [ $# != 0 ]; do
		inject "$namespace" "$1" "$2"
		shift 2
	done
	scrubbed
}

# expect_bad LIST: of the disk, and of the firmware.
expect_bad() {
	expect_eq "bad sectors" "$(bad_sectors "$disk")" "$1"
	expect_eq "bad sectors that the firmware knows" "$(injected "$namespace")" "$1"
}

# --- No more than 4096 bytes at once
firmware clear_max=4096
put 1 131072 0
lose 67 1
expect_bad "67 1,"
put 2 65536 32768
expect_bad ""
same 2 65536 32768 || fail "what was written over a bad sector is not there"
same 1 32768 0 || fail "what lies before it has changed"

# A run that is longer than a page, beside others.
lose 3 1 20 30 127 1
expect_bad "3 1,20 30,127 1,"
put 3 65536 0
expect_bad ""
same 3 65536 0 || fail "what was written over runs of bad sectors is not there"

# A write that begins and ends within a run clears its own sectors. In whole pages, as udev may have
# some of them in the page cache.
lose 12 40
put 4 8192 8192
expect_bad "12 4,32 20,"
same 4 8192 8192 || fail "what was written in the middle of a run is not there"

# Nothing can be cleared: nothing is written.
firmware clear_max=256
put 1 65536 0
lose 67 1
expect_errno 'Input/output error' dd if=/dev/zero of="/dev/$disk" bs=64K count=1 oflag=direct
expect_bad "67 1,"
same 1 34304 0 || fail "a write that failed has changed good sectors"

# --- A part of what is asked for
firmware clear_part=1024
lose 64 5
put 1 65536 0
expect_bad ""
same 1 65536 0 || fail "what was written over five sectors, two at once, is not there"
firmware clear_part=256
lose 64 1
expect_errno 'Input/output error' dd if=/dev/zero of="/dev/$disk" bs=64K count=1 oflag=direct

# --- Units that are larger than sectors
firmware clear_unit=4096
put 1 65536 0
lose 67 1
# Of this sector alone nothing can be cleared: its neighbours would be lost.
expect_errno 'Input/output error' dd if=/dev/zero of="/dev/$disk" bs=512 seek=67 count=1 oflag=direct
expect_bad "67 1,"
same 1 34304 0 || fail "the neighbours of a sector that could not be cleared have changed"
# From the middle of a page on, but with all of the bad one.
put 2 6144 30720
expect_bad ""
same 2 6144 30720 || fail "what was written over a unit is not there"
same 1 30720 0 || fail "what lies before it has changed"
firmware clear_unit=8192
lose 67 1 81 1
put 1 65536 0
expect_bad ""
same 1 65536 0 || fail "what was written over units of two pages is not there"

# --- BTTs and page maps
# Runs of bad sectors where a BTT has its data, map and flog when it is made. The info blocks are
# good: no BTT is made where there may be one that cannot be read.
firmware clear_max=4096
size=$(blockdev --getsz "/dev/$disk")
lose 8 56 $((size - 400)) 384
reset_labels 1.2
created=$(ndctl create-namespace -r "$region" -m sector -l 4096 --no-autolabel) || fail "create with errors: $?"
disk=$(field "$created" blockdev)
put 1 1048576 0
same 1 1048576 0 || fail "what was written to a BTT is not there"
check=/sys/kernel/debug/btt/$(show "$(field "$created" dev)" holder)/check
echo 1 >"$check"
expect_match "the check" "$(cat "$check")" '0 defects*'
expect_ok ndctl destroy-namespace -f "$(field "$created" dev)" >/dev/null

# A page map, and its structures. A BTT leaves errors alone where it has no data yet: fresh buses.
firmware clear_max=4096
reset_labels 1.2
created=$(ndctl create-namespace -r "$region" -m raw) || fail "create: $?"
namespace=$(field "$created" dev)
# The info block is good, as above.
lose 0 8 16 84
created=$(ndctl create-namespace -f -e "$namespace" -m fsdax) || fail "create with a page map: $?"
disk=$(field "$created" blockdev)
expect_eq "bad sectors of the data" "$(bad_sectors "$disk")" ""
expect_eq "bad sectors of the region" "$(cat "$ND/$region/badblocks")" "0 8"
