#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# Writers of the same sectors at the same time, past the page cache, and what may be found there
# afterwards.
#
# overlap.pl write DEVICE SIZE FIRST COUNT WRITER SEQUENCE STOP: writes COUNT sectors of SIZE bytes
# from FIRST on, again and again, until a write fails or there is a file STOP, which is looked for
# after each write. Prints a line for each request: WRITER SEQUENCE FIRST COUNT BEGIN END STATUS;
# times are in nanoseconds, the status is ok or the text of the errno. Without STOP it makes one
# request.
#
# overlap.pl check DEVICE SIZE LOG...: each sector that an acknowledged request of the logs has
# written holds all of what one request has written, and none that was acknowledged before another
# acknowledged one began.
#
# overlap.pl inject BUS ADDRESS LENGTH: the simulated firmware loses a range of physical addresses,
# and notifies.
# overlap.pl clear BUS ADDRESS LENGTH: has media errors cleared.
#
# A sector is full of cells of 16 bytes: its number, with the writer in the high 16 bits, and the
# sequence.
#
# Linux: include/uapi/linux/ndctl.h; ACPI 6.5, 9.20.7.9
use strict;
use warnings;
use Fcntl;
no warnings "portable";

use constant { PREAD => 17, PWRITE => 18, CLOCK_GETTIME => 228, MONOTONIC => 1, PAGE => 4096 };
# Requests of the same contents: filling the buffer takes longer than a request.
use constant REPEATS => 20;
use constant { CALL => 0xc0404e0a, CLEAR_ERROR => 0xc0204e04, INJECT => 7, NOTIFY => 1 };

my ($verb, @rest) = @ARGV;

# A buffer that direct I/O accepts, and where it is in it. The string stays where it is as long as
# its length does.
my ($memory, $skip, $address);

sub allocate {
	my ($size) = @_;
	$memory = "\0" x ($size + PAGE);
	my $start = unpack "J", pack "P", $memory;
	$skip = (PAGE - $start % PAGE) % PAGE;
	$address = $start + $skip;
}

sub now {
	my $time = pack "q q", 0, 0;
	syscall(CLOCK_GETTIME, MONOTONIC, $time) == 0 or die "clock_gettime: $!\n";
	my ($seconds, $nanoseconds) = unpack "q q", $time;
	return $seconds * 1_000_000_000 + $nanoseconds;
}

sub open_disk {
	my ($path, $flags) = @_;
	sysopen my $disk, $path, $flags | O_DIRECT or die "$path: $!\n";
	return $disk;
}

sub fill {
	my ($size, $first, $count, $writer, $sequence) = @_;
	my $cells = $size / 16;
	for my $index (0 .. $count - 1) {
		my $cell = pack "Q< Q<", ($first + $index) | $writer << 48, $sequence;
		substr($memory, $skip + $index * $size, $size) = $cell x $cells;
	}
}

sub do_write {
	my ($path, $size, $first, $count, $writer, $sequence, $stop) = @_;
	my $disk = open_disk($path, O_RDWR);
	allocate($size * $count);
	my @log;
	my $status;
	do {
		fill($size, $first, $count, $writer, $sequence + int(@log / REPEATS)) if @log % REPEATS == 0;
		my $begin = now();
		my $written = syscall PWRITE, fileno $disk, $address, $size * $count, $first * $size;
		$status = $written == $size * $count ? "ok" : $written < 0 ? "$!" : "short";
		push @log, join " ", $writer, $sequence + int(@log / REPEATS), $first, $count, $begin, now(), $status;
	} while $status eq "ok" && defined $stop && !-e $stop;
	print "$_\n" for @log;
}

sub check {
	my ($path, $size, @logs) = @_;
	my (%ended, %ranges);
	for my $log (@logs) {
		open my $lines, "<", $log or die "$log: $!\n";
		while (<$lines>) {
			my ($writer, $sequence, $first, $count, $begin, $end, $status) = split " ", $_, 7;
			$ended{"$writer $sequence"} = $end;
			$ranges{"$first $count"} = $begin if $status eq "ok\n" && $begin > ($ranges{"$first $count"} // -1);
		}
	}
	# The latest begin of an acknowledged request.
	my %latest;
	for my $range (keys %ranges) {
		my ($first, $count) = split " ", $range;
		for my $sector ($first .. $first + $count - 1) {
			$latest{$sector} = $ranges{$range} if $ranges{$range} > ($latest{$sector} // -1);
		}
	}
	die "nothing was acknowledged\n" unless %latest;
	my $disk = open_disk($path, O_RDONLY);
	allocate($size);
	my $wrong = 0;
	for my $sector (sort { $a <=> $b } keys %latest) {
		if (syscall(PREAD, fileno $disk, $address, $size, $sector * $size) != $size) {
			print "sector $sector: $!\n";
			$wrong++;
			next;
		}
		my $contents = substr $memory, $skip, $size;
		my ($place, $sequence) = unpack "Q< Q<", $contents;
		my $writer = $place >> 48;
		my $end = $ended{"$writer $sequence"};
		my $problem =
			$contents ne substr($contents, 0, 16) x ($size / 16) ? "is torn"
			: ($place & 0xffffffffffff) != $sector ? "holds another sector"
			: !defined $end ? "holds what was never written"
			: $end < $latest{$sector} ? "holds what was overwritten" : next;
		print "sector $sector $problem: writer $writer, sequence $sequence\n";
		$wrong++;
	}
	print scalar(keys %latest), " sectors, $wrong wrong\n";
	exit 1 if $wrong;
}

sub call {
	my ($bus, $request, $payload) = @_;
	sysopen my $node, $bus, O_RDWR or die "$bus: $!\n";
	ioctl $node, $request, $payload or die "ioctl: $!\n";
	return $payload;
}

if ($verb eq "write") {
	do_write(@rest);
} elsif ($verb eq "check") {
	check(@rest);
} elsif ($verb eq "inject") {
	my ($bus, $start, $length) = @rest;
	# Family 0, sizes of input and output, reserved, size that the firmware
	# wants; then the input, and
	# the status.
	my $answer = call($bus, CALL, pack "Q Q L L L9 L Q Q C L", 0, INJECT, 17, 4, (0) x 9, 0, $start, $length, NOTIFY, ~0 & 0xffffffff);
	my $status = unpack "x81 L", $answer;
	die "injection: status $status\n" if $status;
} elsif ($verb eq "clear") {
	my ($bus, $start, $length) = @rest;
	my ($status, $cleared) = unpack "x16 L x4 Q", call($bus, CLEAR_ERROR, pack "Q Q L L Q", $start, $length, 0, 0, 0);
	die "clearing: status $status, $cleared bytes of $length\n" if $status || $cleared != $length;
} else {
	die "write, check, inject or clear expected\n";
}
