#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# ext4 and XFS on a BTT and on the raw disk: a tree of files is the same after another mount and a
# new detection.
#
# needs: nvdimm=384M
# stacks: rust c
# timeout: 400
. "$LIB"
. "${LIB%/*}/devices.sh"

# Some hundreds of files in many directories, and symbolic links.
tree=$PWD/tree
mkdir mounted "$tree"
cp -a /usr/lib/x86_64-linux-gnu/perl-base /etc/alternatives "$tree"

# listing DIRECTORY: prints names, types, modes, owners, sizes, times and link targets of its
# contents. The size of a directory depends on the file system.
listing() {
	(cd "$1" && find . -mindepth 1 \( -type d -printf '%y %m %U:%G %p\n' -o -printf '%y %m %U:%G %s %Ts %p %l\n' \) | sort)
}

# compare_tree WHEN
compare_tree() {
	listing mounted/tree | cmp -s - listing.expected || fail "the listing differs $1"
	diff -r --no-dereference "$tree" mounted/tree >diff.out || fail "contents differ $1: $(head -3 diff.out)"
}

# fill KIND: makes a file system on $disk with the tree.
fill() {
	make_filesystem "$1"
	mount -t "$1" "/dev/$disk" mounted
	cp -a "$tree" mounted/tree
	umount mounted
	mount -t "$1" "/dev/$disk" mounted
	compare_tree "on $1 of $disk after another mount"
	rm -r mounted/tree
	cp -a "$tree" mounted/tree
	umount mounted
}

# check KIND: the checker of the file system finds nothing wrong, and the tree is still there.
check() {
	check_filesystem "$1"
	mount -t "$1" -o ro "/dev/$disk" mounted
	compare_tree "on $1 of $disk after a new detection"
	umount mounted
}

listing "$tree" >listing.expected

make_btt namespace0.0 4096
for kind in ext4 xfs; do
	fill "$kind"
	release "$btt"
	detect namespace0.0
	check "$kind"
done

release "$btt"
wipe namespace0.0
bind namespace0.0
for kind in ext4 xfs; do
	disk=pmem0
	fill "$kind"
	unbind namespace0.0
	bind namespace0.0
	disk=$(disk_of namespace0.0)
	check "$kind"
done
