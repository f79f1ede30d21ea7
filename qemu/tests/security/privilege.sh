#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Unprivileged processes can only read attributes that contain no addresses. A read-only descriptor
# cannot change anything by ioctl. No message and no attribute contains a kernel pointer.
#
# The DIMM with labels is the last one: a later one without _DSM makes the C stack lose the command
# family of the earlier ones. Labels are never accessed with a length of 0 bytes: both stacks pass
# it on, and QEMU 7.2 fails an assertion (hw/mem/nvdimm.c).
#
# needs: nvdimm=32M nvdimm=64M,label=128K
# stacks: rust c
# compare
# timeout: 300
. "$LIB"
. "${LIB%/*}/devices.sh"

# unprivileged COMMAND...: runs a command without any privilege.
unprivileged() {
	setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all --inh-caps -all "$@"
}

# All messages of probing shall be in the log of this test.
unload_modules
load_modules
make_btt namespace0.0 4096

# Device nodes: their modes, and access by an unprivileged process.
for node in /dev/ndctl* /dev/nmem* /dev/pmem*; do
	stat -c '%n %A %U' "$node"
	! unprivileged dd if="$node" of=/dev/null bs=512 count=1 2>/dev/null || fail "an unprivileged process can read $node"
	! unprivileged dd if=/dev/zero of="$node" bs=512 count=1 conv=nocreat 2>/dev/null || fail "an unprivileged process can write $node"
done

# attributes TEST...: prints the attributes of all devices and their groups that meet the tests of
# find.
attributes() {
	find -L "$ND"/*/ -maxdepth 2 -type f "$@" 2>/dev/null | sort || true
}

# Only root can read attributes with addresses, and only root can write any attribute.
resources=$(attributes -name resource)
[ -n "$resources" ] || fail "there is no resource attribute at all"
for file in $resources; do
	expect_eq "mode of $file" "$(stat -c %a "$file")" 400
	! unprivileged cat "$file" >/dev/null 2>&1 || fail "an unprivileged process can read $file"
done
expect_eq "attributes that others than root may write" "$(attributes -perm /022)" ""
echo "$resources"

# Pointers look like ffff888003c0de00.
pointers='ffff[89a-f][0-9a-f]{11}'
! dmesg | grep -E "$pointers" || fail "a pointer is in the kernel's log"
shown=$(attributes -perm /444 ! -name wait_probe | perl -ne '
	chomp;
	open my $in, "<", $_ or next;
	my $read = sysread $in, my $text, 65536;
	print "$_\n" if $read && $text =~ /'"$pointers"'/;')
expect_eq "attributes that show a pointer" "$shown" ""
! grep -rEl "$pointers" /sys/kernel/debug/nd* /sys/kernel/debug/btt* 2>/dev/null || fail "debugfs shows a pointer"

# With a read-only descriptor, ioctls that change something are refused before their arguments are
# checked. Access mode 3 is for ioctls alone, and requires permission to read and write the node.
cat >ioctls.pl <<'PERL'
use POSIX;
my %modes = (O_RDONLY, "reading", O_RDWR, "writing", 3, "ioctl");
for my $node ("/dev/ndctl0", "/dev/nmem1") {
	for my $mode (O_RDONLY, O_RDWR, 3) {
		my $descriptor = POSIX::open($node, $mode) // die "$node: $!\n";
		open my $file, "+<&=", $descriptor or die "$node: $!\n";
		my $position = POSIX::lseek($descriptor, 4096, SEEK_SET);
		print "$modes{$mode} $node lseek: ", $position < 0 ? $! + 0 : "ok", "\n";
		for my $number (0 .. 11) {
			# A command of each number with offset 0 and length 4; ND_CMD_CALL has
			# family and function 0.
			my $buffer = pack "L2", 0, $number == 5 || $number == 6 ? 4 : 0;
			$buffer .= "\0" x 8184;
			my $done = ioctl $file, 0xc0004e00 | 8 << 16 | $number, $buffer;
			my $what = defined $done ? "ok" : (grep { $!{$_} } keys %!)[0];
			print "$modes{$mode} $node $number: $what\n";
		}
	}
}
PERL
perl ioctls.pl >ioctls
# Numbers whose result depends only on the firmware are printed as well: both stacks must agree.
cat ioctls
for number in 2 4 6 9 10; do
	for node in ndctl0 nmem1; do
		line=$(grep "^reading /dev/$node $number:" ioctls)
		case $line in
		*EPERM | *ENOTTY | *EINVAL) ;;
		*) fail "with a descriptor for reading: $line" ;;
		esac
	done
done
for node in ndctl0 nmem1; do
	for mode in reading writing ioctl; do
		grep -q "^$mode /dev/$node lseek: ok" ioctls || fail "lseek on $node fails, opened for $mode"
	done
done
! grep -q '^ioctl .*: EPERM' ioctls || fail "something is refused with access mode 3"
grep -q 'reading /dev/nmem1 6: EPERM' ioctls || fail "labels can be written with a descriptor for reading"
