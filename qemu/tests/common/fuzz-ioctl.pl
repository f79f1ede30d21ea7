#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# fuzz-ioctl.pl SEED SECONDS NODE...: sends ioctls with random numbers, sizes, offsets and families
# to the nodes /dev/ndctlN and /dev/nmemN, from two processes for each node. The same seed makes the
# same calls. Prints how often each result occurred; fails on an unexpected one.
#
# Label functions never get a length of 0 bytes, with which QEMU 7.2 fails an assertion
# (hw/mem/nvdimm.c, nvdimm_validate_rw_label_data). Neither stack checks what a call passes to the
# firmware.
#
# This is not Rust because an ioctl with an arbitrary argument is unsafe there, and user space has
# no unsafe code.
use strict;
use warnings;
no warnings "portable";
use Errno;
use Fcntl;

my ($seed, $seconds, @nodes) = @ARGV;
die "usage: fuzz-ioctl.pl SEED SECONDS NODE...\n" unless @nodes;
my $end = time + $seconds;

use constant { READ_LABELS => 5, WRITE_LABELS => 6, CALL => 10, CALL_HEADER => 64 };
# Larger than any call. The kernel must not write beyond the largest call.
use constant { LARGEST => 4 << 20, BEYOND => 4096 };
my $beyond = "\x5a" x BEYOND;
my $buffer = ("\0" x LARGEST) . $beyond;
my %allowed = map { Errno->can($_)->() => $_ } qw(EACCES EBUSY EFAULT EINVAL EIO ENODEV ENOMEM ENOTTY ENXIO EOPNOTSUPP EPERM);
my @words = (0 .. 16, 20, 24, 31, 64, 127, 128, 252, 255, 256, 257, 4095, 4096, 65536, 131064, 131071, 131072, 131073, (4 << 20) - 76,
	(4 << 20) - 12, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, 0x7fffffff, 0x80000000, 0xfffffff3, 0xfffffffc, 0xffffffff);
my @families = (0 .. 7, 31, 63, 64, 255, 1 << 31, 1 << 32, 1 << 63, ~0);
# Addresses that this process does not have.
my @nowhere = (0, 1, 4095, 4096, 0x7fffffffffff, 0xffff888000000000, 0xffffffffff600000, 0xfffffffffffffff8);

sub any { return $_[rand @_] }

sub word { return rand() < 0.8 ? any(@words) : int rand 2**32 }

# Returns the start of a buffer, which contains the lengths.
sub head {
	my ($number) = @_;
	my @random = map { word() } 1 .. 16;
	my $length = any(@words);
	if ($number == CALL) {
		my $command = rand() < 0.9 ? int rand 34 : any(@families);
		if (($command & 0xffffffff) == READ_LABELS || ($command & 0xffffffff) == WRITE_LABELS) {
			$random[1] ||= 1;
			$length = 8 if $length < 8;
		}
		my $family = rand() < 0.7 ? 0 : any(@families);
		my $reserved = rand() < 0.95 ? 0 : word();
		return pack "Q< Q< L< L< L9 L< L<*", $family, $command, $length, any(@words), ($reserved) x 9, word(), @random;
	}
	$random[1] ||= 1 if $number == READ_LABELS || $number == WRITE_LABELS;
	return pack "L<*", @random;
}

sub number {
	# Includes numbers of other subsystems, like 'T' for terminals.
	my $subsystem = rand() < 0.95 ? ord "N" : any(ord "T", int rand 256);
	my $number = rand() < 0.95 ? any(0 .. 11, (CALL) x 4) : int rand 256;
	# Direction and size are ignored.
	return int(rand 4) << 30 | int(rand 1 << 14) << 16 | $subsystem << 8 | $number;
}

sub fuzz {
	my ($node, $mine) = @_;
	srand $mine;
	# sysopen queries whether the node is a terminal, with a buffer of that size.
	sysopen my $writable, $node, O_RDWR or die "$node: $!\n";
	sysopen my $readable, $node, O_RDONLY or die "$node: $!\n";
	my %ends;
	for (my $call = 0; time < $end; $call++) {
		my $file = rand() < 0.8 ? $writable : $readable;
		my $number = number();
		my $done;
		if (rand() < 0.05) {
			$done = ioctl $file, $number, any(@nowhere);
		} else {
			my $head = head($number & 0xff);
			substr($buffer, 0, length $head) = $head;
			$done = ioctl $file, $number, $buffer;
		}
		my $end = defined $done ? "ok" : $allowed{$! + 0};
		my $what;
		if (!defined $end) {
			$what = $!;
		} elsif ($end eq "ok" && ($number >> 8 & 0xff) != ord "N") {
			$what = "not for this subsystem, but done";
		} elsif (substr($buffer, LARGEST) ne $beyond) {
			$what = "wrote past the largest call";
		}
		if (defined $what) {
			printf "%s: seed %d, call %d, number %#x: %s\n", $node, $mine, $call, $number, $what;
			return 1;
		}
		$ends{$end}++;
	}
	print "$node: ", join(", ", map { "$ends{$_} $_" } sort keys %ends), "\n";
	return 0;
}

$| = 1;
for my $node (@nodes) {
	for my $twin (0, 1) {
		my $child = fork // die "fork: $!\n";
		exit fuzz($node, $seed * 2 + $twin) unless $child;
	}
}
my $failed = 0;
while (wait != -1) {
	$failed = 1 if $?;
}
exit $failed;
