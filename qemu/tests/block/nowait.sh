#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Requests that must not wait: io_uring needs no worker threads, RWF_NOWAIT is accepted, and
# concurrent jobs that contend lose no data.
#
# needs: nvdimm=64M
# timeout: 240
. "$LIB"
. "${LIB%/*}/devices.sh"

# workers: prints the names of the worker threads of io_uring.
workers() {
	cat /proc/[0-9]*/task/*/comm 2>/dev/null | grep '^iou-wrk' || true
}

# uring SECONDS OPTION...: runs fio on $disk, and sets $seen to the workers that existed meanwhile.
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

# no_workers: at least one of three runs needs no workers. A concurrent reader of the disk, like
# udev, may delay a write, and then a worker that waits is correct. Without NOWAIT every request of
# every run has a worker.
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
