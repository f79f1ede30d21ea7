#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Ranges of memory that the command line marks as persistent: their bus, regions, namespaces and
# disks.
#
# memmap: 64M!512M 32M!640M
# stacks: rust c
# compare
# tags: quick
. "$LIB"
. "${LIB%/*}/devices.sh"

expect_eq "provider" "$(show ndbus0 provider)" e820
[ -z "$(ls -d "$ND"/nmem* 2>/dev/null || true)" ] || fail "there are DIMMs"
ndctl list -BDRNi
for region in region0 region1; do
	for attribute in $(ls "$ND/$region"); do
		[ -f "$ND/$region/$attribute" ] || continue
		case $attribute in
		# Numbers of seeds depend on timing; uevent repeats other attributes.
		*_seed | uevent) continue ;;
		esac
		echo "$region/$attribute: $(cat "$ND/$region/$attribute" 2>&1)"
	done
	namespace=namespace${region#region}.0
	for attribute in size mode force_raw holder nstype resource numa_node; do
		echo "$namespace/$attribute: $(show "$namespace" "$attribute")"
	done
	echo "disk of $(disk_bytes "$(disk_of "$namespace")") bytes"
done

make_btt namespace0.0 4096
put 1 1048576 0
same 1 1048576 0 || fail "the BTT does not hold its data"
uuid=$(show "$btt" uuid)
release "$btt"
detect namespace0.0
expect_eq "uuid of the BTT found" "$(show "$btt" uuid)" "$uuid"
same 1 1048576 0 || fail "the BTT does not hold its data after it was detected again"
disk=$(disk_of namespace1.0)
put 2 1048576 0
same 2 1048576 0 || fail "the raw disk does not hold its data"

# The list of bad blocks is full, and a write would split a run: the write succeeds. With our driver
# the written sector can be read, and the rest of the run is dropped from the list as well; the C
# driver keeps the run in the list.
sector=0
while [ "$sector" -lt 511 ]; do
	echo "$((sector * 2)) 1"
	sector=$((sector + 1))
done | while read -r run; do
	echo "$run" >/sys/block/pmem1/badblocks || fail "bad sector $run"
done
echo "4000 3" >/sys/block/pmem1/badblocks
expect_eq "runs of bad sectors" "$(wc -l </sys/block/pmem1/badblocks)" 512
for turn in 1 2; do
	pattern 3 512 | dd of=/dev/pmem1 bs=512 seek=4001 oflag=direct 2>dd.log || fail "writing a bad sector for the $turn. time: $(cat dd.log)"
done
expect_eq "runs of bad sectors after the write" "$(wc -l </sys/block/pmem1/badblocks)" 512
if [ "$STACK" = rust ]; then
	expect_eq "the last of them" "$(tail -n 1 /sys/block/pmem1/badblocks)" "4000 1"
	expect_ok dd if=/dev/pmem1 of=/dev/null bs=512 skip=4001 count=1 iflag=direct 2>dd.log
fi
pattern 3 1536 | dd of=/dev/pmem1 bs=1536 iflag=fullblock seek=$((4000 * 512)) oflag=direct,seek_bytes 2>dd.log || fail "writing a run of bad sectors: $(cat dd.log)"
expect_eq "runs of bad sectors after all of one was written" "$(wc -l </sys/block/pmem1/badblocks)" 511
