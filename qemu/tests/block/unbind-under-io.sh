#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Disks are removed while they are written: a BTT, a raw disk, a whole region. The writer gets
# errors, and everything works again afterwards.
#
# needs: nvdimm=64M
# stacks: rust c
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"

# under_io COMMAND...: runs a command while several processes write and read $disk. They must end by
# themselves then.
under_io() {
	# bio-based disks do not count requests by default.
	echo 1 >"/sys/class/block/$disk/queue/iostats"
	fio --name=victim --filename="/dev/$disk" --rw=randrw --bs=4k --direct=1 --ioengine=libaio --iodepth=4 --numjobs=2 \
		--time_based --runtime=600 --thread --group_reporting >fio.out 2>&1 &
	fio=$!
	wait_for 60 written 100
	"$@"
	wait_for 60 ended "$fio"
	! wait "$fio" || fail "the writer did not notice that $disk went"
	[ ! -e "/sys/class/block/$disk" ] || fail "$disk is still there"
}

# ended PID: tests whether a child has ended.
ended() {
	! kill -0 "$1" 2>/dev/null
}

# written COUNT: tests whether $disk has done more than COUNT write requests.
written() {
	[ "$(awk '{ print $5 }' "/sys/class/block/$disk/stat")" -gt "$1" ]
}

make_btt namespace0.0 4096
for turn in 1 2 3; do
	under_io unbind "$btt"
	release "$btt"
	ndctl check-namespace namespace0.0 >check.out 2>&1 || fail "check-namespace after turn $turn: $(cat check.out)"
	detect namespace0.0
done

under_io unbind region0
expect_eq "BTT seed of a disabled region" "$(show region0 btt_seed)" ""
bind region0
settle
disk=$(disk_of "$(show namespace0.0 holder)")
put 1 65536 0
same 1 65536 0 || fail "$disk does not keep what was written after the region came back"

release "$(show namespace0.0 holder)"
wipe namespace0.0
bind namespace0.0
disk=$(disk_of namespace0.0)
under_io unbind namespace0.0
bind namespace0.0
