#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Second program of the test guest: the rest of what a small system needs, then the agent.
set -eu

fail() {
	echo "guest: $*" >/dev/console
	sync
	echo o >/proc/sysrq-trigger
	sleep 60
}
trap 'fail "the start failed"' EXIT

mkdir -p /dev/pts /dev/shm /tmp /host/run /host/tools /usr/lib/modules
mount -a -T /host/qemu/guest/fstab
echo guest >/proc/sys/kernel/hostname
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd

share() {
	mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 "$1" "$2"
}
# A machine that is only booted has no modules and no tools.
if share modules /usr/lib/modules 2>/dev/null; then
	share tools /host/tools
	# Every page of a program that is started from 9p is asked of the host, each time.
	cp -r /host/tools /tmp/tools
	umount /host/tools
	mount --bind /tmp/tools /host/tools
fi

/usr/lib/systemd/systemd-udevd --daemon
trap - EXIT
exec /bin/sh /host/qemu/guest/agent.sh
