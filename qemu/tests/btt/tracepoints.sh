#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The tracepoints of BTT disks: recovery, reads, writes, discards, errors.
#
# needs: nvdimm=64M
. "$LIB"
. "${LIB%/*}/devices.sh"

mkdir tracefs
mount -t tracefs tracefs tracefs
events=tracefs/events/nd_btt
[ -d "$events" ] || fail "there are no tracepoints"

make_btt namespace0.0 4096
map=$(($(cat "/sys/kernel/debug/btt/$btt/arena0/mapoff") + 4096))
release "$btt"
# Sector 9 maps to a block that does not exist.
raw_access namespace0.0
dd if="/dev/$disk" of=page bs=4096 skip=$((map / 4096)) count=1 iflag=direct 2>dd.log
printf '\377\377\377\377' | dd of=page bs=4 seek=9 conv=notrunc 2>dd.log
dd if=page of="/dev/$disk" bs=4096 seek=$((map / 4096)) count=1 oflag=direct 2>dd.log
no_raw_access namespace0.0

echo 1 >"$events/enable"
detect namespace0.0
udev_settle
number=$(lsblk -dnro MAJ:MIN "/dev/$disk" | tr : ,)
echo >tracefs/trace
dd if=/dev/zero of="/dev/$disk" bs=8K count=1 seek=2 oflag=direct 2>dd.log
dd if="/dev/$disk" of=read bs=4K count=1 skip=4 iflag=direct 2>dd.log
blkdiscard -o 65536 -l 65536 "/dev/$disk"
expect_errno 'Input/output error' dd if="/dev/$disk" of=read bs=4K count=1 skip=9 iflag=direct
echo 0 >"$events/enable"
# Closing the disk triggers a partition scan, which reads as well.
seen=$(sed -n "s/.* \(btt_[a-z]*: .*\)/\1/p" tracefs/trace)
for event in "btt_write: $number 32 + 16 [0]" "btt_read: $number 32 + 8 [0]" "btt_discard: $number 128 + 128 [0]" \
	"btt_error: $number 72 + 8 [-5]" "btt_read: $number 72 + 8 [-5]"; do
	echo "$seen" | grep -qxF "$event" || fail "not traced: '$event', but: $seen"
done
expect_eq "writes" "$(echo "$seen" | grep -c '^btt_write')" 1
