#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# state.pl STATE [OUTPUT STATUS]: writes what user space can see of all NVDIMM devices to the file STATE, an attribute a line with
# its mode and its value, and the label areas of all DIMMs, 32 bytes a line without those of zeros. With OUTPUT and STATUS, prints
# the file OUTPUT of a command, its exit status, and the lines of STATE that are gone (<) or new (>) since the file was written
# before. With - for STATE, looks at nothing and prints the output and the status only.
#
# In both, what depends on timing is replaced: numbers of personalities by what they are to the region (btt0.seed) or by
# the namespace that they hold (btt0.of-0.1).
use strict;
use warnings;
use Errno;
use Fcntl;

my ($state, $output, $status) = @ARGV;
my $devices = "/sys/bus/nd/devices";
my %names;
my @lines;

sub text {
	my ($file) = @_;
	my $value = "";
	open my $in, "<", $file or return "<" . error() . ">";
	while (1) {
		my $read = sysread $in, $value, 65536, length $value;
		defined $read or return "<" . error() . ">";
		last unless $read;
	}
	$value =~ s/\n/\\n/g;
	return $value;
}

sub error {
	my ($name) = grep { $!{$_} } keys %!;
	return $name // $!;
}

sub entries {
	my ($directory) = @_;
	opendir my $open, $directory or return;
	return sort grep { !/^\.\.?$/ } readdir $open;
}

# What is different in every boot, or says nothing of the device.
my %dull = map { $_ => 1 } qw(power subsystem wait_probe stat inflight bdi holders slaves trace mq diskseq device
	firmware_node physical_node of_node iosched dev subsystem_dev io_timeout);

# Where the stacks differ on purpose, see "Attributes of disks" in Documentation/sysfs.md.
my $differs = qr{/block/pmem[\d.]+(?:
	s/queue/(?:atomic_write_(?:max|unit_max|unit_min)_bytes
		|discard_(?:granularity|max_bytes|max_hw_bytes)
		|write_zeroes_(?:max|unmap_max|unmap_max_hw)_bytes
		|max_integrity_segments)
	|/dax/write_cache)$}x;

sub walk {
	my ($directory, $shown) = @_;
	for my $entry (entries($directory)) {
		next if $dull{$entry};
		my $path = "$directory/$entry";
		if (-l $path) {
			push @lines, "$shown/$entry -> " . (readlink($path) =~ s,.*/,,r);
		} elsif (-d $path) {
			# Devices have lines of their own.
			walk($path, "$shown/$entry") unless -e "$devices/$entry";
		} else {
			next if "$shown/$entry" =~ $differs;
			my $mode = sprintf "%04o", (stat _)[2] & 07777;
			my $value = $mode =~ /[46]..$/ ? text($path) : "";
			$value =~ s/(MAJOR|MINOR|DISKSEQ)=\d+/$1=?/g;
			push @lines, "$shown/$entry $mode $value";
		}
	}
}

# GET_CONFIG_SIZE and GET_CONFIG_DATA of include/uapi/linux/ndctl.h.
sub labels {
	my ($dimm) = @_;
	sysopen my $node, "/dev/$dimm", O_RDWR or return;
	my $size = pack "L3", 0, 0, 0;
	ioctl $node, 0xc00c4e04, $size or return;
	my (undef, $bytes, $transfer) = unpack "L3", $size;
	for (my $offset = 0; $offset < $bytes; $offset += $transfer) {
		my $length = $bytes - $offset < $transfer ? $bytes - $offset : $transfer;
		my $chunk = pack "L3 x$length", $offset, $length, 0;
		unless (ioctl $node, 0xc00c4e05, $chunk) {
			push @lines, "$dimm labels at $offset: " . error();
			return;
		}
		$main::area .= substr $chunk, 12, $length;
	}
	for (my $offset = 0; $offset < length $main::area; $offset += 32) {
		my $row = substr $main::area, $offset, 32;
		push @lines, sprintf "%s labels %05x %s", $dimm, $offset, unpack "H*", $row if $row =~ /[^\0]/;
	}
	$main::area = "";
}
our $area = "";

for my $device (entries($devices)) {
	if ($device =~ /^region/) {
		for my $kind (qw(btt pfn dax)) {
			my $seed = text("$devices/$device/${kind}_seed") =~ s/\\n//r;
			$names{$seed} = "$kind" . substr($device, 6) . ".seed" if $seed =~ /^$kind/;
		}
	} elsif ($device =~ /^(btt|pfn|dax)(\d+)\./) {
		my ($kind, $region) = ($1, $2);
		$names{$device} = "$kind$region.of-$1" if text("$devices/$device/namespace") =~ /namespace([\d.]+)/;
	}
}
for my $device ($state eq "-" ? () : entries($devices)) {
	walk("$devices/$device", $device);
	labels($device) if $device =~ /^nmem/;
}
push @lines, map { "disk $_" } grep { /^pmem/ } entries("/sys/class/block");

sub named {
	my ($text) = @_;
	$text =~ s/\b((?:btt|pfn|dax)\d+\.\d+)\b/$names{$1} \/\/ $1/ge;
	return $text;
}

if (defined $output) {
	open my $in, "<", $output or die "$output: $!\n";
	# Addresses and durations are different in every run.
	print map { named(s/\b0x7f[0-9a-f]{10}\b/ADDRESS/gr) } grep { !/waited \d+ milliseconds/ } <$in>;
	print "=== $status\n";
}
exit if $state eq "-";

my %before;
if (open my $in, "<", $state) {
	%before = map { $_ => 1 } <$in>;
}
# Sorted by the names that are shown.
my @now = sort map { named($_) . "\n" } @lines;
open my $out, ">", $state or die "$state: $!\n";
print $out @now;
close $out or die "$state: $!\n";

if (defined $output) {
	my %after = map { $_ => 1 } @now;
	my @gone = map { [$_, "<"] } grep { !$after{$_} } keys %before;
	my @new = map { [$_, ">"] } grep { !$before{$_} } keys %after;
	print map { "$_->[1] $_->[0]" } sort { $a->[0] cmp $b->[0] } @gone, @new;
}
