#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Labels of version 1.1 with the interleave-set cookie of early kernels, which sorted the DIMMs by
# the bytes of their offsets: the namespace is detected. With any other cookie it is not.
#
# timeout: 240
. "$LIB"
. "${LIB%/*}/simulated.sh"

# cookie OFFSET_EXPONENT...: prints the cookie of the four DIMMs in this order: Fletcher64 over
# offset, serial number and padding of each.
cookie() {
	perl -e '
		my %serial = (16 => 0xffffffff, 24 => 0xfffffffe, 32 => 0xfffffeff, 40 => 0xfffffefe);
		my ($low, $high) = (0, 0);
		for my $exponent (@ARGV) {
			for my $word (unpack "V4", pack "Q< V V", 1 << $exponent, $serial{$exponent}, 0) {
				$low = ($low + $word) & 0xffffffff;
				$high = ($high + $low) & 0xffffffffffffffff;
			}
		}
		printf "%016x\n", (($high & 0xffffffff) << 32) | $low' "$@"
}

# replace FILE OLD NEW: replaces 64-bit numbers.
replace() {
	perl -e '
		my ($file, $old, $new) = @ARGV;
		open my $in, "<:raw", $file or die; local $/; my $bytes = <$in>;
		my ($from, $to) = map { pack "Q<", hex } $old, $new;
		$bytes =~ s/\Q$from\E/$to/g or die "no cookie in $file\n";
		open my $out, ">:raw", $file or die; print $out $bytes;' "$@"
}

# with_cookie OLD NEW: changes the cookie in the labels of all DIMMs.
with_cookie() {
	expect_ok ndctl disable-region -b "$N0" all
	for number in 0 1 2 3; do
		expect_ok ndctl read-labels -o labels nmem$number
		expect_ok replace labels "$1" "$2"
		expect_ok ndctl write-labels -i labels nmem$number
	done
	expect_ok ndctl enable-region -b "$N0" all
	wait_for_buses
}

names() {
	ndctl list -b "$N0" -N | jq -c 'map(.uuid)'
}

now=$(cookie 16 24 32 40) early=$(cookie 40 32 24 16)
expect_eq "the cookie of the set" "$now" 0c0ffadb0100fefb

reset_labels 1.1
region=$(region_of_ways 4)
uuid=$(field "$(ndctl create-namespace -r "$region" -m raw)" uuid)
expect_eq "the namespace" "$(names)" "[\"$uuid\"]"

with_cookie "$now" "$early"
expect_eq "the namespace with the cookie of early kernels" "$(names)" "[\"$uuid\"]"

with_cookie "$early" 0123456789abcdef
expect_eq "the namespace with a wrong cookie" "$(names)" ""
