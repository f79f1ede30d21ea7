# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154
#
# Library for tests in the guest, after lib.sh: `. "${LIB%/*}/devices.sh"`. Regions, namespaces,
# BTTs and their disks through sysfs, as described in the kernel's Documentation/driver-api/nvdimm.
# Starting a process is slow under emulation, so the shell does as much as it can. Devices are
# called by their names: namespace0.0, btt0.1, pmem0s.

# settle: waits until pending detection and registration have finished.
settle() {
	for _bus in "$ND"/ndbus*/wait_probe; do
		read -r _ <"$_bus"
	done
}

# show DEVICE ATTRIBUTE
show() {
	cat "$ND/$1/$2"
}

# set_attribute DEVICE ATTRIBUTE VALUE: stores a value, which must succeed.
set_attribute() {
	_error=$(store "$ND/$1/$2" "$3")
	[ "$_error" = ok ] || fail "writing '$3' to $2 of $1: $_error"
}

# region_of DEVICE: prints the region of a namespace or BTT.
region_of() {
	_path=$(readlink -f "$ND/$1")
	_path=${_path%/*}
	echo "${_path##*/}"
}

# seed KIND REGION: prints the name of the seed: namespace, btt, pfn or dax.
seed() {
	show "$2" "$1_seed"
}

# enabled DEVICE: tests whether a driver is bound.
enabled() {
	[ -e "$ND/$1/driver" ]
}

# driver VERB DRIVER DEVICE: binds or unbinds, and prints the name of the error, or ok.
driver() {
	store "/sys/bus/nd/drivers/$2/$1" "$3"
}

# bind DEVICE and unbind DEVICE: must succeed.
bind() {
	_error=$(driver bind "$(driver_of "$1")" "$1")
	[ "$_error" = ok ] || fail "binding $1: $_error"
	settle
}

unbind() {
	_error=$(driver unbind "$(driver_of "$1")" "$1")
	[ "$_error" = ok ] || fail "unbinding $1: $_error"
	settle
}

driver_of() {
	case $1 in
	region*) echo nd_region ;;
	nmem*) echo nvdimm ;;
	*) echo nd_pmem ;;
	esac
}

# disk_of DEVICE: prints the name of the only disk of an enabled namespace or BTT.
disk_of() {
	set -- "$1" "$ND/$1"/block/*
	[ $# = 2 ] && [ -e "$2" ] || fail "$1 does not have one disk"
	echo "${2##*/}"
}

# disk_bytes DISK
disk_bytes() {
	read -r _sectors <"/sys/class/block/$1/size"
	echo $((_sectors * 512))
}

# claim NAMESPACE SECTOR_SIZE [UUID]: configures the BTT seed for a namespace that is not enabled,
# and sets $btt to its name.
claim() {
	btt=$(seed btt "$(region_of "$1")")
	[ -n "$btt" ] || fail "no BTT seed for $1"
	read -r _uuid </proc/sys/kernel/random/uuid
	set_attribute "$btt" uuid "${3:-$_uuid}"
	set_attribute "$btt" sector_size "$2"
	set_attribute "$btt" namespace "$1"
}

# make_btt NAMESPACE SECTOR_SIZE [UUID]: makes a BTT on a namespace, and sets $btt to its name and
# $disk to that of its disk.
make_btt() {
	! enabled "$1" || unbind "$1"
	claim "$@"
	bind "$btt"
	disk=$(disk_of "$btt")
	wait_for 10 test -b "/dev/$disk"
}

# release BTT: unbinds a BTT and releases its namespace. The contents of the media stay.
release() {
	! enabled "$1" || unbind "$1"
	set_attribute "$1" namespace ''
	settle
}

# detect NAMESPACE: lets the driver detect the BTT on the media, and sets $btt and $disk.
detect() {
	# Binding a namespace fails with ENXIO when a BTT takes it over.
	expect_eq "the error of binding $1, which holds a BTT" "$(driver bind nd_pmem "$1")" ENXIO
	settle
	btt=$(show "$1" holder)
	[ -n "$btt" ] || fail "no BTT was found on $1"
	disk=$(disk_of "$btt")
	wait_for 10 test -b "/dev/$disk"
}

# raw_access NAMESPACE: enables its raw disk, whatever the media contain, and sets $disk.
# no_raw_access NAMESPACE disables it.
raw_access() {
	set_attribute "$1" force_raw 1
	bind "$1"
	disk=$(disk_of "$1")
	wait_for 10 test -b "/dev/$disk"
}

no_raw_access() {
	unbind "$1"
	set_attribute "$1" force_raw 0
}

# wipe NAMESPACE: erases the info blocks of an unclaimed, disabled namespace, as ndctl does.
wipe() {
	raw_access "$1"
	dd if=/dev/zero of="/dev/$disk" bs=8192 count=1 oflag=direct 2>dd.log || fail "$(cat dd.log)"
	no_raw_access "$1"
}

# pattern SEED BYTES: prints bytes. Each unit of 16 is unique, and differs between seeds. SEED and
# BYTES / 16 must be below 10^8.
pattern() {
	seq -f '%015.0f' "$1"00000000 "$(($1 * 100000000 + $2 / 16 - 1))"
}

# put SEED BYTES OFFSET: writes a pattern to $disk with direct I/O. same SEED BYTES OFFSET: tests
# whether it is there.
put() {
	pattern "$1" "$2" | dd of="/dev/$disk" bs=64K iflag=fullblock seek="$3" oflag=direct,seek_bytes 2>dd.log ||
		fail "writing $2 bytes to $3 of $disk: $(cat dd.log)"
}

same() {
	dd if="/dev/$disk" of=read bs=64K skip="$3" count="$2" iflag=direct,skip_bytes,count_bytes 2>dd.log ||
		fail "reading $2 bytes at $3 of $disk: $(cat dd.log)"
	pattern "$1" "$2" | cmp -s - read
}

# make_filesystem KIND: makes an ext4 or xfs on $disk, whatever it contains.
make_filesystem() {
	case $1 in
	ext4) mkfs.ext4 -q -F "/dev/$disk" ;;
	xfs) mkfs.xfs -q -f "/dev/$disk" ;;
	esac
}

# check_filesystem KIND: checks the unmounted file system on $disk with its own checker.
check_filesystem() {
	case $1 in
	ext4) e2fsck -f -n "/dev/$disk" >check.out 2>&1 ;;
	xfs) xfs_repair -n "/dev/$disk" >check.out 2>&1 ;;
	esac || fail "$1 on $disk: $(cat check.out)"
}

# drop_caches: makes the next reads come from the devices.
drop_caches() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

# kernel_memory: prints the KiB of kernel memory, after dropping caches and shrinking slabs, which
# frees objects in per-CPU lists and, with KASAN, in its quarantine.
kernel_memory() {
	drop_caches
	for _cache in /sys/kernel/slab/*; do
		echo 1 >"$_cache/shrink"
	done
	awk '$1 == "Slab:" || $1 == "VmallocUsed:" || $1 == "Percpu:" { sum += $2 } END { print sum }' /proc/meminfo
}

# load_modules and unload_modules: all modules of the stack.
load_modules() {
	modprobe -a nfit nd_e820 nd_btt nd_pmem
	settle
	udev_settle
}

unload_modules() {
	udev_settle
	for _region in /sys/bus/nd/drivers/nd_region/region*; do
		[ ! -e "$_region" ] || unbind "${_region##*/}"
	done
	remove_modules nd_pmem dax_pmem device_dax nd_btt nd_pfn nfit nd_e820 libnvdimm
}
