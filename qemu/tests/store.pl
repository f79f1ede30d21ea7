# SPDX-License-Identifier: GPL-2.0
#
# store.pl FILE VALUE: writes an attribute of sysfs in one system call and prints `ok`, or the name of the error like EBUSY.
# `\n`, `\t`, `\0` and `\\` in the value are what they are in C. An empty value is written as one NUL, as libndctl does,
# since no driver sees a write of no bytes.
use strict;
use warnings;
use Errno;
use Fcntl;

my ($file, $value) = @ARGV;
my %escaped = (n => "\n", t => "\t", 0 => "\0", '\\' => '\\');
$value =~ s/\\([nt0\\])/$escaped{$1}/g;
$value = "\0" if $value eq '';

my $written;
if (sysopen(my $attribute, $file, O_WRONLY)) {
	$written = syswrite($attribute, $value);
}
if (!defined $written) {
	my ($name) = grep { $!{$_} } keys %!;
	print "$name\n";
} elsif ($written != length $value) {
	print "$written of " . length($value) . " bytes\n";
} else {
	print "ok\n";
}
