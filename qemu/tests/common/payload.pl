#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# payload.pl DEVICE read|write SECTOR COUNT SIZE METADATA: makes a request for COUNT sectors of SIZE
# bytes with METADATA bytes of integrity payload each, through io_uring, the only interface that
# passes them to the block layer. All data are followed by all metadata, on standard input or
# output.
#
# Linux: include/uapi/linux/io_uring.h
use strict;
use warnings;
use Fcntl;

use constant {
	SETUP => 425, ENTER => 426, SETUP_NO_MMAP => 1 << 14, SETUP_NO_SQARRAY => 1 << 16, GETEVENTS => 1,
	READ => 22, WRITE => 23, RW_ATTR_PI => 1, PAGE => 4096,
};

my ($device, $direction, $sector, $count, $size, $metadata) = @ARGV;
my ($data, $payload) = ($count * $size, $count * $metadata);

# Pages of the rings, the submission queue, data and payload. The string keeps its address as long
# as its length does not change.
my $pages = 2 * PAGE + $data + PAGE + $payload;
my $memory = "\0" x ($pages + PAGE);
substr($memory, 0, 1) = "\0";
my $start = unpack "J", pack "P", $memory;
my $skip = (PAGE - $start % PAGE) % PAGE;
my ($rings, $entry, $buffer, $extra) = ($skip, $skip + PAGE, $skip + 2 * PAGE, $skip + 3 * PAGE + $data);

sub put {
	my ($at, $bytes) = @_;
	substr($memory, $at, length $bytes) = $bytes;
}

if ($direction eq "write") {
	binmode STDIN;
	local $/;
	my $input = <STDIN>;
	die "input has ", length $input, " bytes\n" unless length $input == $data + $payload;
	put($buffer, substr $input, 0, $data);
	put($extra, substr $input, $data);
}

sysopen my $disk, $device, O_RDWR | O_DIRECT or die "$device: $!\n";
my $parameters = pack "L10 L8 Q L8 Q", 0, 0, SETUP_NO_MMAP | SETUP_NO_SQARRAY, (0) x 7, (0) x 8, $start + $entry, (0) x 8, $start + $rings;
my $ring = syscall SETUP, 1, $parameters;
die "io_uring_setup: $!\n" if $ring < 0;
# sq_off.tail and cq_off.cqes
my ($tail, $completions) = unpack "x44 L x52 L", $parameters;

my $attribute = pack "S S L Q Q Q", 0, 0, $payload, $start + $extra, 0, 0;
put($entry, pack "C C S l Q Q L L Q S S l J Q", $direction eq "write" ? WRITE : READ, 0, 0, fileno $disk, $sector * $size,
	$start + $buffer, $data, 0, 0, 0, 0, 0, unpack("J", pack "P", $attribute), RW_ATTR_PI);
put($rings + $tail, pack "L", 1);
my $submitted = syscall ENTER, $ring, 1, 1, GETEVENTS, 0, 0;
die "io_uring_enter: $!\n" if $submitted < 0;
my $result = unpack "x8 l", substr $memory, $rings + $completions, 16;
if ($result != $data) {
	local $! = -$result;
	die "$direction: ", $result < 0 ? $! : "$result bytes", "\n";
}
if ($direction eq "read") {
	binmode STDOUT;
	print substr($memory, $buffer, $data), substr($memory, $extra, $payload);
}
