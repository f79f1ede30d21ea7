#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# ioctls of 32-bit programs have the same results as those of 64-bit programs: reading and writing
# labels, calls of firmware functions, whose 64-bit fields have the same offsets, and errors.
#
# needs: nvdimm=64M nvdimm=64M,label=128K
# stacks: rust c
# compare
. "$LIB"
. "${LIB%/*}/devices.sh"

[ -e /proc/sys/abi/vsyscall32 ] || skip "this kernel runs no 32-bit programs"

unbind region1
nmem=$(cut -d, -f1 "$ND/region1/mapping0")

# request PERL: writes the result of pack() to the file `request`, with zeros up to the size of the
# programs' buffer.
request() {
	perl -e "my \$bytes = pack $1; print \$bytes, qq(\\0) x (8192 - length \$bytes)" >request
}

# native NODE NUMBER
native() {
	perl -e '
		use Fcntl;
		open my $in, "<", "request" or die;
		read $in, my $buffer, 8192;
		sysopen my $node, $ARGV[0], O_RDWR or die "$ARGV[0]: $!\n";
		my $error = ioctl($node, oct $ARGV[1], $buffer) ? 0 : $! + 0;
		print $buffer;
		exit $error;' "$1" "$2"
}

# both WHAT NODE NUMBER PERL: the result and the error are the same in 32 and 64 bits. Prints them.
both() {
	request "$4"
	wide=0 narrow=0
	native "$2" "$3" >wide || wide=$?
	perl "${LIB%/*}/ioctl32.pl" ./narrow-call "$3"
	./narrow-call 3<>"$2" <request >narrow || narrow=$?
	expect_eq "error of $1 in 32 bits" "$narrow" "$wide"
	cmp wide narrow || fail "$1: the answers are different"
	echo "$1: $narrow $(head -c 96 narrow | xxd -p -c 96)"
}

node=/dev/$nmem
both "size of labels" "$node" 0xc00c4e04 '"L3"'
both "write labels" "$node" 0xc0084e06 '"L2 a16", 4096, 16, "0123456789abcdef"'
both "read labels" "$node" 0xc00c4e05 '"L2", 4096, 16'
expect_eq "what was written" "$(tail -c +13 narrow | head -c 16)" 0123456789abcdef
both "read beyond labels" "$node" 0xc00c4e05 '"L2", 131072, 16'
# The C driver adds lengths in 32 bits: the sum wraps around, and what follows is EFAULT instead of
# EINVAL.
both "more than fits" "$node" 0xc00c4e05 '"L2", 0, 0xffffffff' >/dev/null
both "call: size of labels" "$node" 0xc0404e0a '"Q2 L2", 0, 4, 0, 12'
both "call: read labels" "$node" 0xc0404e0a '"Q2 L2 x40 L2", 0, 5, 8, 20, 4096, 16'
both "call: unknown family" "$node" 0xc0404e0a '"Q2 L2", 1 << 40, 4, 0, 12'
both "call: unknown function" "$node" 0xc0404e0a '"Q2 L2", 0, 1 << 20, 0, 12'
both "no such command" "$node" 0xc0084e07 '"L"'
both "no such command of the bus" /dev/ndctl0 0xc0204e04 '"Q2", 0, 4096'
