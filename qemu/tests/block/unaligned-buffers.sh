#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Direct I/O from buffers that are aligned to 512 bytes, not to a page, on sectors of 4096 bytes: a
# sector lies in two pieces of memory. The C driver returns EIO.
#
# needs: nvdimm=64M
# stacks: rust c
. "$LIB"
. "${LIB%/*}/devices.sh"

make_btt namespace0.0 4096
expect_eq "the alignment that buffers need" "$(cat "/sys/block/$disk/queue/dma_alignment")" 511
# malloc returns memory that begins 16 bytes into a page. fio rounds up to the next multiple of 512.
set -- --name=x --filename="/dev/$disk" --ioengine=psync --direct=1 --mem=malloc --iomem_align=512 --bs=256k --size=8M \
	--rw=randwrite --verify=crc32c --verify_fatal=1 --do_verify=1
if [ "$STACK" = c ]; then
	expect_fail fio "$@" >fio.out 2>&1
	grep -q 'Input/output error' fio.out || fail "not refused for the buffers: $(cat fio.out)"
else
	fio "$@" >fio.out 2>&1 || fail "fio: $(cat fio.out)"
	fio "$@" --ioengine=io_uring --iodepth=4 >fio.out 2>&1 || fail "fio: $(cat fio.out)"
fi
