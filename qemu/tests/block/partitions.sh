#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Partition tables that count in units of 512 bytes, and others, on raw and BTT disks. If a
# partition of a disk with sectors of 4096 bytes begins or ends within a sector, requests for a part
# of that sector fail, and its neighbours do not change. (The C driver rounds the start down, so
# this is tested for ours only.)
#
# needs: nvdimm=64M
# stacks: rust
# tags: slow
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"

# sun START SIZE...: writes a Sun disk label, in sectors of 512 bytes, for partitions 1, 2, ...
sun() {
	perl -e '
		my @parts = map { $_ // 0 } @ARGV[0 .. 15];
		my $label = pack "a128 N a8 n n16 n N3 N N10 N8 N N a148 n12 N16 n", "test", 1, "", 8, (0) x 16, 0, (0) x 3, 0x600ddeee,
			(0) x 18, 0, 0, "", 5400, 1, 0, 0, 0, 1, 1, 0, 1, 1, 0, 0, @parts, 0xdabe;
		my $sum = 0;
		$sum ^= $_ for unpack "n*", $label;
		print $label, pack "n", $sum' "$@" | label
}

# sgi START SIZE...: writes an SGI disk label.
sgi() {
	perl -e '
		my @parts;
		while (my ($start, $size) = splice @ARGV, 0, 2) { push @parts, $size, $start, 0x83 }
		push @parts, 0 while @parts < 48;
		my $label = pack "N n n a16 a48 a240 N48", 0x0be5a941, 0, 0, "", "", "", @parts;
		my $sum = 0;
		$sum -= $_ for unpack "N*", $label;
		print $label, pack "N N", $sum & 0xffffffff, 0' "$@" | label
}

# bsd SLICE START SIZE...: writes a BSD disk label in an MBR partition that begins at logical block
# SLICE. Starts count from there; the first partition has number 5.
bsd() {
	perl -e '
		my ($block, $slice) = splice @ARGV, 0, 2;
		my $mbr = pack "a446 C8 V V x48 v", "", 0, 0, 1, 0, 0xa5, 0, 1, 0, $slice, (8 << 20) / $block, 0xaa55;
		my @parts = (0, 0, 0, 0, 0, 0) x 8;
		# The third one is the whole slice, without a type: starts are relative then.
		for my $index (0, 1, 3 .. 7) {
			my ($start, $size) = splice @ARGV, 0, 2 or last;
			@parts[$index * 6 .. $index * 6 + 5] = ($size, $start, 0, 7, 0, 0);
		}
		my $label = pack "V v v a16 a16 a76 a16 V v v V V (VVVCCv)8", 0x82564557, 0, 0, "", "", "", "", 0x82564557, 0, 8, 0, 0, @parts;
		my $start = $slice * $block + 512;
		print $mbr, "\0" x ($start - 512), $label, "\0" x (512 - length $label)' "$(cat "/sys/block/$disk/queue/logical_block_size")" "$@" | label
}

# label: writes standard input to the start of $disk, and zeroes old labels behind it.
label() {
	dd of="/dev/$disk" bs=65536 iflag=fullblock conv=sync oflag=direct 2>dd.log || fail "writing a label: $(cat dd.log)"
	reread
}

reread() {
	udev_settle
	blockdev --rereadpt "/dev/$disk"
	udev_settle
}

# part NUMBER: prints the name of a partition of $disk.
part() {
	case $disk in
	*[0-9]) echo "${disk}p$1" ;;
	*) echo "$disk$1" ;;
	esac
}

# on_part NUMBER COMMAND...: runs a command with the partition as $disk.
on_part() {
	_whole=$disk
	disk=$(part "$1")
	shift
	"$@" || fail "'$*' on $disk"
	disk=$_whole
}

# expect_part NUMBER START SIZE: the partition exists, and consists of these sectors of the disk.
expect_part() {
	wait_for 10 test -b "/dev/$(part "$1")"
	expect_eq "start and size of partition $1" "$(cat "/sys/class/block/$(part "$1")/start" "/sys/class/block/$(part "$1")/size" | tr '\n' ' ')" "$2 $3 "
	_bytes=$(($3 * 512 / block * block))
	_some=$((_bytes < 65536 ? _bytes : 65536))
	for _at in 0 $((_bytes - _some)); do
		on_part "$1" put $((10 + $1)) $_some $_at
		same $((10 + $1)) $_some $(($2 * 512 + _at)) || fail "byte $_at of partition $1 is not where its table says"
		on_part "$1" same $((10 + $1)) $_some $_at
	done
}

# contents: prints a checksum of the first MiB of the disk.
contents() {
	dd if="/dev/$disk" bs=64K count=16 iflag=direct 2>dd.log | sha256sum
}

# expect_refused NUMBER: requests at the start of the partition fail, and the disk does not change.
expect_refused() {
	wait_for 10 test -b "/dev/$(part "$1")"
	before=$(contents)
	refused=/dev/$(part "$1")
	expect_errno 'Input/output error' dd if="$refused" of=/dev/null bs=4096 count=1 iflag=direct
	expect_errno 'Input/output error' dd if="$refused" of=/dev/null bs=4096 count=1
	expect_errno 'Input/output error' dd if=/dev/zero of="$refused" bs=4096 count=1 oflag=direct
	expect_errno 'Input/output error' dd if=/dev/zero of="$refused" bs=4096 count=1 conv=fsync
	expect_errno 'Input/output error' blkdiscard -f "$refused"
	expect_errno 'Input/output error' blkdiscard -z -f "$refused"
	drop_caches
	expect_eq "the start of the disk after refused requests" "$(contents)" "$before"
}

# expect_file_system NUMBER
expect_file_system() {
	_whole=$disk
	disk=$(part "$1")
	make_filesystem ext4
	mkdir -p mnt
	mount "/dev/$disk" mnt
	dd if=/dev/urandom of=mnt/file bs=64K count=16 conv=fsync 2>dd.log || fail "a file on $disk: $(cat dd.log)"
	umount mnt
	check_filesystem ext4
	disk=$_whole
}

# any_disk: tests for every disk.
any_disk() {
	block=$(cat "/sys/block/$disk/queue/logical_block_size")
	put 1 1048576 0

	# Partitions of whole pages.
	for format in sun sgi; do
		$format 64 160 16384 32768
		expect_part 1 64 160
		expect_part 2 16384 32768
	done
	slice=$((1048576 / block))
	bsd $slice 64 160 8192 4096
	expect_part 5 2112 160
	expect_part 6 10240 4096

	for format in msdos gpt; do
		parted -s "/dev/$disk" mklabel $format mkpart primary 1MiB 9MiB mkpart primary 9MiB 40MiB >parted.log 2>&1 || fail "parted: $(cat parted.log)"
		reread
		expect_part 1 2048 16384
		expect_part 2 18432 63488
	done
	expect_file_system 2
	parted -s "/dev/$disk" mklabel msdos >parted.log 2>&1
	udev_settle
}

# small_sectors: partitions begin and end anywhere.
small_sectors() {
	for format in sun sgi; do
		$format 9 64 75 3
		expect_part 1 9 64
		expect_part 2 75 3
	done
	bsd 2048 9 64 75 3
	expect_part 5 2057 64
	expect_part 6 2123 3
}

# large_sectors: partitions begin or end within a sector.
large_sectors() {
	put 2 1048576 0
	for format in sun sgi; do
		$format 9 64 80 803 1028 64
		expect_refused 1
		expect_refused 3
		expect_part 2 80 803
		expect_errno 'Input/output error' dd if="/dev/$(part 2)" of=/dev/null bs=512 skip=800 count=3
	done
	bsd 256 9 64 80 803
	expect_refused 5
	expect_part 6 2128 803
	expect_kernel_message "I/O failed: a request has .* expected whole sectors of 4096"
	echo 1 >"/sys/kernel/debug/btt/$btt/check"
	expect_match "the check" "$(cat "/sys/kernel/debug/btt/$btt/check")" '0 defects*'
}

settle
disk=pmem0
any_disk
small_sectors

make_btt namespace0.0 512
any_disk
small_sectors
release "$btt"
wipe namespace0.0

make_btt namespace0.0 4096
any_disk
[ "$STACK" = c ] || large_sectors
