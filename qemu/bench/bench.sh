#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The guest's part of `make bench`: BTTs on the first two NVDIMMs, the third one raw; then a run of fio for each line of the file
# `cells` of the share `run`: NAME DISK RW BLOCK_SIZE JOBS ENGINE. For each it prints NAME and a number: with the argument
# `icount` the mean nanoseconds of a request, which are instructions then, else requests a second.
#
# fio's own start takes as long as many requests under emulation, so a cell is as short as it can be.
. "$LIB"
. "${LIB%/*}/devices.sh"

mode=${1:-}
make_btt namespace0.0 4096
btt4096=$disk
make_btt namespace1.0 512
btt512=$disk
enabled namespace2.0 || bind namespace2.0
raw=$(disk_of namespace2.0)
# Every sector has been written: a new BTT has its blocks in order.
for disk in "$btt4096" "$btt512" "$raw"; do
	dd if=/dev/zero of="/dev/$disk" bs=1M oflag=direct 2>dd.log || true
done

while read -r name disk rw bs jobs engine; do
	case $disk in
	btt4096) disk=$btt4096 ;;
	btt512) disk=$btt512 ;;
	raw) disk=$raw ;;
	esac
	set -- --name="$name" --filename="/dev/$disk" --rw="$rw" --bs="$bs" --numjobs="$jobs" --ioengine="$engine" --size=48M \
		--direct=1 --randseed=5 --group_reporting --output-format=json
	if [ "$engine" = io_uring ]; then
		set -- "$@" --iodepth=8
	fi
	if [ "$jobs" != 1 ]; then
		set -- "$@" --offset_increment=48M
	fi
	if [ "$mode" = icount ]; then
		fio "$@" --number_ios=400 >fio.json
		number='([.read, .write] | map(select(.total_ios > 0)) | .[0].clat_ns.mean)'
	else
		fio "$@" --time_based --runtime=1 >fio.json
		number='(.read.iops + .write.iops)'
	fi
	jq -r --arg name "$name" ".jobs[0] | \"\\(\$name) \\($number | floor)\"" fio.json
done </host/run/cells
