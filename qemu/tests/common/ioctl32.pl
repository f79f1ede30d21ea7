#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# ioctl32.pl PROGRAM NUMBER: writes a 32-bit x86 program that reads its buffer from standard input,
# calls the ioctl NUMBER on descriptor 3 with it, writes the buffer to standard output, and exits
# with the error's number. The guest has neither a compiler nor 32-bit libraries, so the machine
# code is written here.
use strict;
use warnings;

my ($program, $number) = @ARGV;
die "usage: ioctl32.pl PROGRAM NUMBER\n" unless defined $number;

use constant { BASE => 0x08048000, BUFFER => 0x08050000, SIZE => 8192, HEADERS => 52 + 32 };
use constant { EXIT => 1, READ => 3, WRITE => 4, IOCTL => 54 };

# mov eax, number; mov ebx, ecx, edx, arguments; int 0x80
sub system_call {
	my ($call, @arguments) = @_;
	return join "", pack("C L<", 0xb8, $call), (map { pack "C L<", (0xbb, 0xb9, 0xba)[$_], $arguments[$_] } 0 .. $#arguments), "\xcd\x80";
}

my $code = system_call(READ, 0, BUFFER, SIZE)
	. system_call(IOCTL, 3, oct $number, BUFFER)
	. "\x89\xc6"    # mov esi, eax
	. system_call(WRITE, 1, BUFFER, SIZE)
	. "\x89\xf3"    # mov ebx, esi
	. "\xf7\xdb"    # neg ebx
	. system_call(EXIT);

# ELF header: 32 bits, little endian, executable, 386, one program header. The program header loads
# the whole file and adds the buffer behind it.
my $length = HEADERS + length $code;
my $elf = "\x7fELF\x01\x01\x01" . "\0" x 9
	. pack("S< S< L< L< L< L< L< S< S< S< S< S< S<", 2, 3, 1, BASE + HEADERS, 52, 0, 0, 52, 32, 1, 0, 0, 0)
	. pack("L<8", 1, 0, BASE, BASE, $length, BUFFER + SIZE - BASE, 7, 4096);

open my $out, ">:raw", $program or die "$program: $!\n";
print $out $elf, $code;
close $out or die "$program: $!\n";
chmod 0755, $program;
