#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The first info block is lost while its copy is good. The C driver would make a new layout over the
# data; ours must not. If the block has the error flag, the disk is read-only.
#
# needs: nvdimm=32M
# timeout: 300
. "$LIB"
. "${LIB%/*}/devices.sh"

uuid=$(uuidgen)
part=$((1024 * 1024))

# damage BYTES OFFSET: overwrites a part of the namespace through the raw disk.
damage() {
	raw_access namespace0.0
	pattern 66 "$1" >garbage
	dd if=garbage of="/dev/$disk" bs=4096 seek="$2" oflag=seek_bytes conv=fsync 2>dd.log || fail "$(cat dd.log)"
	no_raw_access namespace0.0
}

# checksum: sets $sum to a checksum of the whole namespace.
checksum() {
	raw_access namespace0.0
	drop_caches
	sum=$(sha256sum "/dev/$disk")
	no_raw_access namespace0.0
}

make_btt namespace0.0 4096 "$uuid"
put 1 "$part" 0
release "$btt"

# The head of the block is overwritten, the rest equals the copy.
damage 512 4096
detect namespace0.0
expect_eq "uuid of the restored BTT" "$(show "$btt" uuid)" "$uuid"
same 1 "$part" 0 || fail "the data are not there after the restoration"
expect_kernel_message "$btt: .*restored"
expect_eq "times the restoration was told" "$(dmesg | grep -c restored)" 1
release "$btt"
dmesg -C
detect namespace0.0
expect_eq "times a restoration was told when there was none" "$(dmesg | grep -c restored || true)" 0
same 1 "$part" 0 || fail "the data are not there after another detection"
release "$btt"
ndctl check-namespace namespace0.0 >check.out 2>&1 || fail "check-namespace: $(cat check.out)"

# Nothing of the block is left, so it is unknown whether its BTT was removed. No BTT is detected,
# and none is made.
damage 4096 4096
checksum
before=$sum
expect_eq "binding the raw disk" "$(driver bind nd_pmem namespace0.0)" ok
settle
expect_eq "holder of a namespace with an overwritten info block" "$(show namespace0.0 holder)" ""
unbind namespace0.0
claim namespace0.0 4096
error=$(driver bind nd_pmem "$btt")
[ "$error" != ok ] || fail "a new BTT was made over an old one"
expect_kernel_message "$btt: .*overwritten"
release "$btt"
checksum
expect_eq "checksum of the namespace after the refusal" "$sum" "$before"

# ndctl can recover everything from the copy: it writes it over the first block.
ndctl check-namespace --repair namespace0.0 >check.out 2>&1 || fail "check-namespace --repair: $(cat check.out)"
detect namespace0.0
same 1 "$part" 0 || fail "the data are not there after the repair by ndctl"
release "$btt"

# The error flag of the block forbids writing: the disk is read-only, whether its region is or not.
raw_access namespace0.0
expect_ok dd if="/dev/$disk" of=info bs=4096 skip=1 count=1 iflag=direct status=none
perl -0777 -i -pe '
	my ($low, $high) = (0, 0);
	substr($_, 48, 4) = pack("V", 1);
	substr($_, 4088) = pack("VV", 0, 0);
	$high += $low = ($low + $_) & 0xffffffff for unpack("V*", $_);
	substr($_, 4088) = pack("VV", $low, $high & 0xffffffff);
' info
expect_ok dd if=info of="/dev/$disk" bs=4096 seek=1 count=1 oflag=direct status=none
no_raw_access namespace0.0
detect namespace0.0
expect_kernel_message "$btt: .*error flag.*read only"
for read_only in 1 0; do
	set_attribute "$(region_of namespace0.0)" read_only $read_only
	expect_eq "ro of a disk with the error flag" "$(cat "/sys/block/$disk/ro")" 1
done
same 1 "$part" 0 || fail "the data are not there with the error flag"
expect_fail dd if=info of="/dev/$disk" bs=4096 count=1 oflag=direct status=none 2>dd.log
release "$btt"

# Tools remove a BTT by writing zeroes. A new one has another UUID.
wipe namespace0.0
make_btt namespace0.0 512
[ "$(show "$btt" uuid)" != "$uuid" ] || fail "a wiped BTT came back"
