#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# BTTs on four NVDIMMs at the same time, all of them busy, each with data of its own; one is removed
# and detected again.
#
# needs: nvdimm=32M nvdimm=32M nvdimm=32M nvdimm=32M
# stacks: rust c
# cpus: 4
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"

btts=
for number in 0 1 2 3; do
	make_btt "namespace$number.0" $((number % 2 * 3584 + 512))
	btts="$btts $btt"
done
expect_eq "disks" "$(ls /dev | grep -c '^pmem[0-3]s$')" 4

writers=
for number in 0 1 2 3; do
	fio --name=writer --filename="/dev/pmem${number}s" --rw=randwrite --bs=4k --size=2M --offset=4M --direct=1 --ioengine=psync \
		--verify=crc32c --verify_fatal=1 >"fio$number.out" 2>&1 &
	writers="$writers $!"
done
for number in 0 1 2 3; do
	disk=pmem${number}s
	put $((number + 1)) 1048576 0
done
for writer in $writers; do
	wait "$writer" || fail "fio: $(cat fio?.out)"
done
# shellcheck disable=SC2086
set -- $btts
release "$3"
for number in 0 1 3; do
	disk=pmem${number}s
	same $((number + 1)) 1048576 0 || fail "$disk does not hold its own data"
done
detect namespace2.0
same 3 1048576 0 || fail "pmem2s does not hold its own data after it was detected again"
