# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154
#
# Library for tests in the guest, after devices.sh: `. "${LIB%/*}/mapper.sh"`. Device mapper tables
# over disks.

modprobe dm-mod || fail "the kernel has no device mapper"

# table NAME: creates a device with the table on standard input.
table() {
	dmsetup create "$1" || fail "dmsetup create $1: $?"
	disk=mapper/$1
	there
}

# there: waits until $disk is a block device. Otherwise a write would create a file.
there() {
	wait_for 10 test -b "/dev/$disk"
}

# drop NAME: removes the device. udev may have it open.
drop() {
	udev_settle
	dmsetup remove --retry "$1" || fail "dmsetup remove $1: $?"
}

# flushes WHAT: a write to $disk and a flush succeed.
flushes() {
	dd if=/dev/zero of="/dev/$disk" bs=64K count=2 conv=fsync,notrunc 2>dd.log || fail "$1: $(cat dd.log)"
}

# on DISK COMMAND...: runs a command with another $disk.
on() {
	_whole=$disk
	disk=$1
	shift
	there
	"$@" || fail "'$*' on $disk: $(dmsetup table; ls -l /dev/mapper; cmp read - </dev/null 2>&1 | head -c 300)"
	disk=$_whole
}

# mounts SIZE: a file system on $disk works, and its checker finds nothing wrong afterwards.
mounts() {
	mkfs.ext4 -q -F -b 4096 "/dev/$disk" "$1" >mkfs.log 2>&1 || fail "mkfs.ext4: $(cat mkfs.log)"
	mkdir -p mnt
	mount "/dev/$disk" mnt
	dd if=/dev/urandom of=mnt/file bs=64K count=64 conv=fsync 2>dd.log || fail "a file on $disk: $(cat dd.log)"
	sum=$(sha256sum <mnt/file)
	sync
	umount mnt
	drop_caches
	mount "/dev/$disk" mnt
	expect_eq "a file on $disk" "$(sha256sum <mnt/file)" "$sum"
	expect_eq "the state of the file system" "$(awk -v mount="$PWD/mnt" '$2 == mount { print substr($4, 1, 2) }' /proc/mounts)" rw
	umount mnt
	check_filesystem ext4
}

# in_another_order DISK: tests a table over a disk of 64 MiB. Lengths are in sectors of 512 bytes.
in_another_order() {
	# Parts in another order than on the disk, and one that fails, as if its disk were missing.
	table parts <<-TABLE
		0 16384 linear /dev/$1 65536
		16384 16384 linear /dev/$1 0
		32768 8 error
	TABLE
	flushes "parts in another order"
	put 1 1048576 0
	put 2 1048576 8388608
	on "$1" same 1 1048576 33554432
	on "$1" same 2 1048576 0
	# Across the boundary between the parts.
	put 3 131072 8323072
	for at in 41877504 0; do
		dd if="/dev/$1" bs=64K skip="$at" count=1 iflag=direct,skip_bytes 2>dd.log || fail "$(cat dd.log)"
	done >edge
	pattern 3 131072 | cmp - edge || fail "what was written over an edge is not there"
	expect_errno 'Input/output error' dd if="/dev/$disk" of=/dev/null bs=4096 skip=4096 count=1 iflag=direct
	mounts 16M
	drop parts
}

clean_up() {
	_status=$?
	trap - EXIT
	umount mnt 2>/dev/null || :
	dmsetup remove_all --force 2>/dev/null || :
	exit $_status
}
trap clean_up EXIT
