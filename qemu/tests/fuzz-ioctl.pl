#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# fuzz-ioctl.pl SEED CALLS NODE...: sends as many calls with made-up numbers, sizes, offsets and families to the nodes /dev/ndctlN and
# /dev/nmemN, from two processes each. The same seed makes the same calls. Prints how they ended; fails if one ended as none should.
#
# It is not written in Rust since an ioctl with any argument whatever is unsafe there, and user space has no unsafe code.
use strict;
use warnings;
no warnings "portable";
use Errno;
use Fcntl;

my ($seed, $calls, @nodes) = @ARGV;
die "usage: fuzz-ioctl.pl SEED CALLS NODE...\n" unless @nodes;

# Larger than any call may be, so that nothing is written past its end.
my $buffer = "\0" x ((4 << 20) + 65536);
my @allowed = qw(EACCES EBUSY EFAULT EINVAL EIO ENODEV ENOMEM ENOTTY ENXIO EOPNOTSUPP EPERM);
my @words = (0 .. 16, 20, 24, 31, 64, 127, 128, 252, 255, 256, 257, 4095, 4096, 65536, 131064, 131071, 131072, 131073, (4 << 20) - 76,
	(4 << 20) - 12, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, 0x7fffffff, 0x80000000, 0xfffffff3, 0xfffffffc, 0xffffffff);
my @families = (0 .. 7, 31, 63, 64, 255, 1 << 31, 1 << 32, 1 << 63, ~0);
# No addresses of this process.
my @nowhere = (0, 1, 4095, 4096, 0x7fffffffffff, 0xffff888000000000, 0xffffffffff600000, 0xfffffffffffffff8);

sub any { return $_[rand @_] }

sub word { return rand() < 0.8 ? any(@words) : int rand 2**32 }

# The start of a buffer, which says how long everything is.
sub head {
	my ($number) = @_;
	my $length = word();
	my @random = map { word() } 1 .. 64;
	if ($number == 10) {
		my $command = rand() < 0.9 ? int rand 34 : any(@families);
		return pack "Q< Q< L< L< L9 L< L<*", any(@families), $command, any(@words), any(@words), (0) x 9, word(), @random;
	}
	return pack "L<*", word(), $length, @random;
}

sub number {
	return int rand 2**32 if rand() < 0.1;
	my $number = rand() < 0.9 ? int rand 12 : int rand 256;
	# Direction and size are of no meaning, and 'N' stands for the subsystem.
	return int(rand 4) << 30 | int(rand 1 << 14) << 16 | 0x4e00 | $number;
}

sub fuzz {
	my ($node, $mine) = @_;
	srand $mine;
	sysopen my $writable, $node, O_RDWR or die "$node: $!\n";
	sysopen my $readable, $node, O_RDONLY or die "$node: $!\n";
	my %ends;
	for my $call (1 .. $calls) {
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
		my ($end) = $done ? "ok" : grep { $!{$_} } @allowed;
		unless (defined $end) {
			printf "%s: seed %d, call %d, number %#x: %s\n", $node, $mine, $call, $number, $!;
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
