#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Requests that must not wait: io_uring needs no worker threads, RWF_NOWAIT is not refused, and two
# jobs that get in each other's way lose nothing.
#
# needs: nvdimm=64M
# timeout: 240
. "$LIB"
. "${LIB%/*}/devices.sh"

# workers: names of the threads of io_uring that there are.
workers() {
	cat /proc/[0-9]*/task/*/comm 2>/dev/null | grep '^iou-wrk' || true
}

# uring SECONDS OPTION...: fio on $disk in the background, and what was seen of workers meanwhile.
uring() {
	seconds=$1
	shift
	fio --name=x --filename="/dev/$disk" --ioengine=io_uring --iodepth=8 --direct=1 --rw=randrw --bs=4k --size=16M \
		--time_based --runtime="$seconds" "$@" >fio.out 2>&1 &
	fio=$!
	seen=
	while kill -0 $fio 2>/dev/null; do
		seen=$seen$(workers)
		sleep 0.2
	done
	wait $fio || fail "fio on $disk: $(cat fio.out)"
}

# no_workers: one of three runs needs none. Whoever else reads the disk meanwhile, as udev does, may
# be in the way of a write, and then it is right that a thread waits; without NOWAIT all requests of
# all runs have one.
no_workers() {
	for _ in 1 2 3; do
		uring 2
		[ -n "$seen" ] || return 0
	done
	fail "there were threads of io_uring on $disk: $seen"
}

make_btt namespace0.0 4096
no_workers
fio --name=x --filename="/dev/$disk" --ioengine=pvsync2 --nowait=1 --direct=1 --rw=randrw --bs=4k --size=4M >fio.out 2>&1 ||
	fail "RWF_NOWAIT: $(cat fio.out)"
fio --name=x --filename="/dev/$disk" --ioengine=io_uring --iodepth=8 --direct=1 --rw=randwrite --bsrange=4k-128k --size=12M \
	--numjobs=3 --offset_increment=16M --verify=crc32c --verify_fatal=1 --do_verify=1 >fio.out 2>&1 ||
	fail "fio on $disk: $(cat fio.out)"
cat "/sys/kernel/debug/btt/$btt/statistics"
expect_eq "errors" "$(awk '$1 == "errors" { print $2 }' "/sys/kernel/debug/btt/$btt/statistics")" 0
release "$btt"
wipe namespace0.0

bind namespace0.0
disk=$(disk_of namespace0.0)
no_workers
