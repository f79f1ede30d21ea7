#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# fio with verification, with three I/O engines, on BTTs of both block sizes and on the raw disk.
# Afterwards ndctl finds nothing wrong with the BTTs' maps and logs.
#
# needs: nvdimm=64M
# stacks: rust c
# timeout: 300
. "$LIB"
. "${LIB%/*}/devices.sh"

# verify BLOCK_SIZES: runs all three engines at the same time, each on a part of $disk, and verifies
# what they wrote.
verify() {
	cat >job.fio <<-END
		[global]
		filename=/dev/$disk
		direct=1
		rw=randwrite
		bsrange=$1
		bs_unaligned=0
		size=4M
		io_size=4M
		verify=crc32c
		verify_fatal=1
		do_verify=1
		group_reporting=1

		[libaio]
		ioengine=libaio
		iodepth=8
		offset=0

		[psync]
		ioengine=psync
		offset=8M

		[io_uring]
		ioengine=io_uring
		iodepth=8
		offset=16M

		[buffered]
		ioengine=psync
		direct=0
		fsync=16
		offset=24M
	END
	fio job.fio >fio.out 2>&1 || fail "fio on $disk: $(cat fio.out)"
	grep -q 'err= 0' fio.out || fail "fio on $disk: $(cat fio.out)"
}

for sector in 512 4096; do
	make_btt namespace0.0 "$sector"
	verify "$sector-64k"
	release "$btt"
	ndctl check-namespace namespace0.0 >check.out 2>&1 || fail "check-namespace: $(cat check.out)"
	wipe namespace0.0
done

bind namespace0.0
disk=$(disk_of namespace0.0)
verify 512-64k
