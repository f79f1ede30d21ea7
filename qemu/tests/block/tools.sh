#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tools for block devices: discard, zeroing, trim, atomic writes, read-only, topology.
#
# needs: nvdimm=64M
# timeout: 240
. "$LIB"
. "${LIB%/*}/devices.sh"

queue() {
	cat "/sys/block/$disk/queue/$1"
}

# zeroes OFFSET BYTES: tests whether they are zero.
zeroes() {
	[ "$(dd if="/dev/$disk" bs=4096 skip="$1" count="$2" iflag=direct,skip_bytes,count_bytes 2>dd.log | tr -d '\0' | wc -c)" = 0 ]
}

make_btt namespace0.0 4096
uuid=$(show "$btt" uuid)
expect_eq "topology" "$(lsblk -dnro PHY-SEC,LOG-SEC,MIN-IO,OPT-IO,ROTA,DISC-GRAN,DISC-MAX "/dev/$disk")" "4096 4096 4096 0 0 4K 2T"
expect_eq "the cache" "$(queue write_cache):$(queue fua)" "write through:0"

# Discard and zeroing, each checked with its neighbours.
put 5 1048576 0
blkdiscard -o 65536 -l 131072 "/dev/$disk"
zeroes 65536 131072 || fail "discarded sectors are not zero"
same 5 65536 0 || fail "what lies before a discard has changed"
blkdiscard -z -o 524288 -l 4096 "/dev/$disk"
zeroes 524288 4096 || fail "a zeroed sector is not zero"
put 6 65536 131072
same 6 65536 131072 || fail "written after a discard, but not there"
expect_errno 'Operation not supported' blkdiscard -s -o 0 -l 4096 "/dev/$disk"
expect_errno 'not aligned to sector size 4096' blkdiscard -o 512 -l 512 "/dev/$disk"

# Discards persist.
release "$btt"
detect namespace0.0
expect_eq "the BTT" "$(show "$btt" uuid)" "$uuid"
zeroes 65536 65536 || fail "discarded sectors are not zero in the next use"
same 6 65536 131072 || fail "what was written after a discard is lost"
expect_match "the check" "$(echo 1 >"/sys/kernel/debug/btt/$btt/check" && cat "/sys/kernel/debug/btt/$btt/check")" '0 defects*'

# Atomic writes of one sector.
expect_eq "atomic units" "$(queue atomic_write_unit_min_bytes) $(queue atomic_write_unit_max_bytes) $(queue atomic_write_max_bytes)" \
	"4096 4096 4096"
# statx(2), STATX_WRITE_ATOMIC: unit_min, unit_max and segments_max of struct statx.
expect_eq "atomic units by statx" "$(perl -e '
	my ($file, $found) = ($ARGV[0], "\0" x 256);
	syscall(332, -100, $file, 0, 0x10000, $found) == 0 or die "statx: $!\n";
	print join " ", unpack "x168 L3", $found' "/dev/$disk")" "4096 4096 1"
fio --name=x --filename="/dev/$disk" --ioengine=pvsync2 --atomic=1 --direct=1 --rw=randwrite --bs=4k --size=1M >fio.out 2>&1 ||
	fail "RWF_ATOMIC: $(cat fio.out)"
if fio --name=x --filename="/dev/$disk" --ioengine=pvsync2 --atomic=1 --direct=1 --rw=write --bs=8k --size=1M >fio.out 2>&1; then
	fail "an atomic write of two sectors was accepted"
fi

# Read-only as set by the administrator.
blockdev --setro "/dev/$disk"
expect_eq "the disk is read-only" "$(blockdev --getro "/dev/$disk")" 1
expect_errno 'Operation not permitted' dd if=/dev/zero of="/dev/$disk" bs=4096 count=1 oflag=direct
blockdev --setrw "/dev/$disk"
dd if=/dev/zero of="/dev/$disk" bs=4096 count=1 oflag=direct 2>dd.log

# A file system discards what it frees.
before=$(awk '$1 == "discards" { print $2 }' "/sys/kernel/debug/btt/$btt/statistics")
mkfs.ext4 -q -E discard "/dev/$disk"
mkdir mnt
mount "/dev/$disk" mnt
dd if=/dev/urandom of=mnt/file bs=1M count=16 2>dd.log
sync
rm mnt/file
sync
expect_match "trimmed" "$(fstrim -v mnt)" '*bytes*trimmed*'
umount mnt
fsck.ext4 -fn "/dev/$disk" >fsck.out 2>&1 || fail "fsck: $(cat fsck.out)"
after=$(awk '$1 == "discards" { print $2 }' "/sys/kernel/debug/btt/$btt/statistics")
[ "$after" -gt "$before" ] || fail "nothing was discarded"
release "$btt"
wipe namespace0.0

# Sectors of 512 bytes are not discarded: the C driver could not read them afterwards.
make_btt namespace0.0 512
expect_eq "discards of 512 bytes" "$(queue discard_max_bytes)" 0
expect_errno 'Operation not supported' blkdiscard -o 0 -l 4096 "/dev/$disk"
blkdiscard -z -o 0 -l 65536 "/dev/$disk"
zeroes 0 65536 || fail "zeroed sectors are not zero"
expect_eq "atomic unit" "$(queue atomic_write_unit_max_bytes)" 512
