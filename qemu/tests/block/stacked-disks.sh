#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The device mapper and LVM over raw and BTT disks: data, flushes and file systems through tables
# whose parts are in another order than on the disk, and some of which fail or delay. The sector
# number of a flush is meaningless to the disk.
#
# needs: nvdimm=64M nvdimm=64M
# stacks: rust c
# tags: slow
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"
. "${LIB%/*}/mapper.sh"

for module in dm-flakey dm-delay; do
	modprobe "$module" || fail "the kernel has no $module"
done

# mapped DISK OTHER: tests tables over two disks of 64 MiB. Lengths are in sectors of 512 bytes.
mapped() {
	in_another_order "$1"

	# A table with a gap is refused.
	printf '0 8192 linear /dev/%s 0\n16384 8192 linear /dev/%s 8192\n' "$1" "$1" >gap
	expect_fail dmsetup create gap gap 2>gap.log

	# Parts of two disks, each in reverse order.
	table both <<-TABLE
		0 16384 linear /dev/$2 32768
		16384 16384 linear /dev/$1 32768
		32768 16384 linear /dev/$2 0
		49152 16384 linear /dev/$1 0
	TABLE
	flushes "parts of two disks"
	put 5 1048576 0
	put 6 1048576 25165824
	on "$2" same 5 1048576 16777216
	on "$1" same 6 1048576 0
	mounts 32M
	drop both

	# A part that fails temporarily keeps its contents.
	table flaky <<-TABLE
		0 8192 linear /dev/$1 32768
		8192 8192 flakey /dev/$1 0 3600 0
	TABLE
	flushes "a flaky part that works"
	put 7 1048576 5242880
	dmsetup reload flaky <<-TABLE
		0 8192 linear /dev/$1 32768
		8192 8192 flakey /dev/$1 0 0 3600
	TABLE
	dmsetup suspend flaky
	dmsetup resume flaky
	expect_errno 'Input/output error' dd if=/dev/zero of="/dev/$disk" bs=4096 seek=1280 count=1 oflag=direct
	dmsetup reload flaky <<-TABLE
		0 8192 linear /dev/$1 32768
		8192 8192 flakey /dev/$1 0 3600 0
	TABLE
	dmsetup suspend flaky
	dmsetup resume flaky
	same 7 1048576 5242880 || fail "a flaky part has changed"
	on "$1" same 7 1048576 1048576
	drop flaky

	table slow <<-TABLE
		0 8192 linear /dev/$1 32768
		8192 8192 delay /dev/$1 0 5
	TABLE
	flushes "a slow part"
	put 8 262144 4194304
	same 8 262144 4194304 || fail "what a slow part holds"
	on "$1" same 8 262144 0
	drop slow
}

# lvm_ VERB ARGUMENT...: runs a command of LVM on the disks of $filter only, without daemons, and
# without files in /etc.
lvm_() {
	_verb=$1
	shift
	"$_verb" --config "
		devices { use_devicesfile=0 scan=\"/dev\" filter=[$filter \"r|.*|\"] obtain_device_list_from_udev=0
			external_device_info_source=\"none\" multipath_component_detection=0 md_component_detection=0 }
		activation { monitoring=0 }
		global { event_activation=0 use_lvmpolld=0 }
		backup { backup=0 archive=0 }" "$@" >lvm.log 2>&1
}

# lvm VERB ARGUMENT...: the same, and it must succeed.
lvm() {
	lvm_ "$@" || fail "$*: $(cat lvm.log)"
}

# volumes DISK OTHER NAMESPACE_OF_OTHER: tests physical volumes on two disks.
volumes() {
	filter="\"a|^/dev/$1\$|\", \"a|^/dev/$2\$|\","
	lvm pvcreate -y -ff "/dev/$1" "/dev/$2"
	lvm vgcreate test "/dev/$1" "/dev/$2"
	lvm lvcreate -y -W n -n data -L 16M test "/dev/$1"
	lvm lvcreate -y -W n -n whole -L 8M test "/dev/$1"
	# Its second part begins at the start of a disk, its third one behind another volume.
	lvm lvextend -l +4 test/data "/dev/$2"
	lvm lvextend -l +2 test/data "/dev/$1"
	disk=mapper/test-data
	there
	flushes "a volume of three parts"
	mounts "$(blockdev --getsize64 "/dev/$disk" | awk '{ print $1 / 1024 "K" }')"

	# Extended while it is mounted.
	mount -t ext4 "/dev/$disk" mnt
	lvm lvextend -l +2 test/data "/dev/$2"
	resize2fs "/dev/$disk" >resize.log 2>&1 || fail "resize2fs: $(cat resize.log)"
	dd if=/dev/urandom of=mnt/more bs=64K count=32 conv=fsync 2>dd.log || fail "a larger file system: $(cat dd.log)"
	umount mnt
	check_filesystem ext4

	on mapper/test-whole flushes "a volume of one part"
	on mapper/test-whole put 9 1048576 0
	put 10 1048576 0
	lvm vgchange -an test
	[ ! -e /dev/mapper/test-data ] || fail "a volume is there after it was deactivated"
	lvm vgchange -ay test
	on mapper/test-whole same 9 1048576 0
	same 10 1048576 0 || fail "a volume has changed"
	lvm vgchange -an test

	# A disk is missing.
	udev_settle
	unbind "$3"
	filter="\"a|^/dev/$1\$|\","
	lvm_ vgchange -ay test || :
	expect_eq "volumes without their disk" "$(echo /dev/mapper/test-data*)" '/dev/mapper/test-data*'
	lvm vgchange -ay --activationmode partial test
	on mapper/test-whole same 9 1048576 0
	same 10 1048576 0 || fail "what is there of a volume with a missing part has changed"
	flushes "a volume with a missing part"
	expect_errno 'Input/output error' dd if="/dev/$disk" of=/dev/null bs=4096 skip=4096 count=1 iflag=direct
	lvm vgchange -an test
	bind "$3"
	wait_for 10 test -b "/dev/$2"

	filter="\"a|^/dev/$1\$|\", \"a|^/dev/$2\$|\","
	lvm vgchange -ay test
	on mapper/test-whole same 9 1048576 0
	lvm vgremove -y -f test
	lvm pvremove -y -ff "/dev/$1" "/dev/$2"
}

settle
mapped pmem0 pmem1
volumes pmem0 pmem1 namespace1.0

make_btt namespace0.0 4096
first=$disk
make_btt namespace1.0 4096
second=$disk other=$btt
mapped "$first" "$second"
volumes "$first" "$second" "$other"
