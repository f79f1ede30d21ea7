#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A namespace with a mounted file system: ndctl does not disable it. If it is unbound anyway, the
# file system gets errors, can be unmounted, and is intact when the namespace is bound again.
#
# needs: nvdimm=96M
# stacks: rust
. "$LIB"
. "${LIB%/*}/devices.sh"

make_btt namespace0.0 4096
mkfs.ext4 -q "/dev/$disk"
mkdir mounted
mount "/dev/$disk" mounted
cp -a /usr/bin/ndctl /usr/bin/perl mounted
sync
sums=$(cd mounted && sha256sum ndctl perl)

if ndctl disable-namespace namespace0.0 >said 2>&1; then
	grep -q 'disabled 0 namespaces' said || fail "a namespace in use was disabled: $(cat said)"
fi
[ -e "/sys/block/$disk" ] || fail "the disk of a mounted file system is gone"
expect_eq "files after a refused request" "$(cd mounted && sha256sum ndctl perl)" "$sums"

unbind "$btt"
[ ! -e "/sys/block/$disk" ] || fail "$disk is still there"
! dd if=/dev/zero of=mounted/more bs=64k count=16 conv=fsync 2>/dev/null || fail "a write reached a disk that is gone"
umount mounted

bind "$btt"
disk=$(disk_of "$btt")
wait_for 10 test -b "/dev/$disk"
# The first check replays the journal.
fsck.ext4 -p "/dev/$disk" >fsck.out 2>&1 || [ $? -eq 1 ] || fail "fsck: $(cat fsck.out)"
fsck.ext4 -f -n "/dev/$disk" >fsck.out 2>&1 || fail "fsck: $(cat fsck.out)"
mount "/dev/$disk" mounted
expect_eq "files after the disk came back" "$(cd mounted && sha256sum ndctl perl)" "$sums"
umount mounted
release "$btt"
