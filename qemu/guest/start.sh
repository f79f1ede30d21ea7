#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Second program of the test guest: mounts the remaining file systems, starts udevd, and runs the
# agent.
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
# A guest that only probes the accelerator has no modules and no tools.
if share modules /usr/lib/modules 2>/dev/null; then
	share tools /host/tools
	# Programs run from memory: over 9p every page would be read from the host each time.
	cp -r /host/tools /tmp/tools
	umount /host/tools
	mount --bind /tmp/tools /host/tools
fi

/usr/lib/systemd/systemd-udevd --daemon
trap - EXIT
exec /bin/sh /host/qemu/guest/agent.sh
