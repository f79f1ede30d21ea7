#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# labels.pl FILE UUID CHANGE...: changes the labels of a namespace in an image of a label area,
# version 1.2. A change is FIELD=VALUE, with a number or a UUID. The checksum is updated unless it
# is changed itself.
#
# labels.pl FILE index CHANGE...: changes both index blocks.
#
# labels.pl FILE random SEED COUNT: overwrites COUNT random bytes that are not zero.
#
# labels.pl FILE fill COUNT SIZE: replaces the first label by COUNT copies, for consecutive extents
# of SIZE bytes.
#
# UEFI 2.10, section 13.19.
use strict;
use warnings;
no warnings "portable";

my ($file, $what, @changes) = @ARGV;

my %label = (
	name => [16, "a64"], flags => [80, "L<"], nlabel => [84, "S<"], position => [86, "S<"], cookie => [88, "Q<"],
	lbasize => [96, "Q<"], dpa => [104, "Q<"], rawsize => [112, "Q<"], slot => [120, "L<"],
	type => [128, "uuid"], class => [144, "uuid"], checksum => [248, "Q<"],
);
my %index = (
	signature => [0, "a16"], labelsize => [19, "C"], sequence => [20, "L<"], own => [24, "Q<"], size => [32, "Q<"],
	other => [40, "Q<"], labels => [48, "Q<"], slots => [56, "L<"], major => [60, "S<"], minor => [62, "S<"],
	checksum => [64, "Q<"],
);

sub fletcher64 {
	my ($low, $high) = (0, 0);
	for my $word (unpack "V*", $_[0]) {
		$low = ($low + $word) & 0xffffffff;
		$high = ($high + $low) & 0xffffffff;
	}
	return $high << 32 | $low;
}

# The first three fields of a UUID are little endian.
sub packed {
	my ($kind, $value) = @_;
	return pack "L<S<S<H4H12", map { $_ < 3 ? hex((split /-/, $value)[$_]) : (split /-/, $value)[$_] } 0 .. 4 if $kind eq "uuid";
	return pack $kind, $kind =~ /^a/ ? $value : $value =~ /^0x/ ? hex $value : $value;
}

# Returns the bytes of a record after the changes.
sub changed {
	my ($bytes, $fields) = @_;
	my $sum = 1;
	for my $change (@changes) {
		my ($name, $value) = split /=/, $change, 2;
		my ($offset, $kind) = @{ $fields->{$name} // die "no field $name\n" };
		my $new = packed($kind, $value);
		substr($bytes, $offset, length $new) = $new;
		$sum = 0 if $name eq "checksum";
	}
	if ($sum) {
		my $offset = $fields->{checksum}[0];
		substr($bytes, $offset, 8) = "\0" x 8;
		substr($bytes, $offset, 8) = pack "Q<", fletcher64($bytes);
	}
	return $bytes;
}

open my $in, "<:raw", $file or die "$file: $!\n";
my $area = do { local $/; <$in> };
my $size = unpack "Q<", substr $area, 32, 8;

if ($what eq "random") {
	my ($seed, $count) = @changes;
	srand $seed;
	my @used = grep { substr($area, $_, 1) ne "\0" } 0 .. length($area) - 1;
	substr($area, $used[rand @used], 1) = chr rand 256 for 1 .. $count;
} elsif ($what eq "fill") {
	my ($count, $bytes) = @changes;
	my ($offset, $kind) = @{ $index{slots} };
	my $slots = unpack $kind, substr $area, $offset, 4;
	$count < $slots or die "$count labels in $slots slots of $file\n";
	# A bit that is set means that its slot is free. The lowest bit of a byte is for its first
	# slot.
	my $free = pack "b*", "0" x $count . "1" x ($slots - $count);
	my ($first) = grep { substr($area, 2 * $size + $_ * 256, 16) ne "\0" x 16 } 0 .. $slots - 1;
	my $label = substr $area, 2 * $size + $first * 256, 256;
	my $dpa = unpack "Q<", substr $label, 104, 8;
	for my $slot (0 .. $count - 1) {
		substr($label, 0, 16) = pack "L<S<S<H4L>S>", 0x11111111, 0x1111, 0x4111, "8111", $slot, 0x1111;
		@changes = ("flags=0", "slot=$slot", "dpa=" . ($dpa + $slot * $bytes), "rawsize=$bytes");
		substr($area, 2 * $size + $slot * 256, 256) = changed($label, \%label);
	}
	for my $at (0, $size) {
		substr($area, $at + 72, length $free) = $free;
		@changes = ();
		substr($area, $at, $size) = changed(substr($area, $at, $size), \%index);
	}
} elsif ($what eq "index") {
	substr($area, $_ * $size, $size) = changed(substr($area, $_ * $size, $size), \%index) for 0, 1;
} else {
	my $key = pack "H*", $what =~ s/-//gr;
	my $found = 0;
	# Labels are in slots of 256 bytes behind the index blocks. Free slots still contain old
	# labels.
	for (my $at = 2 * $size; $at < length $area; $at += 256) {
		next if substr($area, $at, 16) ne $key;
		substr($area, $at, 256) = changed(substr($area, $at, 256), \%label);
		$found++;
	}
	$found or die "no label of $what in $file\n";
}
open my $out, ">:raw", $file or die "$file: $!\n";
print $out $area;
close $out or die "$file: $!\n";
