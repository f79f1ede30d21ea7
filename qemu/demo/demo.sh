#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The guest's part of `make run`. The host ends boot 1 with a power cut. Boot 2 checks the contents.
. "$LIB"

# typed COMMAND: shows a command, runs it and shows its output.
typed() {
	say "guest# $1"
	_status=0
	eval "$1" >/tmp/typed 2>&1 || _status=$?
	while IFS= read -r _line; do
		say "$_line"
	done </tmp/typed
	[ $_status -eq 0 ] || fail "'$1' ended with status $_status"
}

stamps=/tmp/test/disk/stamps
read_stamps() {
	/host/tools/torn-write-check read $stamps --sector-size 4096 --generations /host/run/generations
}

cd $ND
mkdir /tmp/test/disk
if [ "$BOOT" = 1 ]; then
	typed 'modinfo -F filename libnvdimm nfit nd_pmem nd_btt'
	typed 'ls /sys/bus/nd/devices'
	wait_for 10 test -b /dev/pmem0
	typed 'ndctl list -RN'
	typed 'cat region0/btt_seed'
	typed 'uuidgen > btt0.0/uuid'
	typed 'echo 4096 > btt0.0/sector_size'
	typed 'echo namespace0.0 > btt0.0/namespace'
	typed 'echo namespace0.0 > /sys/bus/nd/drivers/nd_pmem/unbind'
	typed 'echo btt0.0 > /sys/bus/nd/drivers/nd_pmem/bind'
	wait_for 10 test -b /dev/pmem0s
	typed 'cat region0/btt_seed'
	typed 'lsblk -o NAME,SIZE,LOG-SEC /dev/pmem0s'
	typed 'mkfs.ext4 -q /dev/pmem0s'
	typed 'mount /dev/pmem0s /tmp/test/disk'
	typed 'cp -a /usr/bin /tmp/test/disk && (cd /tmp/test/disk && find bin -type f -exec sha256sum {} + > sums)'
	dd if=/dev/zero of=$stamps bs=1M count=16 2>/dev/null
	typed 'sync'
	read_stamps
	say @found
	say "guest# torn-write-check write $stamps      (16 MiB, sector by sector, until the power fails)"
	/host/tools/torn-write-check write $stamps --sector-size 4096 --acknowledge /host/run/acknowledged |
		while read -r said; do say "$said"; done
	fail "the writer ended"
fi
wait_for 10 test -b /dev/pmem0s
typed 'ndctl list -N'
typed 'mount /dev/pmem0s /tmp/test/disk'
typed 'cd /tmp/test/disk && sha256sum --quiet -c sums && echo "$(wc -l <sums) files are intact"'
typed "/host/tools/torn-write-check read $stamps --sector-size 4096 --generations /host/run/generations"
say @found
cd /
typed 'umount /tmp/test/disk && fsck.ext4 -f -n /dev/pmem0s'
