#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Mixed load on one BTT while another one is made, detected and released in each round, and the
# first one is unbound and bound between rounds: no data are lost, kernel memory does not grow, and
# the requests a second of the first and last rounds are printed.
#
# `make test ARGS="--stack rust --timeout-scale 30 --append seconds=7200 stress/endurance"` runs for
# two hours.
#
# needs: nvdimm=64M nvdimm=32M
# stacks: rust
# timeout: 300
. "$LIB"
. "${LIB%/*}/devices.sh"

SECONDS_IN_ALL=$(argument seconds 40)
# Seconds of load in a round.
BURST=8
# Variation of memory in use: caches of the VFS, of processes and of sysfs.
TOLERANCE_KIB=4096

now() {
	read -r _now _ </proc/uptime
	echo "${_now%.*}"
}

# begin_load: starts the load on $disk in the background.
begin_load() {
	cat >job.fio <<-END
		[global]
		filename=/dev/$disk
		direct=1
		time_based=1
		runtime=$BURST
		[verified]
		rw=randwrite
		bsrange=4k-256k
		size=8M
		verify=crc32c
		verify_backlog=32
		verify_fatal=1
		[mixed]
		rw=randrw
		bs=4k
		ioengine=libaio
		iodepth=8
		offset=8M
		size=8M
		[discarded]
		rw=trimwrite
		bs=64k
		offset=16M
		size=8M
	END
	fio job.fio --output-format=json --output=fio.json 2>fio.err &
	load=$!
}

end_load() {
	wait $load || fail "fio in round $round: $(cat fio.err)"
	jq -r '.jobs[] | select(.jobname == "mixed") | .read.iops + .write.iops | floor' fio.json >>rates
}

make_btt namespace0.0 4096
first=$btt
put 1 1048576 33554432
before=
round=0
begun=$(now)
while [ $(($(now) - begun)) -lt "$SECONDS_IN_ALL" ] || [ $round -lt 3 ]; do
	round=$((round + 1))
	disk=$(disk_of "$first")
	begin_load
	make_btt namespace1.0 512
	put $round 262144 0
	release "$btt"
	detect namespace1.0
	same $round 262144 0 || fail "$disk is not what was written before it was found again in round $round"
	release "$btt"
	wipe namespace1.0
	end_load
	unbind "$first"
	bind "$first"
	disk=$(disk_of "$first")
	wait_for 10 test -b "/dev/$disk"
	same 1 1048576 33554432 || fail "$disk has lost what was written first in round $round"
	[ $round -ne 2 ] || before=$(kernel_memory)
done
after=$(kernel_memory)
grown=$((after - before))
mean='{ sum += $1 } END { printf "%d", sum / NR }'
echo "$round rounds in $(($(now) - begun)) s: kernel memory $before KiB after two, $after KiB at the end;" \
	"$(head -n 3 rates | awk "$mean") requests a second in the first three, $(tail -n 3 rates | awk "$mean") in the last three"
[ "$grown" -lt "$TOLERANCE_KIB" ] || fail "kernel memory has grown by $grown KiB"
