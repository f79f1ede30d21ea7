#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# fuzz-sysfs.pl SEED SECONDS PROVIDER: writes random values to all attributes of the buses whose
# provider begins with PROVIDER, and binds and unbinds their devices, from two processes. Prints how
# often each result occurred; fails if a write returns a kernel-internal error, or if an attribute
# is longer than a page.
use strict;
use warnings;
use Errno;
use Fcntl;

my ($seed, $seconds, $provider) = @ARGV;
die "usage: fuzz-sysfs.pl SEED SECONDS PROVIDER\n" unless defined $provider;
my $end = time + $seconds;

use constant PAGE => 4096;
# The first error number that no system call may return.
use constant INTERNAL => 512;
my %errors = map { Errno->can($_)->() => $_ } keys %!;
my $devices = "/sys/bus/nd/devices";
my $drivers = "/sys/bus/nd/drivers";

sub any { return $_[rand @_] }

sub entries {
	my ($directory) = @_;
	opendir my $open, $directory or return;
	return sort grep { !/^\.\.?$/ } readdir $open;
}

sub text {
	my ($file) = @_;
	sysopen my $in, $file, O_RDONLY or return "";
	my $read = sysread $in, my $value, 2 * PAGE;
	return $read ? $value : "";
}

my @buses = grep { text("$devices/$_/provider") =~ /^\Q$provider\E/ } grep { /^ndbus/ } entries($devices);
die "no bus of $provider\n" unless @buses;

# Returns all files below a device and its children, except for those of other subsystems.
sub attributes {
	my ($directory) = @_;
	my @found;
	for my $entry (entries($directory)) {
		next if $entry =~ /^(?:uevent|power|block|driver|subsystem|firmware_node|driver_override)$/;
		my $path = "$directory/$entry";
		next if -l $path;
		push @found, -d _ ? attributes($path) : $path;
	}
	return @found;
}

my @names;
my @files;

# Updates the lists, since devices come and go.
sub look {
	@files = map { attributes("$devices/$_") } @buses;
	my %names = map { $_ => 1 } map { m{/((?:nmem|region|namespace|btt|pfn|dax)\d[\d.]*)/} } @files;
	@names = sort keys %names;
	# These belong to the driver core, but act on our devices.
	push @files, map { ("$drivers/$_/bind", "$drivers/$_/unbind") x 3 } qw(nd_pmem nd_region nvdimm);
}

# Not "quiesce": it suspends all devices, which virtio-9p does not survive.
my @words = qw(0 1 2 -1 y N on off 512 520 4096 4097 4160 65536 16777216 33554432 0x1000000 0x2000000 18446744073709551615 18446744073709551616
	0x10000000000000000 9223372036854775808 0777 08 1.1 btt pfn dax raw ram pmem none safe live arm disarm freeze
	00000000-0000-0000-0000-000000000000 11111111-2222-3333-4444-55555555555 11111111-2222-3333-4444-555555555555x);

sub uuid { return sprintf "%08x-0000-4000-8000-%012x", int rand 8, int rand 4 }

sub value {
	my ($file) = @_;
	return any(@names) if $file =~ m{/(?:un)?bind$} && rand() < 0.9;
	my $what = rand;
	my $value = $what < 0.35 ? any(@words)
		: $what < 0.5 ? text($file)
		: $what < 0.65 ? uuid()
		: $what < 0.8 ? any(@names, "")
		: $what < 0.85 ? any("disable", "erase", "overwrite", "update", "master_erase") . " " . any(0, 1, -1, "x") . any("", " 0", " x")
		: $what < 0.9 ? any("x", "\n", " ", "\xff", "1") x any(1, 63, 64, 65, PAGE - 1, PAGE, PAGE + 1)
		: join "", map { chr int rand 256 } 1 .. any(1, 2, 8, 36, 37, 64, 300);
	# Changes one byte.
	substr($value, int rand length $value, 1) = chr int rand 256 if length $value && rand() < 0.2;
	return $value . any("", "", "\n", "\0", "\n\0", " ", "\0x");
}

sub fuzz {
	my ($mine) = @_;
	srand $mine;
	my %ends;
	for (my $call = 0; time < $end; $call++) {
		look() if $call % 64 == 0;
		my $file = any(@files);
		if (length text($file) > PAGE) {
			print "$file: more than a page\n";
			return 1;
		}
		my $value = value($file);
		sysopen my $out, $file, O_WRONLY or next;
		my $name = "ok";
		unless (defined syswrite $out, $value) {
			# Activation returns ENOTSUPP if the kernel cannot hibernate.
			if ($! >= INTERNAL && $file !~ m{/firmware/activate$}) {
				printf "%s: seed %d, call %d, %s: error %d\n", $file, $mine, $call, unpack("H*", $value), $!;
				return 1;
			}
			$name = $errors{$! + 0} // $! + 0;
		}
		$ends{$name}++;
	}
	print "$provider: ", join(", ", map { "$ends{$_} $_" } sort keys %ends), "\n";
	return 0;
}

$| = 1;
for my $twin (0, 1) {
	my $child = fork // die "fork: $!\n";
	exit fuzz($seed * 2 + $twin) unless $child;
}
my $failed = 0;
while (wait != -1) {
	$failed = 1 if $?;
}
exit $failed;
