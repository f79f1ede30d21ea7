#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A DIMM that is plugged in later has a command family that no DIMM before it had. Calls of that
# family reach it.
#
# needs: nvdimm=64M
# plugs: nvdimm=64M,label=128K
# stacks: rust c
# compare
# boots: 1
# timeout: 300
. "$LIB"
. "${LIB%/*}/devices.sh"

# size_of_labels DIMM: calls function 4 of the common family by ND_CMD_CALL, and prints the size of
# the label area, or the error.
size_of_labels() {
	perl -e '
		use Fcntl;
		use constant CALL => 0xc0404e0a;
		sysopen my $node, $ARGV[0], O_RDWR or die "$ARGV[0]: $!\n";
		my $call = pack("Q< Q< L< L< L9 L<", 0, 4, 0, 12, (0) x 9, 0) . "\0" x 12;
		if (ioctl $node, CALL, $call) {
			my (undef, $size) = unpack "L< L<", substr $call, 64;
			print "$size\n";
		} else {
			print "$!\n";
		}' "/dev/$1"
}

echo "nmem0: $(size_of_labels nmem0)"
plug
wait_for 60 test -e "$ND/region1"
settle
udev_settle
wait_for 10 test -c /dev/nmem1
expect_eq "the size of the labels of the new DIMM" "$(size_of_labels nmem1)" 131072
echo "nmem0: $(size_of_labels nmem0)"
