#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# More writers than CPUs, and more CPUs than lanes: all written data are there, and concurrent
# readers and zeroing of the same sectors never see a torn sector.
#
# needs: nvdimm=32M
# cpus: 8
# stacks: rust
# timeout: 300
. "$LIB"
. "${LIB%/*}/devices.sh"

# zero_namespace: zeroes the blocks, whose contents a new BTT shows.
zero_namespace() {
	raw_access namespace0.0
	dd if=/dev/zero of="/dev/$disk" bs=1M oflag=direct 2>dd.log || grep -q 'No space left' dd.log || fail "$(cat dd.log)"
	no_raw_access namespace0.0
}

# new_btt SECTOR_SIZE LANES: makes a BTT. Drivers only make them with 256 lanes.
new_btt() {
	if [ "$2" = 256 ]; then
		make_btt namespace0.0 "$1"
	else
		raw_access namespace0.0
		/host/tools/btt create --sector-size "$1" --lanes "$2" "/dev/$disk" >btt.log 2>&1 || fail "btt create: $(cat btt.log)"
		no_raw_access namespace0.0
		detect namespace0.0
	fi
	expect_eq "lanes of the BTT" "$(cat "/sys/kernel/debug/btt/$btt/arena0/nfree")" "$2"
}

# end_btt: ndctl checks that each block is either mapped once or free.
end_btt() {
	release "$btt"
	ndctl check-namespace namespace0.0 >check.out 2>&1 || fail "check-namespace: $(cat check.out)"
	zero_namespace
}

# flood SECTOR_SIZE LANES
flood() {
	what="sectors of $1 bytes, $2 lanes"

	# Sixteen writers of large requests, each on its own part of the disk, contend for lanes,
	# not for sectors.
	new_btt "$1" "$2"
	if ! fio --name=writers --filename="/dev/$disk" --rw=randwrite --bs=256k --direct=1 --ioengine=psync --numjobs=16 --thread \
		--size=1M --offset_increment=1M --verify=crc32c --do_verify=1 --verify_fatal=1 --group_reporting >fio.out 2>&1; then
		fail "$what, 16 writers: $(cat fio.out)"
	fi
	end_btt

	# Writers and readers of the same sectors. The C driver cannot zero sectors through its map.
	new_btt "$1" "$2"
	zero=
	[ "$(cat "/sys/block/$disk/queue/write_zeroes_max_bytes")" = 0 ] || zero=--zero
	/host/tools/torn-write-check write "/dev/$disk" --sector-size "$1" --acknowledge acknowledged --threads 8 --seconds 4 $zero >writer.out 2>&1 &
	writer=$!
	reads=0
	while kill -0 $writer 2>/dev/null; do
		/host/tools/torn-write-check read "/dev/$disk" --sector-size "$1" --generations found >reader.out 2>&1 ||
			fail "$what, read while they were written: $(cat reader.out)"
		reads=$((reads + 1))
	done
	wait $writer || fail "the writer: $(cat writer.out)"
	[ -s acknowledged ] || fail "the writer wrote nothing"
	[ $reads -gt 0 ] || fail "nothing was read meanwhile"
	end_btt
}

flood 512 256
flood 4096 256
flood 4096 3
