#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The online check of a BTT finds nothing on a healthy one under load, and finds damaged entries of
# the map.
#
# needs: nvdimm=64M
. "$LIB"
. "${LIB%/*}/devices.sh"

check() {
	echo 1 >"/sys/kernel/debug/btt/$btt/check"
	cat "/sys/kernel/debug/btt/$btt/check"
}

# map_entry SECTOR HEX: sets an entry of the map of the first arena. The BTT must not be in use.
map_entry() {
	raw_access namespace0.0
	dd if="/dev/$disk" of=page bs=4096 skip=$((map / 4096)) count=1 iflag=direct 2>dd.log
	echo "$2" | xxd -r -p | dd of=page bs=4 seek="$1" conv=notrunc 2>dd.log
	dd if=page of="/dev/$disk" bs=4096 seek=$((map / 4096)) count=1 oflag=direct 2>dd.log
	no_raw_access namespace0.0
}

make_btt namespace0.0 4096
arena=/sys/kernel/debug/btt/$btt/arena0
sectors=$(($(cat "$arena/external_nlba")))
map=$(($(cat "$arena/mapoff") + 4096))
expect_eq "before the first check" "$(cat "/sys/kernel/debug/btt/$btt/check")" "not checked yet"
expect_eq "the error of a 2" "$(store "/sys/kernel/debug/btt/$btt/check" 2)" EINVAL

healthy="0 defects in 1 arenas, $sectors sectors, 256 lanes"
expect_eq "a new BTT" "$(check)" "$healthy"
fio --name=x --filename="/dev/$disk" --ioengine=psync --direct=1 --rw=randrw --bsrange=4k-64k --size=40M --numjobs=2 \
	--time_based --runtime=5 >fio.out 2>&1 &
fio=$!
while kill -0 $fio 2>/dev/null; do
	expect_eq "a BTT under load" "$(check)" "$healthy"
done
wait $fio || fail "fio on $disk: $(cat fio.out)"
release "$btt"
wipe namespace0.0

# Sectors 5 and 6 share a block; sector 9 maps to a block that does not exist.
make_btt namespace0.0 4096
release "$btt"
map_entry 5 060000c0
map_entry 9 ffffffff
detect namespace0.0
expect_eq "a damaged BTT" "$(check)" \
	"2 defects in 1 arenas, $sectors sectors, 256 lanes; the first: arena 0: map entry 6 names block 6, which is in use already"
expect_kernel_message "$btt: check: 2 defects"
